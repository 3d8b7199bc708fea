# Types for the compiled build of fitted.py. See cells.pxd.

cimport cython

from policies.masks.cells cimport is_ascii, mask_cells, total_bytes

cdef int _BLANK

cdef class CutMask:
    cdef object _inner
    cdef Py_ssize_t _length

    @cython.locals(masked=bytes, kept=str, place=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t)
    cpdef mask_cells(self, bytes buffer, long long[::1] cells, int format_code)

cdef class PaddedMask:
    cdef object _inner
    cdef Py_ssize_t _length

    @cython.locals(masked=bytes, place=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t)
    cpdef mask_cells(self, bytes buffer, long long[::1] cells, int format_code)

    @cython.locals(value=bytes, place=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t, to=Py_ssize_t)
    cdef bytes _padded(self, bytes masked, long long[::1] cells)
