# Types for the compiled build of frame_rows.py. Lengths have 32 bits, so they are put together in 64.

cimport cython

from audit cimport octets
from audit.copy_rows cimport RowWriter, cut
from audit.libraries cimport Functions

cdef object _crc32
cdef object _sha256
cdef long long _HEAD_BYTES
cdef Py_ssize_t _HASHED_AT
cdef Py_ssize_t _DRAFT_BYTES
cdef long long _MAX_BYTES

cdef class FrameRows:
    cdef RowWriter _writer
    cdef Functions _functions
    cdef unsigned char[::1] _draft
    cdef Py_ssize_t _draft_room
    cdef readonly Py_ssize_t frames
    cdef readonly Py_ssize_t edited
    cdef readonly bytes last_hash
    cdef readonly object end
    cdef readonly Py_ssize_t needed_bytes

    @cython.locals(
        at=cython.longlong, size=cython.longlong, length=cython.longlong, end=cython.longlong, record=bytes,
    )
    cpdef Py_ssize_t take(self, bytes data, Py_ssize_t number, bint is_cut) except -1

    cdef _add(self, Py_ssize_t number, bytes record)

    @cython.locals(size=Py_ssize_t, of_length=cython.uint, of_rest=cython.longlong)
    cdef bint _is_whole(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1

    @cython.locals(size=Py_ssize_t, before=bytes, same=Py_ssize_t)
    cdef bint _is_hash_true(self, bytes record) except -1

@cython.locals(
    first=cython.longlong, second=cython.longlong, third=cython.longlong, fourth=cython.longlong,
)
cdef long long _number_at(bytes data, long long at) except -1
