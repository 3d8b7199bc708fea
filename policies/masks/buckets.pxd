# Types for the compiled build of buckets.py. See cells.pxd.

cimport cython

from policies.masks.cells cimport mask_each, put, total_bytes

cdef Py_ssize_t _SAFE_DIGITS
cdef int _MINUS
cdef int _ZERO

cdef class BucketMask:
    cdef Py_ssize_t _size
    cdef long long _smallest
    cdef object _least
    cdef object _bucket
    cdef long long _step

    cdef bytes _edge_of(self, bytes value, int format_code)

    @cython.locals(
        out=bytearray, value=bytes, number=cython.longlong, edge=cython.longlong, place=Py_ssize_t,
        start=Py_ssize_t, end=Py_ssize_t, to=Py_ssize_t,
    )
    cpdef mask_cells(self, bytes buffer, long long[::1] cells, int format_code)

    cdef bint _is_short(self, bytes buffer, Py_ssize_t start, Py_ssize_t end, int format_code) except -1

@cython.locals(index=Py_ssize_t)
cdef bint _is_short_decimal(bytes buffer, Py_ssize_t start, Py_ssize_t end) except -1

@cython.locals(first=Py_ssize_t, index=Py_ssize_t, number=cython.longlong)
cdef long long _decimal(bytes buffer, Py_ssize_t start, Py_ssize_t end) except? -1

@cython.locals(index=Py_ssize_t, number=cython.longlong)
cdef long long _signed(bytes buffer, Py_ssize_t start, Py_ssize_t end) except? -1

@cython.locals(width=Py_ssize_t, index=Py_ssize_t, rest=cython.longlong)
cdef Py_ssize_t _put_decimal(bytearray out, Py_ssize_t to, long long number) except -1

@cython.locals(index=Py_ssize_t)
cdef Py_ssize_t _put_signed(bytearray out, Py_ssize_t to, long long number, Py_ssize_t size) except -1
