# What octets.py does, in C, for the compiled modules that cimport it; this file is compiled into each of them.
# Every function holds its offsets against the buffers' sizes before it touches them.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

from audit.libraries cimport Functions

cdef extern from "<time.h>" nogil:
    cdef struct timespec:
        long long tv_sec
        long tv_nsec
    int CLOCK_REALTIME
    int CLOCK_MONOTONIC
    int clock_gettime(int clock, timespec* into)

cdef extern from *:
    """
    /* What was copied before is there before the first four bytes are. */
    static inline void pgwarden_store_last(unsigned char *to, const unsigned char *from) {
        unsigned int first;
        memcpy(&first, from, 4);
        __atomic_thread_fence(__ATOMIC_RELEASE);
        __atomic_store_n((unsigned int *)to, first, __ATOMIC_RELEASE);
    }
    """
    void pgwarden_store_last(unsigned char* to, const unsigned char* data) noexcept nogil

ctypedef int (*sha256_init)(void*) noexcept nogil
ctypedef int (*sha256_update)(void*, const void*, size_t) noexcept nogil
ctypedef int (*sha256_final)(unsigned char*, void*) noexcept nogil
ctypedef unsigned long (*crc32_update)(unsigned long, const unsigned char*, unsigned int) noexcept nogil

cdef inline int require(unsigned char[::1] buffer, Py_ssize_t at, Py_ssize_t size) except -1:
    if at < 0 or size < 0 or at > buffer.shape[0] or size > buffer.shape[0] - at:
        raise IndexError("outside of the buffer")
    return 0

cdef inline long long clock_us() noexcept:
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return now.tv_sec * 1000000 + now.tv_nsec // 1000

cdef inline long long monotonic_us() noexcept:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * 1000000 + now.tv_nsec // 1000

cdef inline Py_ssize_t put(unsigned char[::1] into, Py_ssize_t at, bytes data) except -1:
    cdef Py_ssize_t size
    if data is None:
        raise ValueError("nothing to put")
    size = PyBytes_GET_SIZE(data)
    require(into, at, size)
    if size:
        memcpy(&into[at], PyBytes_AS_STRING(data), size)
    return at + size

cdef inline bytes take(unsigned char[::1] data, Py_ssize_t at, Py_ssize_t size):
    require(data, at, size)
    return PyBytes_FromStringAndSize(<char*> &data[at], size) if size else b""

cdef inline int put_sha256(
    Functions functions, unsigned char[::1] into, Py_ssize_t at, bytes before, Py_ssize_t start, Py_ssize_t size
) except -1:
    cdef unsigned long long context[32]  # SHA256_CTX has 112 bytes
    require(into, at, 32)
    require(into, start, size)
    if before is None or functions is None or not functions.sha256_final:
        raise ValueError("no SHA-256 here")
    (<sha256_init> functions.sha256_init)(context)
    (<sha256_update> functions.sha256_update)(context, PyBytes_AS_STRING(before), PyBytes_GET_SIZE(before))
    if size:
        (<sha256_update> functions.sha256_update)(context, &into[start], size)
    (<sha256_final> functions.sha256_final)(&into[at], context)
    return 0

cdef inline unsigned int crc32(
    Functions functions, unsigned char[::1] data, Py_ssize_t start, Py_ssize_t size, unsigned int before
) except? 4294967295:
    require(data, start, size)
    if functions is None or not functions.crc32 or size > 0x7FFFFFFF:
        raise ValueError("no CRC-32 here")
    return <unsigned int> (<crc32_update> functions.crc32)(before, &data[start], <unsigned int> size) if size else before

cdef inline int publish(unsigned char[::1] into, Py_ssize_t at, unsigned char[::1] data, Py_ssize_t size) except -1:
    require(into, at, size)
    require(data, 0, size)
    if size < 4 or at & 3:
        raise IndexError("no length to put last")
    memcpy(&into[at + 4], &data[4], size - 4)
    pgwarden_store_last(&into[at], &data[0])
    return 0
