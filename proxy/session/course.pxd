# Types for the compiled build of course.py.

from proxy.purses cimport Mean

cdef class Placed:
    cdef readonly bytes description
    cdef readonly Py_ssize_t size
    cdef readonly object fields
    cdef readonly object columns
    cdef readonly Py_ssize_t column_count
    cdef readonly Py_ssize_t mask_count

cdef class Course:
    cdef readonly object decision
    cdef readonly bint is_spoken
    cdef public bytes kept
    cdef readonly int way
    cdef readonly object plan
    cdef readonly object verdict
    cdef readonly bint is_rewritten
    cdef readonly long long most_rows
    cdef readonly long long most_bytes
    cdef readonly bint is_masked
    cdef readonly bint is_commit
    cdef readonly bint may_run_code
    cdef readonly bint has_sequences
    cdef readonly Placed last
    cdef public Mean mean
    cdef dict _placed

    cpdef Placed placed(self, bytes description)
    cdef _place(self, bytes description)
