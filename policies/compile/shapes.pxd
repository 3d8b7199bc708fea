# Types for the compiled build of shapes.py.

cimport cython
from policies.compile.skeleton cimport Skeleton, skeleton

cdef class Outcomes:
    cdef public long long exact
    cdef public long long shape
    cdef public long long miss

cdef class Entry:
    cdef public object decision
    cdef public object note
    cdef public bint is_used
    cdef public bint is_spoken

cdef class Known:
    cdef readonly Entry entry
    cdef readonly object decision
    cdef readonly bytes text
    cdef readonly bytes statement
    cdef bytes _raw
    cdef list _offsets

cdef class Shape(Entry):
    cdef tuple _free
    cdef tuple _digits
    cdef list _gaps
    cdef readonly tuple said
    cdef Py_ssize_t _first
    cdef Py_ssize_t _lead
    cdef Py_ssize_t _last
    cdef Py_ssize_t _trail
    cdef bint _is_whole
    cdef tuple _sizes
    cdef tuple _edits

    @cython.locals(number=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t, statement=bytes)
    cpdef Known known(self, bytes raw, list offsets)

    @cython.locals(start=Py_ssize_t, end=Py_ssize_t)
    cdef bytes _statement(self, bytes raw, list offsets)

    @cython.locals(gaps=list, parts=list, gap=Py_ssize_t, number=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t)
    cdef bytes _filled(self, bytes raw, list offsets)

cdef class Family:
    cdef public bytes first
    cdef public object exchange
    cdef public set seen
    cdef public tuple fixed
    cdef public dict shapes
    cdef public bint is_used
    cdef public bint is_barren

    @cython.locals(shape=Shape)
    cpdef Known find(self, bytes raw, list offsets)

    cpdef bytes fixed_in(self, bytes raw, list offsets)

cdef class Scope:
    cdef readonly dict exact
    cdef readonly dict refused
    cdef readonly dict families
    cdef Outcomes _outcomes

    @cython.locals(known=Known, found=Skeleton)
    cpdef Known find(self, bytes raw)

    @cython.locals(family=Family)
    cpdef Known find_shape(self, bytes raw, Skeleton found)

    @cython.locals(entry=Entry)
    cpdef object find_refused(self, bytes raw)
