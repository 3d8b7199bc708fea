# Types for the compiled build of lines.py. Measures are never negative and fit into 63 bits.

cimport cython

from audit cimport octets
from audit.tariff cimport Tariff

cdef class Lines:
    cdef object _intent
    cdef object _outcome
    cdef tuple _said
    cdef readonly object prices
    cdef Tariff _tariff
    cdef bint _is_plain
    cdef bint _is_priced_apart
    cdef bytes _speaker
    cdef bytes _origin
    cdef bytes _intent_start
    cdef bytes _intent_stage
    cdef bytes _before_text
    cdef bytes _behind_text
    cdef bytes _intent_end
    cdef bytes _outcome_start
    cdef bytes _outcome_stage
    cdef bytes _before_rows
    cdef bytes _currency
    cdef bytes _outcome_end
    cdef Py_ssize_t _intent_bytes
    cdef Py_ssize_t _outcome_bytes

    @cython.locals(origin=bytes, is_odd=bint, lines=Lines)
    cpdef Lines spoken(self, str workload, str trace_id, str end_user)

    cdef _take(self, Lines other)

    @cython.locals(grown=Py_ssize_t)
    cdef _say(self, str workload, str trace_id, str end_user, bytes origin)

    cdef _settle(self)

    cdef _encode(self)

    cdef _encode_ends(self)

    cpdef long long nano(self, long long rows, long long bytes_out, long long duration_us, str sqlstate=*) except? -1

    cpdef bytes intent_body(self, bytes record_id, long long at, bytes sql_text)

    cpdef bytes outcome_body(
        self, bytes record_id, bytes statement_id, long long at, object rows, long long bytes_out, long long duration_us,
        str sqlstate,
    )

    @cython.locals(end=Py_ssize_t)
    cpdef Py_ssize_t put_intent(
        self, unsigned char[::1] into, Py_ssize_t start, Py_ssize_t room, bytes record_id, long long at, bytes sql_text
    ) except -2

    @cython.locals(end=Py_ssize_t, is_odd=bint)
    cpdef Py_ssize_t put_outcome(
        self, unsigned char[::1] into, Py_ssize_t start, Py_ssize_t room, bytes record_id, bytes statement_id,
        long long at, long long rows, long long bytes_out, long long duration_us,
    ) except -2

cdef bint _is_plain_text(bytes text) except -1

@cython.locals(size=int)
cdef Py_ssize_t _put_number(unsigned char[::1] into, Py_ssize_t at, unsigned long long value) except -1

@cython.locals(size=int)
cdef Py_ssize_t _put_text_header(unsigned char[::1] into, Py_ssize_t at, Py_ssize_t length) except -1

@cython.locals(end=Py_ssize_t, place=int)
cdef Py_ssize_t _put_big_endian(unsigned char[::1] into, Py_ssize_t at, int size, unsigned long long value) except -1

cdef bint _is_utf8(bytes text) except -1

@cython.locals(encoded=bytes)
cdef bytes _text(str value)

cdef bytes _number(long long value)

cdef bytes _text_header(Py_ssize_t length)
