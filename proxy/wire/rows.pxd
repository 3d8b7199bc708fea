# Types for the compiled build of rows.py. Every offset is held against its row before it indexes the buffer.

cimport cython

@cython.locals(at=Py_ssize_t)
cpdef bytes mask_rows(bytes buffer, Py_ssize_t start, Py_ssize_t end, object columns, Py_ssize_t column_count, Py_ssize_t hidden_count=*)

cdef list _masks_by_index(object columns, Py_ssize_t column_count)

@cython.locals(
    row_end=Py_ssize_t, head=Py_ssize_t, at=Py_ssize_t, copied=Py_ssize_t, value_at=Py_ssize_t,
    length=cython.longlong, masked=tuple,
)
cdef Py_ssize_t _mask_row(bytes buffer, Py_ssize_t start, Py_ssize_t end, list by_index, Py_ssize_t hidden_count, list parts) except -1

@cython.locals(value_at=Py_ssize_t, length=cython.longlong)
cdef Py_ssize_t _column_end(bytes buffer, Py_ssize_t at, Py_ssize_t row_end) except -1

cdef bytes _masked_value(bytes value, tuple masked)

cdef bytes _header(bytes buffer, Py_ssize_t start, Py_ssize_t columns_bytes, Py_ssize_t column_count)

@cython.locals(row_end=cython.longlong)
cdef Py_ssize_t _row_end(bytes buffer, Py_ssize_t start, Py_ssize_t end, Py_ssize_t column_count) except -1

@cython.locals(high=cython.longlong, low=cython.longlong)
cdef long long _uint32(bytes data, Py_ssize_t at) except -1
