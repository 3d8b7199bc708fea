# Types for the compiled build of libraries.py.

cdef class Functions:
    cdef public size_t sha256_init
    cdef public size_t sha256_update
    cdef public size_t sha256_final
    cdef public size_t crc32
