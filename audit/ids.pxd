# Types for the compiled build of ids.py. A tick has 60 bits: the clock's microseconds stay far below 2**58.

cimport cython

cdef class Ids:
    cdef object _clock
    cdef object _random
    cdef unsigned long long _last_tick
    cdef tuple _noise
    cdef Py_ssize_t _used

    @cython.locals(tick=cython.ulonglong, noise=cython.ulonglong)
    cpdef bytes next_at(self, unsigned long long now_us)
