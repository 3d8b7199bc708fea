# Types for the compiled build of tariff.py. Sums and products stay Python's own integers: they pass 64 bits.

cimport cython

cdef class Tariff:
    cdef object _prices
    cdef object _plan_units
    cdef bint _is_free
    cdef bint _is_exact
    cdef object _per_us
    cdef object _per_byte
    cdef object _fixed
    cdef object _divisor

    cdef _multiply_out(self)

    @cython.locals(text=bytes)
    cpdef bytes packed_text(self, object duration_us, object bytes_out)

    cdef bytes _text(self, object duration_us, object bytes_out)
