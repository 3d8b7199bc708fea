# Types for the compiled build of copy_values.py. It follows what copy_lines.py has held against every message.

cimport cython

from proxy.wire.assembly cimport Masked
from proxy.wire.copy_lines cimport Lines, line_end

cdef Py_ssize_t _HEADER_BYTES
cdef int _BACKSLASH
cdef int _DOT
cdef Py_ssize_t _LOOP_BYTES

@cython.locals(
    slot_count=Py_ssize_t, line=Py_ssize_t, slot=Py_ssize_t, place=Py_ssize_t, first=Py_ssize_t, last=Py_ssize_t,
    to=Py_ssize_t,
)
cpdef place_values(bytes buffer, Lines lines, long long[::1] spans, long long[::1] cells, long long[::1] found, Py_ssize_t count)

@cython.locals(
    size=Py_ssize_t, slot=Py_ssize_t, number=Py_ssize_t, place=Py_ssize_t, out=bytearray, to=Py_ssize_t,
    first=Py_ssize_t, last=Py_ssize_t,
)
cpdef bytes without_escapes(bytes buffer, Lines lines, long long[::1] cells, long long[::1] found, Py_ssize_t count)

@cython.locals(is_text=cython.bint, has_escapes=cython.bint, escape=cython.int, octet=cython.uchar)
cdef Py_ssize_t _put_value(bytearray out, Py_ssize_t to, bytes buffer, Py_ssize_t at, Py_ssize_t last, Lines lines) except -1

@cython.locals(
    cells="long long[::1]", count=Py_ssize_t, out=bytearray, bases="long long[::1]", to=Py_ssize_t, slot=Py_ssize_t,
    base=Py_ssize_t, number=Py_ssize_t, place=Py_ssize_t, first=Py_ssize_t, last=Py_ssize_t,
)
cpdef Masked write_values(Masked masked, Lines lines)

@cython.locals(
    cells="long long[::1]", pool_size=Py_ssize_t, slot=Py_ssize_t, number=Py_ssize_t, place=Py_ssize_t,
    start=Py_ssize_t, end=Py_ssize_t,
)
cdef int _check(Masked masked) except -1

@cython.locals(
    cells="long long[::1]", slot=Py_ssize_t, base=Py_ssize_t, is_forced=cython.bint, number=Py_ssize_t,
    place=Py_ssize_t, first=Py_ssize_t, last=Py_ssize_t,
)
cdef bint _must_write(Masked masked, Lines lines) except -1

@cython.locals(written=bytes, at=Py_ssize_t, size=Py_ssize_t)
cdef bint _is_special(bytes pool, Py_ssize_t first, Py_ssize_t last, Lines lines) except -1

@cython.locals(cells="long long[::1]", size=Py_ssize_t, slot=Py_ssize_t, number=Py_ssize_t, place=Py_ssize_t)
cdef Py_ssize_t _most_bytes(Masked masked) except -1

@cython.locals(written=bytes, at=Py_ssize_t, octet=cython.uchar)
cdef Py_ssize_t _put_text(bytearray out, Py_ssize_t to, bytes pool, Py_ssize_t first, Py_ssize_t last, Lines lines) except -1

@cython.locals(is_quoted=cython.bint, at=Py_ssize_t, octet=cython.uchar)
cdef Py_ssize_t _put_csv(bytearray out, Py_ssize_t to, bytes pool, Py_ssize_t first, Py_ssize_t last, Lines lines, bint is_forced) except -1

@cython.locals(
    slot_count=Py_ssize_t, cells="long long[::1]", count=Py_ssize_t, pool="const unsigned char[::1]",
    octets="const unsigned char[::1]", taken=bytearray, out="unsigned char[::1]", used="long long[::1]",
    to=Py_ssize_t, at=Py_ssize_t, line=Py_ssize_t, row_end=Py_ssize_t, row_to=Py_ssize_t, copied=Py_ssize_t,
    slot=Py_ssize_t, first=Py_ssize_t, size=Py_ssize_t, octet=Py_ssize_t, place=Py_ssize_t, cell=Py_ssize_t,
)
cpdef bytearray assemble_lines(bytes buffer, Py_ssize_t start, Py_ssize_t end, Lines lines, long long[::1] spans, Masked masked)

@cython.locals(grown=Py_ssize_t, place=Py_ssize_t, cells="long long[::1]", slot=Py_ssize_t, number=Py_ssize_t)
cdef Py_ssize_t _grown(Masked masked, Lines lines, long long[::1] spans) except? -1

@cython.locals(at=Py_ssize_t)
cdef Py_ssize_t _put_null(bytearray taken, Py_ssize_t to, Lines lines) except -1

@cython.locals(length=Py_ssize_t)
cdef int _put_length(bytearray taken, Py_ssize_t start, Py_ssize_t end) except -1
