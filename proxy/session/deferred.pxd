# Types for the compiled build of deferred.py.

cdef int _KEPT, _GONE, _MADE

cdef class Deferred:
    cdef object _c
    cdef object _handover
    cdef long long _groups
    cdef int _unnamed
    cdef int _portal
    cdef object _made
    cdef object _bound

    cpdef count(self)
    cpdef queried(self)
    cpdef parsed(self, object made, bint is_block)
    cpdef bound(self, object given, bint is_block)
    cpdef settle(self)
    cdef bint _has_unnamed(self) except -1
    cdef bint _has_portal(self) except -1
