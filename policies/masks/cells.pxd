# Types for the compiled build of cells.py. Values lie in their buffer by `_total`; what is written fits by its sums.

cimport cython

cdef Py_ssize_t _LOOP_BYTES
cdef bytes _IS_SHOWN
cdef int _AT
cdef bytes _NO_ADDRESS
cdef bytes _HIDDEN_LOCAL
cdef Py_ssize_t _LONGEST_BYTES

cdef class NullMask:
    @cython.locals(place=Py_ssize_t)
    cpdef mask_cells(self, bytes buffer, long long[::1] cells, int format_code)

cdef class ConstantMask:
    cdef bytes _text
    cdef bytes _binary

    @cython.locals(place=Py_ssize_t, size=Py_ssize_t, value=bytes)
    cpdef mask_cells(self, bytes buffer, long long[::1] cells, int format_code)

cdef class PartialMask:
    cdef Py_ssize_t _first
    cdef Py_ssize_t _last
    cdef bytes _fill

    cdef bytes _mask_characters(self, str value)

    @cython.locals(out=bytearray, value=bytes, place=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t, to=Py_ssize_t)
    cpdef mask_cells(self, bytes buffer, long long[::1] cells, int format_code)

    @cython.locals(hidden=Py_ssize_t)
    cdef Py_ssize_t _put_ascii(self, bytearray out, Py_ssize_t to, bytes buffer, Py_ssize_t start, Py_ssize_t end) except -1

cdef class EmailMask:
    @cython.locals(
        out=bytearray, first=bytes, place=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t, to=Py_ssize_t, at=Py_ssize_t,
    )
    cpdef mask_cells(self, bytes buffer, long long[::1] cells, int format_code)

cdef bytes _first_character(bytes local)

@cython.locals(at=Py_ssize_t, index=Py_ssize_t)
cdef Py_ssize_t _end_of_local(bytes buffer, Py_ssize_t start, Py_ssize_t end) except -2

cpdef mask_cells(object mask, bytes buffer, long long[::1] cells, int format_code)

@cython.locals(place=Py_ssize_t, to=Py_ssize_t)
cpdef bytes mask_each(object mask, bytes buffer, long long[::1] cells, int format_code)

@cython.locals(size=Py_ssize_t, total=Py_ssize_t, place=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t)
cpdef Py_ssize_t total_bytes(bytes buffer, long long[::1] cells) except -1

@cython.locals(seen=cython.int, index=Py_ssize_t)
cpdef bint is_ascii(bytes buffer, Py_ssize_t start, Py_ssize_t end) except -1

@cython.locals(size=Py_ssize_t, index=Py_ssize_t)
cpdef Py_ssize_t put(bytearray out, Py_ssize_t to, bytes source, Py_ssize_t start, Py_ssize_t end) except -1

@cython.locals(width=Py_ssize_t, size=Py_ssize_t, octet=cython.uchar, index=Py_ssize_t)
cdef Py_ssize_t _put_fill(bytearray out, Py_ssize_t to, bytes fill, Py_ssize_t count) except -1
