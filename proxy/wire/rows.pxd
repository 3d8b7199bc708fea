# Types for the compiled build of rows.py. Every offset is held against its row before it indexes the buffer.

cimport cython

from proxy.wire.assembly cimport Masked

cdef Py_ssize_t _DATA_ROW
cdef Py_ssize_t _HEADER_BYTES
cdef long long _NULL_LENGTH
cdef bytes _NULL
cdef Py_ssize_t _FEW_ROWS
cdef Py_ssize_t _FEW_BYTES

@cython.locals(by_index=list, count=Py_ssize_t, removed=Py_ssize_t)
cpdef mask_rows(bytes buffer, Py_ssize_t start, Py_ssize_t end, object columns, Py_ssize_t column_count, Py_ssize_t hidden_count=*)

@cython.locals(by_index=list, index=Py_ssize_t)
cdef list _masks_by_index(object columns, Py_ssize_t shown_count)

cdef object _numbers(Py_ssize_t count)

@cython.locals(slots="long long[::1]", index=Py_ssize_t, slot=Py_ssize_t)
cdef object _slots(object columns, Py_ssize_t shown_count)

@cython.locals(count=Py_ssize_t, at=Py_ssize_t)
cdef Py_ssize_t _count_rows(bytes buffer, Py_ssize_t start, Py_ssize_t end, Py_ssize_t column_count) except -1

@cython.locals(
    shown_count=Py_ssize_t, removed=Py_ssize_t, at=Py_ssize_t, row_end=Py_ssize_t, index=Py_ssize_t,
    column_end=Py_ssize_t, slot=Py_ssize_t, place=Py_ssize_t, shown_end=Py_ssize_t, _=Py_ssize_t,
)
cdef Py_ssize_t _find_cells(bytes buffer, Py_ssize_t start, Py_ssize_t end, long long[::1] slots, Py_ssize_t hidden_count, long long[::1] cells, long long[::1] found, Py_ssize_t count) except -1

@cython.locals(size=Py_ssize_t, slot=Py_ssize_t, first=Py_ssize_t)
cpdef Masked replacements(bytes buffer, object columns, object cells, object found, Py_ssize_t count)

@cython.locals(at=Py_ssize_t, place=Py_ssize_t)
cdef bytes _mask_each(bytes buffer, long long[::1] cells, object format_code, object mask)

@cython.locals(parts=list, at=Py_ssize_t)
cdef bytes _mask_few(bytes buffer, Py_ssize_t start, Py_ssize_t end, list by_index, Py_ssize_t hidden_count)

@cython.locals(
    row_end=Py_ssize_t, head=Py_ssize_t, at=Py_ssize_t, copied=Py_ssize_t, size=Py_ssize_t, column_end=Py_ssize_t,
    masked=tuple, replaced=bytes, _=Py_ssize_t,
)
cdef Py_ssize_t _mask_row(bytes buffer, Py_ssize_t start, Py_ssize_t end, list by_index, Py_ssize_t hidden_count, list parts) except -1

cdef bytes _masked_value(bytes value, tuple masked)

cdef bytes _header(Py_ssize_t length, Py_ssize_t column_count)

@cython.locals(value_at=Py_ssize_t, length=cython.longlong)
cdef Py_ssize_t _column_end(bytes buffer, Py_ssize_t at, Py_ssize_t row_end) except -1

cdef bint _is_null(bytes buffer, Py_ssize_t at) except -1

@cython.locals(row_end=cython.longlong)
cdef Py_ssize_t _row_end(bytes buffer, Py_ssize_t start, Py_ssize_t end, Py_ssize_t column_count) except -1

@cython.locals(high=cython.longlong, low=cython.longlong)
cdef long long _uint32(bytes data, Py_ssize_t at) except -1
