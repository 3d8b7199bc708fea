# Types for the compiled build of ids.py. A tick has 60 bits: the clock's microseconds stay far below 2**58.

cimport cython

from audit cimport octets

cdef unsigned long long _VERSION, _VARIANT, _RANDOM_MASK
cdef bytes _DIGITS

cdef class Ids:
    cdef object _clock
    cdef object _random
    cdef unsigned char[::1] _made
    cdef unsigned long long _last_tick
    cdef tuple _noise
    cdef Py_ssize_t _used

    cpdef bytes next_at(self, unsigned long long now_us)

    @cython.locals(tick=cython.ulonglong, noise=cython.ulonglong)
    cpdef put_next(self, unsigned char[::1] into, unsigned long long now_us)

@cython.locals(place=Py_ssize_t)
cdef _put_hex(unsigned char[::1] into, Py_ssize_t at, unsigned long long value)
