# Types for the compiled build of tariff.py. Sums and products are Python's own integers, as they pass 64 bits, but
# for the small ones.

cimport cython

from audit cimport octets

cdef long long _UNITS, _NEAR
cdef Py_ssize_t _PLACES, _COUNT_SMALLEST
cdef tuple _SMALLEST_PACKED

cdef class Tariff:
    cdef object _prices
    cdef object _plan_units
    cdef bint _is_free
    cdef bint _is_exact
    cdef object _per_us
    cdef object _per_byte
    cdef object _fixed
    cdef object _divisor
    cdef long long _most
    cdef long long _small_per_us
    cdef long long _small_per_byte
    cdef long long _small_fixed
    cdef long long _small_divisor

    cdef _multiply_out(self)

    @cython.locals(text=bytes)
    cpdef bytes packed_text(self, object duration_us, object bytes_out)

    cdef bytes _text(self, object duration_us, object bytes_out)

    @cython.locals(number=cython.longlong)
    cpdef long long nano(self, long long duration_us, long long bytes_out) except? -1

    @cython.locals(
        divisor=cython.longlong, total=cython.longlong, number=cython.longlong, beside=cython.longlong,
        distance=cython.longlong,
    )
    cdef long long _number(self, long long duration_us, long long bytes_out) except? -1

    @cython.locals(number=cython.longlong)
    cpdef Py_ssize_t put_text(
        self, unsigned char[::1] into, Py_ssize_t at, long long duration_us, long long bytes_out
    ) except -1

@cython.locals(first=Py_ssize_t, rest=cython.longlong, point=Py_ssize_t, end=Py_ssize_t, place=Py_ssize_t)
cdef Py_ssize_t _put_number(unsigned char[::1] into, Py_ssize_t at, long long number) except -1
