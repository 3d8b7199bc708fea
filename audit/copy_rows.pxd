# Types for the compiled build of copy_rows.py. Offsets are held against the body by Python's own indexing; what lies
# beyond its end is no byte of a record.

cimport cython

cdef bytes _HEADER
cdef bytes _ID_HEADER
cdef bytes _LATER_EMPTY
cdef bytes _THIRD_EMPTY
cdef bytes _NO_TEXTS
cdef int _FIRST_COUNT, _SECOND_COUNT, _THIRD_COUNT
cdef bytes _STATEMENT
cdef bytes _HASHES
cdef bytes _DENY
cdef bytes _INTENT
cdef bytes _OUTCOME
cdef bytes _DIGITS
cdef bytes _NULL
cdef long long _DAY_US
cdef long long _LATEST_US
cdef long long _EPOCH_US
cdef Py_ssize_t _NO_DIGIT
cdef Py_ssize_t _BODY_AT

cdef class RowWriter:
    cdef bytes _chain
    cdef bytearray _intent
    cdef bytearray _outcome
    cdef bytearray _int8
    cdef bytearray _cost
    cdef bytearray _hashes
    cdef bytearray _length
    cdef dict _speakers
    cdef dict _decided
    cdef dict _endings
    cdef dict _shadowed
    cdef dict _costs
    cdef readonly bytearray rows
    cdef readonly Py_ssize_t count
    cdef readonly set days
    cdef readonly dict opened
    cdef readonly list closed
    cdef long long _last_day

    @cython.locals(end=Py_ssize_t)
    cpdef add(self, Py_ssize_t number, bytes record)

    @cython.locals(
        is_intent=bint, is_plain=bint, statement_at=Py_ssize_t, at=cython.longlong, statement=bytes, rows=bytearray, head=bytearray,
        speaker_at=Py_ssize_t, trace_at=Py_ssize_t, text_end=Py_ssize_t, decided_end=Py_ssize_t, decided=bytes,
        cost_at=Py_ssize_t, currency_at=Py_ssize_t, hashes_at=Py_ssize_t,
    )
    cdef _add_plain(self, Py_ssize_t number, bytes record)

    @cython.locals(place=Py_ssize_t, index=Py_ssize_t, high=Py_ssize_t, low=Py_ssize_t, byte=Py_ssize_t)
    cdef _fill_head(self, bytearray head, Py_ssize_t number, bytes record, bytes statement, long long at)

    @cython.locals(rows=bytearray, shadowed_at=Py_ssize_t, units_at=Py_ssize_t, end=Py_ssize_t)
    cdef Py_ssize_t _put_later(self, bytes record, Py_ssize_t at, int count) except -1

    @cython.locals(end=Py_ssize_t)
    cdef Py_ssize_t _put_text_at(self, bytes record, Py_ssize_t at) except -1

    @cython.locals(size=Py_ssize_t, index=Py_ssize_t)
    cdef _put_text(self, bytes value)

    @cython.locals(lead=Py_ssize_t, value=cython.longlong, end=Py_ssize_t)
    cdef Py_ssize_t _put_number(self, bytes record, Py_ssize_t at) except -1

    @cython.locals(
        whole=Py_ssize_t, fraction=cython.longlong, is_usual=bint, index=Py_ssize_t, digit=Py_ssize_t, end=Py_ssize_t,
        cost=bytearray,
    )
    cdef Py_ssize_t _put_cost(self, bytes record, Py_ssize_t at) except -1

    @cython.locals(hashes=bytearray, index=Py_ssize_t)
    cdef _put_hashes(self, bytes record)

    @cython.locals(day=cython.longlong)
    cdef _note(self, long long at, bytes statement_id, bint is_run, bint is_outcome)

    @cython.locals(fields=bytes)
    cdef bytes _speaker_fields(self, bytes part)

    @cython.locals(fields=bytes)
    cdef bytes _decided_fields(self, bytes part)

    @cython.locals(fields=bytes)
    cdef bytes _ending_fields(self, bytes part)

    @cython.locals(fields=bytes)
    cdef bytes _shadowed_fields(self, bytes part)

    @cython.locals(fields=bytes)
    cdef bytes _cost_fields(self, bytes part)

@cython.locals(octets="const unsigned char *")
cpdef bytes cut(bytes data, Py_ssize_t start, Py_ssize_t end)

@cython.locals(size=Py_ssize_t, same=Py_ssize_t)
cdef bint _has(bytes data, Py_ssize_t at, bytes part) except -1

@cython.locals(lead=Py_ssize_t)
cdef Py_ssize_t _text_start(bytes body, Py_ssize_t at) except -1

@cython.locals(lead=Py_ssize_t, length=Py_ssize_t, start=Py_ssize_t)
cdef Py_ssize_t _text_end(bytes body, Py_ssize_t at) except -1

cdef Py_ssize_t _texts_end(bytes body, Py_ssize_t at, Py_ssize_t count) except -1

@cython.locals(lead=Py_ssize_t)
cdef Py_ssize_t _list_end(bytes body, Py_ssize_t at) except -1

cdef Py_ssize_t _decided_end(bytes body, Py_ssize_t at) except -1

@cython.locals(value=cython.ulonglong, index=Py_ssize_t, byte=cython.ulonglong)
cdef long long _number_at(bytes body, Py_ssize_t at, Py_ssize_t size) except -1

@cython.locals(index=Py_ssize_t)
cdef int _put_int8(bytearray target, Py_ssize_t at, long long value) except -1

cdef int _put_int2(bytearray target, Py_ssize_t at, long long value) except -1
