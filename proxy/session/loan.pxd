# Types for the compiled build of loan.py.

cimport cython
from proxy.session.course cimport Course

cdef Py_ssize_t _NAME_AT

cdef class Loan:
    cdef object _c
    cdef object _lending
    cdef public object link
    cdef public bytes kept

    cpdef bint enter(self) except -1
    cpdef bint take(self, link) except -1
    cpdef run(self, Course course, bint drops_unnamed)
    cpdef bint give_back(self) except -1
    cpdef bytes bound(self, bytes chunk, bytes name, prepared)
