# Types for the compiled build of lines.py. Measures are never negative and fit into 63 bits.

cimport cython

from audit.tariff cimport Tariff

cdef class Lines:
    cdef readonly object intent
    cdef readonly object outcome
    cdef readonly object prices
    cdef Tariff _tariff
    cdef bint _is_plain
    cdef bytes _intent_start
    cdef bytes _intent_stage
    cdef bytes _before_text
    cdef bytes _behind_text
    cdef bytes _outcome_start
    cdef bytes _outcome_stage
    cdef bytes _before_rows
    cdef bytes _currency
    cdef bytes _outcome_end

    cdef _encode(self)

    cpdef bytes intent_body(self, bytes record_id, long long at, bytes sql_text)

    cpdef bytes outcome_body(
        self, bytes record_id, bytes statement_id, long long at, object rows, long long bytes_out, long long duration_us,
        str sqlstate,
    )

cdef bint _is_utf8(bytes text) except -1

cdef bytes _number(long long value)

cdef bytes _text_header(Py_ssize_t length)
