# Types for the compiled build of epoch.py.

cdef class Epoch:
    cdef public long long number

    cpdef advance(self)
