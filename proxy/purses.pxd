# Types for the compiled build of purses.py.

cimport cython

cdef int _STATE, _CEILING, _ENDS, _FREES_AT, _STARTS_AT, _WORDS
cdef int _FINE, _WARNED, _SPENT, _AWAY, _MAY, _LOW, _OVER, _UNKNOWN, _WEIGHT

cdef class Mean:
    cdef readonly long long nano

    cpdef note(self, long long nano)

cdef class Purse:
    cdef readonly object budget
    cdef readonly bint is_binding
    cdef long long[::1] _words
    cdef Py_ssize_t _at
    cdef Py_ssize_t _used
    cdef Py_ssize_t _behind
    cdef Py_ssize_t _own
    cdef Py_ssize_t _asked

    cpdef long long state(self) except? -1
    cpdef long long starts_at(self) except? -1
    cpdef long long frees_at(self) except? -1

    @cython.locals(total=cython.longlong, place=Py_ssize_t)
    cpdef long long used(self) except? -1

    cpdef bint take(self, long long nano, long long now_us) except -1
    cpdef put(self, long long nano)

    @cython.locals(words=cython.longlong[::1], at=Py_ssize_t, is_over=bint, is_answered=bint)
    cpdef int look(self, long long nano, long long now_us) except -1

cdef class Spending:
    cdef readonly tuple purses
    cdef readonly dict told
    cdef readonly long long first_nano

    cpdef long long estimate(self, Mean mean) except? -2

    @cython.locals(purse=Purse, state=cython.longlong, nano=cython.longlong)
    cpdef long long begin(self, Mean mean, long long now_us) except? -2

    @cython.locals(purse=Purse, taken=Py_ssize_t)
    cpdef bint take(self, long long nano, long long now_us) except -1

    @cython.locals(purse=Purse)
    cpdef settle(self, long long reserved, long long cost)

    cpdef bint is_told(self, Purse purse) except -1
    cdef bint _is_said(self, Purse purse, long long state) except -1

cdef class Reservation:
    cdef Spending _spending
    cdef Mean _mean
    cdef long long _nano

    cpdef settle(self, long long cost)
    cpdef undo(self)
