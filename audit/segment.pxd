# Types for the compiled build of segment.py. Lengths are 32 bits, offsets those of a file.

cimport cython

cpdef Py_ssize_t frame_bytes(Py_ssize_t body_length)

@cython.locals(length=Py_ssize_t, rest=bytes)
cpdef Py_ssize_t write_frame(object target, Py_ssize_t offset, bytes prev_hash, bytes own_hash, bytes body) except -1
