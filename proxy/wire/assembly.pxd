# Types for the compiled build of assembly.py. The walk follows what rows.py has held against every frame.

cimport cython

cdef Py_ssize_t _DATA_ROW
cdef Py_ssize_t _HEADER_BYTES
cdef long long _NULL_LENGTH
cdef Py_ssize_t _LOOP_BYTES

cdef class Masked:
    cdef bytes pool
    cdef long long[::1] cells
    cdef long long[::1] found
    cdef long long[::1] bases
    cdef Py_ssize_t count

@cython.locals(
    pool="const unsigned char[::1]", cells="long long[::1]", bases="long long[::1]", size=Py_ssize_t,
    taken=bytearray, octets="const unsigned char[::1]", out="unsigned char[::1]", used="long long[::1]",
    shown_count=Py_ssize_t, at=Py_ssize_t, to=Py_ssize_t, row_end=Py_ssize_t, row_to=Py_ssize_t, copied=Py_ssize_t,
    index=Py_ssize_t, slot=Py_ssize_t, place=Py_ssize_t, cell=Py_ssize_t, length=Py_ssize_t, octet=Py_ssize_t,
)
cpdef bytearray assemble(bytes buffer, Py_ssize_t start, Py_ssize_t end, long long[::1] slots, Masked masked, Py_ssize_t removed)

@cython.locals(
    cells="long long[::1]", pool_size=Py_ssize_t, added=Py_ssize_t, slot=Py_ssize_t, first=Py_ssize_t,
    base=Py_ssize_t, place=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t,
)
cdef Py_ssize_t _added(Masked masked) except -1

cdef int _put_header(bytearray taken, Py_ssize_t start, Py_ssize_t end, Py_ssize_t column_count) except -1

cdef int _put_uint32(bytearray taken, Py_ssize_t to, long long number) except -1

@cython.locals(length=cython.longlong)
cdef Py_ssize_t _size(bytes buffer, Py_ssize_t at) except -1

@cython.locals(high=cython.longlong, low=cython.longlong)
cdef long long _uint32(bytes buffer, Py_ssize_t at) except -1
