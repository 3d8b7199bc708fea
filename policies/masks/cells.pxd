# Types for the compiled build of cells.py. Values lie in their buffer by `_total`; what is written fits by its sums.

cimport cython

cdef Py_ssize_t _LOOP_BYTES
cdef bytes _IS_SHOWN
cdef bytes _HEX
cdef int _AT
cdef int _BLANK
cdef bytes _NO_ADDRESS
cdef bytes _HIDDEN_LOCAL
cdef Py_ssize_t _DIGEST_BYTES
cdef Py_ssize_t _TOKEN_BYTES
cdef Py_ssize_t _LONGEST_BYTES
cdef Py_ssize_t _SAFE_DIGITS
cdef int _MINUS
cdef int _ZERO

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

cpdef mask_cells(object mask, bytes buffer, long long[::1] cells, int format_code)

@cython.locals(place=Py_ssize_t, to=Py_ssize_t)
cdef bytes _mask_each(object mask, bytes buffer, long long[::1] cells, int format_code)

@cython.locals(size=Py_ssize_t, total=Py_ssize_t, place=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t)
cdef Py_ssize_t _total(bytes buffer, long long[::1] cells) except -1

@cython.locals(seen=cython.int, index=Py_ssize_t)
cdef bint _is_ascii(bytes buffer, Py_ssize_t start, Py_ssize_t end) except -1

@cython.locals(size=Py_ssize_t, index=Py_ssize_t)
cdef Py_ssize_t _put(bytearray out, Py_ssize_t to, bytes source, Py_ssize_t start, Py_ssize_t end) except -1

@cython.locals(width=Py_ssize_t, size=Py_ssize_t, octet=cython.uchar, index=Py_ssize_t)
cdef Py_ssize_t _put_fill(bytearray out, Py_ssize_t to, bytes fill, Py_ssize_t count) except -1

@cython.locals(octet=cython.uchar, index=Py_ssize_t)
cdef Py_ssize_t _put_hex(bytearray out, Py_ssize_t to, bytes octets, Py_ssize_t count) except -1

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
