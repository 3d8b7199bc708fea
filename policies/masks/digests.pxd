# Types for the compiled build of digests.py. See cells.pxd.

cimport cython

from policies.masks.cells cimport put, total_bytes

cdef bytes _HEX
cdef Py_ssize_t _DIGEST_BYTES
cdef Py_ssize_t _TOKEN_BYTES
cdef bint _IS_INTERPRETED

cdef class HashMask:
    cdef object _salted

    cdef bytes _digest(self, bytes value)

    @cython.locals(out=bytearray, digest=bytes, place=Py_ssize_t, size=Py_ssize_t, to=Py_ssize_t)
    cpdef mask_cells(self, bytes buffer, long long[::1] cells, int format_code)

cdef class TextToken:
    cdef object _inner
    cdef object _outer
    cdef bytes _prefix

    cdef bytes _digest(self, bytes value)

    @cython.locals(out=bytearray, digest=bytes, place=Py_ssize_t, size=Py_ssize_t, to=Py_ssize_t)
    cpdef mask_cells(self, bytes buffer, long long[::1] cells, int format_code)

@cython.locals(octet=cython.uchar, index=Py_ssize_t)
cdef Py_ssize_t _put_hex(bytearray out, Py_ssize_t to, bytes octets, Py_ssize_t count) except -1
