# Types for the compiled build of clock.py.

from audit cimport octets

cpdef long long monotonic_us() except? -1
