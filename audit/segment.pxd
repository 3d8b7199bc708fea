# Types for the compiled build of segment.py. Lengths are 32 bits, offsets those of a file.

cimport cython

cpdef Py_ssize_t frame_bytes(Py_ssize_t body_length)

@cython.locals(length=Py_ssize_t, rest=bytes)
cpdef Py_ssize_t write_frame(object target, Py_ssize_t offset, bytes prev_hash, bytes own_hash, bytes body) except -1

cdef class Frame:
    cdef readonly Py_ssize_t start
    cdef readonly Py_ssize_t end
    cdef readonly bytes prev_hash
    cdef readonly bytes hash
    cdef readonly bytes body

@cython.locals(
    frames=list, at=Py_ssize_t, length=Py_ssize_t, end=Py_ssize_t, behind=Py_ssize_t, prev_hash=bytes, own_hash=bytes,
)
cdef object _scan(bytes data, Py_ssize_t base, bint is_cut)
