# Types for the compiled build of relay.py. ClientLink must not override what is passed here by C calls alone.

cimport cython

from proxy.session.lane cimport Lane

cdef class Relay:
    cdef public Lane lane
    cdef public bint is_strict
    cdef public bint is_server_finished
    cdef public object client_transport
    cdef public object server_transport
    cdef public object lent

    @cython.locals(lane=Lane, sent=bytes)
    cdef _from_client(self, bytes data)

    @cython.locals(lane=Lane, shown=bytes)
    cdef _from_server(self, bytes data)

    cdef _show(self, data)

    cdef _send(self, data)

cdef class ServerFeed:
    cdef public object receiver
    cdef Relay _relay
