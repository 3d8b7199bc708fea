# Types for the compiled build of skeleton.py. Every index is held against `size` before it is used.

cimport cython

cdef bytes _KINDS

cdef class Skeleton:
    cdef readonly bytes key
    cdef readonly list offsets

@cython.locals(size=Py_ssize_t, at=Py_ssize_t, done=Py_ssize_t, start=Py_ssize_t, kind=cython.uchar, parts=list,
               offsets=list, text="const unsigned char*", kinds="const unsigned char*")
cpdef Skeleton skeleton(bytes raw)

cdef bint _begins_comment(const unsigned char* text, Py_ssize_t at, Py_ssize_t size)

@cython.locals(start=Py_ssize_t)
cdef Py_ssize_t _end_of_line(const unsigned char* text, Py_ssize_t at, Py_ssize_t size)

@cython.locals(byte=cython.uchar)
cdef Py_ssize_t _end_of_block(const unsigned char* text, Py_ssize_t at, Py_ssize_t size)

cdef bint _is_before_quote(const unsigned char* text, Py_ssize_t at, Py_ssize_t size)

@cython.locals(kind=cython.uchar, kinds="const unsigned char*")
cdef Py_ssize_t _end_of_word(const unsigned char* text, Py_ssize_t at, Py_ssize_t size)

@cython.locals(kind=cython.uchar, kinds="const unsigned char*", start=Py_ssize_t, point=Py_ssize_t)
cdef Py_ssize_t _end_of_number(const unsigned char* text, Py_ssize_t at, Py_ssize_t size)

@cython.locals(size=Py_ssize_t, number=bytes)
cdef bytes _class_of(bytes raw, Py_ssize_t start, Py_ssize_t end)

@cython.locals(byte=cython.uchar, end=Py_ssize_t)
cdef Py_ssize_t _end_of_string(const unsigned char* text, Py_ssize_t at, Py_ssize_t size)

@cython.locals(following=cython.uchar, kinds="const unsigned char*")
cdef Py_ssize_t _end_of_other(const unsigned char* text, Py_ssize_t at, Py_ssize_t size, unsigned char kind)

@cython.locals(byte=cython.uchar)
cdef Py_ssize_t _end_of_name(const unsigned char* text, Py_ssize_t at, Py_ssize_t size)

@cython.locals(kind=cython.uchar, start=Py_ssize_t, kinds="const unsigned char*")
cdef Py_ssize_t _end_of_parameter(const unsigned char* text, Py_ssize_t at, Py_ssize_t size)

cdef bint _is_utf8(bytes raw) except -1
