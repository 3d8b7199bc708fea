# Types for the compiled build of frames.py. Offsets stay between 0 and the buffer's size by the class's own checks.

cimport cython

cdef Py_ssize_t _MIN_LENGTH
cdef Py_ssize_t _MIN_STARTUP_LENGTH
cdef Py_ssize_t _PIECES_IN_BLOCK

cdef class FrameCutter:
    cdef readonly bytes buffer
    cdef Py_ssize_t _at
    cdef Py_ssize_t _size
    cdef list _carried
    cdef Py_ssize_t _carried_blocks
    cdef Py_ssize_t _carried_bytes
    cdef Py_ssize_t _needed_bytes
    cdef Py_ssize_t _passing_bytes
    cdef bint _is_startup
    cdef list _caps
    cdef Py_ssize_t _startup_cap

    @cython.locals(start=Py_ssize_t, end=Py_ssize_t)
    cpdef tuple next_frame(self)

    @cython.locals(start=Py_ssize_t, end=Py_ssize_t, type_byte=Py_ssize_t, count=Py_ssize_t)
    cpdef tuple next_run(self)

    @cython.locals(end=Py_ssize_t)
    cpdef Py_ssize_t take_alike(self, Py_ssize_t type_byte) except -1

    cdef _carry_rest(self)
    cdef _carry(self, bytes data)
    cdef _join_carried(self)
    cdef _replace(self, bytes data)
    cdef Py_ssize_t _type_at(self, Py_ssize_t at) except -1

    @cython.locals(data=bytes, at=Py_ssize_t, high=cython.longlong, low=cython.longlong, length=cython.longlong)
    cdef Py_ssize_t _frame_end(self) except -1

    cdef int _check_length(self, long long length, Py_ssize_t at) except -1
