# Types for the compiled build of standing.py.

from proxy.session.course cimport Course, Placed

cdef class Standing:
    cdef readonly object prepared
    cdef readonly Course course
    cdef readonly bytes text
    cdef public Placed told
    cdef readonly dict placed

    cpdef bint foresee(self, bytes formats) except -1
