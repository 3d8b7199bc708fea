# Types for the compiled build of tail.py.

cimport cython

from audit.ids cimport Ids
from audit.lines cimport Lines
from audit.segment cimport frame_bytes, write_frame

cdef class Tail:
    cdef readonly object lock
    cdef public bint is_open
    cdef public bint is_sync_due
    cdef readonly Py_ssize_t records
    cdef readonly Py_ssize_t end
    cdef readonly Py_ssize_t needed_bytes
    cdef object _clock
    cdef Ids _ids
    cdef object _wake
    cdef object _map
    cdef Py_ssize_t _size
    cdef Py_ssize_t _base
    cdef Py_ssize_t _sequence
    cdef bytes _hash
    cdef bytes _record_id

    cpdef bint has_room(self, Py_ssize_t needed_bytes)

    @cython.locals(own_hash=bytes)
    cpdef write(self, bytes record_id, bytes body)

    @cython.locals(now=cython.longlong, record_id=bytes, is_written=cython.bint)
    cpdef str intent(self, Lines lines, bytes sql_text)

    @cython.locals(now=cython.longlong, record_id=bytes, statement=bytes, body=bytes, is_written=cython.bint)
    cpdef bint outcome(
        self, Lines lines, str statement_id, object rows, long long bytes_out, long long duration_us, str sqlstate
    ) except -1

    cpdef call_for_sync(self)

    @cython.locals(needed=Py_ssize_t)
    cdef bint _try_write(self, bytes record_id, bytes body) except -1
