# Types for the compiled build of tail.py.

cimport cython

from audit cimport octets
from audit.ids cimport Ids
from audit.libraries cimport Functions
from audit.lines cimport Lines
from audit.segment cimport frame_bytes, write_frame

cdef Py_ssize_t _HASH_BYTES, _HASHED_AT, _HASH_AT

cdef class Tail:
    cdef readonly object lock
    cdef public bint is_open
    cdef public bint is_sync_due
    cdef readonly Py_ssize_t records
    cdef readonly Py_ssize_t end
    cdef readonly Py_ssize_t needed_bytes
    cdef object _clock
    cdef bint _is_system_clock
    cdef Ids _ids
    cdef object _wake
    cdef Functions _functions
    cdef unsigned char[::1] _draft
    cdef Py_ssize_t _draft_room
    cdef object _map
    cdef unsigned char[::1] _view
    cdef Py_ssize_t _size
    cdef Py_ssize_t _base
    cdef Py_ssize_t _sequence
    cdef bytes _hash
    cdef bytes _record_id

    cpdef bint has_room(self, Py_ssize_t needed_bytes)

    @cython.locals(own_hash=bytes)
    cpdef write(self, bytes record_id, bytes body)

    @cython.locals(now=cython.longlong, record_id=bytes, end=Py_ssize_t, is_written=cython.bint)
    cpdef bytes intent(self, Lines lines, bytes sql_text)

    @cython.locals(now=cython.longlong, record_id=bytes, end=Py_ssize_t, body=bytes, is_written=cython.bint)
    cpdef bint plain_outcome(
        self, Lines lines, bytes statement_id, long long rows, long long bytes_out, long long duration_us
    ) except -1

    @cython.locals(now=cython.longlong, record_id=bytes, body=bytes, is_written=cython.bint)
    cpdef bint outcome(
        self, Lines lines, bytes statement_id, object rows, long long bytes_out, long long duration_us, str sqlstate
    ) except -1

    cpdef call_for_sync(self)

    cdef long long _now(self) except -1

    @cython.locals(needed=Py_ssize_t)
    cdef bint _try_write(self, bytes record_id, bytes body) except -1

    @cython.locals(length=Py_ssize_t, needed=Py_ssize_t, functions=Functions, checksum=cython.uint)
    cdef bint _try_publish(self, bytes record_id, Py_ssize_t end) except -1

@cython.locals(place=int)
cdef _put_little_endian(unsigned char[::1] into, Py_ssize_t at, unsigned int value)
