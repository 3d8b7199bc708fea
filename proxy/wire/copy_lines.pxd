# Types for the compiled build of copy_lines.py. Every offset is held against the end of its message before it indexes.

cimport cython

cdef int _COPY_DATA
cdef Py_ssize_t _HEADER_BYTES
cdef int _NEWLINE
cdef int _RETURN
cdef int _BACKSLASH
cdef int _CAPITAL_N
cdef dict _LETTERS

cdef class Lines:
    cdef int delimiter
    cdef int quote
    cdef int escape
    cdef bytes null
    cdef Py_ssize_t column_count
    cdef bytes forced
    cdef bytes meant
    cdef bytes written
    cdef bytes stops

@cython.locals(count=Py_ssize_t, at=Py_ssize_t)
cpdef Py_ssize_t count_lines(bytes buffer, Py_ssize_t start, Py_ssize_t end) except -1

@cython.locals(length=cython.longlong, row_end=cython.longlong)
cpdef Py_ssize_t line_end(bytes buffer, Py_ssize_t at, Py_ssize_t end) except -1

@cython.locals(has_escapes=cython.bint, place=Py_ssize_t, at=Py_ssize_t, row_end=Py_ssize_t)
cpdef bint find_columns(bytes buffer, Py_ssize_t start, Py_ssize_t end, Lines lines, long long[::1] slots, long long[::1] spans) except -1

@cython.locals(
    has_escapes=cython.bint, index=Py_ssize_t, first=Py_ssize_t, is_escaped=cython.bint, slot=Py_ssize_t,
    is_null=cython.bint,
)
cdef bint _walk(bytes buffer, Py_ssize_t at, Py_ssize_t last, Lines lines, long long[::1] slots, long long[::1] spans, Py_ssize_t place) except -1

@cython.locals(size=Py_ssize_t)
cdef bint _is_null(bytes buffer, Py_ssize_t first, Py_ssize_t end, Lines lines) except -1

@cython.locals(stops=bytes, first=Py_ssize_t, is_escaped=cython.bint)
cdef Py_ssize_t _text_end(bytes buffer, Py_ssize_t at, Py_ssize_t last, Lines lines) except -1

cdef bint _ends_null(bytes buffer, Py_ssize_t at, Py_ssize_t last, Lines lines) except -1

@cython.locals(stops=bytes)
cdef Py_ssize_t _csv_end(bytes buffer, Py_ssize_t at, Py_ssize_t last, Lines lines) except -1

@cython.locals(quote=cython.int, escape=cython.int, is_escaped=cython.bint, octet=cython.int)
cdef Py_ssize_t _quoted_end(bytes buffer, Py_ssize_t at, Py_ssize_t last, Lines lines) except -1
