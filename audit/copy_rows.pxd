# Types for the compiled build of copy_rows.py. Offsets are held against the body by Python's own indexing; what lies
# beyond its end is no byte of a record.

cimport cython

cdef class RowWriter:
    cdef bytes _chain
    cdef dict _speakers
    cdef dict _decided
    cdef dict _endings
    cdef readonly list rows
    cdef readonly set days
    cdef readonly dict opened
    cdef readonly list closed
    cdef long long _last_day

    cpdef add(self, Py_ssize_t number, bytes prev_hash, bytes own_hash, bytes body)

    @cython.locals(
        stage_end=Py_ssize_t, statement_end=Py_ssize_t, at=cython.longlong, speaker_at=Py_ssize_t, text_at=Py_ssize_t,
        text_end=Py_ssize_t, rows_at=Py_ssize_t, bytes_at=Py_ssize_t, duration_at=Py_ssize_t, cost_at=Py_ssize_t,
        currency_at=Py_ssize_t, hashes_at=Py_ssize_t, stage=bytes, decided=bytes, statement=bytes, row=bytes,
    )
    cdef _add_plain(self, Py_ssize_t number, bytes prev_hash, bytes own_hash, bytes body)

    @cython.locals(day=cython.longlong)
    cdef _note(self, long long at, str statement_id, bint is_run, bint is_outcome)

    @cython.locals(fields=bytes)
    cdef bytes _speaker_fields(self, bytes part)

    @cython.locals(fields=bytes)
    cdef bytes _decided_fields(self, bytes part)

    @cython.locals(fields=bytes)
    cdef bytes _ending_fields(self, bytes part)

@cython.locals(lead=Py_ssize_t)
cdef Py_ssize_t _text_start(bytes body, Py_ssize_t at) except -1

@cython.locals(lead=Py_ssize_t, length=Py_ssize_t, start=Py_ssize_t)
cdef Py_ssize_t _text_end(bytes body, Py_ssize_t at) except -1

cdef Py_ssize_t _texts_end(bytes body, Py_ssize_t at, Py_ssize_t count) except -1

@cython.locals(lead=Py_ssize_t)
cdef Py_ssize_t _list_end(bytes body, Py_ssize_t at) except -1

cdef Py_ssize_t _decided_end(bytes body, Py_ssize_t at) except -1

@cython.locals(lead=Py_ssize_t)
cdef Py_ssize_t _number_end(bytes body, Py_ssize_t at) except -1

cdef long long _time_at(bytes body, Py_ssize_t at) except -1

@cython.locals(lead=Py_ssize_t)
cdef bytes _number(bytes body, Py_ssize_t at, Py_ssize_t end)

cdef bytes _stage(bytes part)

cdef bytes _text(bytes value)

@cython.locals(fraction=cython.longlong, whole=cython.longlong)
cdef bytes _cost(bytes part)
