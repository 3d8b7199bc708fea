# Types for the compiled build of cycles.py. Every offset is held against the chunk's size before it indexes it.

cimport cython

cdef int _QUERY, _PARSE, _BIND, _ROW, _DESCRIPTION, _NO_DATA, _COMPLETE, _SPACE, _ZERO, _MOST_DIGITS
cdef long long _NULL_LENGTH

cdef class Asked:
    cdef public int kind
    cdef public bytes text
    cdef public bytes types
    cdef public bytes statement
    cdef public bytes formats
    cdef public Py_ssize_t bind_at
    cdef public bint is_described

    @cython.locals(first=int, at=Py_ssize_t)
    cpdef int read(self, bytes chunk) except -1

    @cython.locals(size=Py_ssize_t)
    cdef int _read_query(self, bytes chunk) except -1

    @cython.locals(end=Py_ssize_t, zero=Py_ssize_t, count=Py_ssize_t)
    cdef Py_ssize_t _read_parse(self, bytes chunk) except -2

    @cython.locals(size=Py_ssize_t, end=Py_ssize_t, left=Py_ssize_t)
    cdef bint _read_rest(self, bytes chunk, Py_ssize_t start) except -1

    @cython.locals(at=Py_ssize_t, zero=Py_ssize_t)
    cdef bint _read_bind(self, bytes chunk, Py_ssize_t start, Py_ssize_t end) except -1

cdef class Answer:
    cdef public Py_ssize_t description_at
    cdef public Py_ssize_t rows_at
    cdef public Py_ssize_t rows_end
    cdef public Py_ssize_t rows
    cdef public bint is_no_data
    cdef public Py_ssize_t tag_at
    cdef public Py_ssize_t tag_bytes
    cdef public long long affected
    cdef public int status

    @cython.locals(size=Py_ssize_t, at=Py_ssize_t, count=Py_ssize_t)
    cpdef bint read(self, bytes chunk, int kind) except -1

    @cython.locals(end=Py_ssize_t)
    cdef bint _read_end(self, bytes chunk, Py_ssize_t at, Py_ssize_t size) except -1

@cython.locals(high=cython.longlong, low=cython.longlong, length=cython.longlong)
cpdef Py_ssize_t frame_end(bytes data, Py_ssize_t at, Py_ssize_t size) except -2

cdef Py_ssize_t _zero_at(bytes data, Py_ssize_t at, Py_ssize_t end) except -2

@cython.locals(count=Py_ssize_t, high=cython.longlong, low=cython.longlong, length=cython.longlong)
cdef Py_ssize_t _values_end(bytes data, Py_ssize_t at, Py_ssize_t end) except -2

cdef Py_ssize_t _completions_end(bytes data, Py_ssize_t size, int kind) except -2

@cython.locals(at=Py_ssize_t, number=cython.longlong)
cdef long long _number_before(bytes data, Py_ssize_t start, Py_ssize_t end) except -2
