# Types for the compiled build of lane.py.

cimport cython
from audit.lines cimport Lines
from audit.tail cimport Tail
from policies.compile.shapes cimport Entry, Known, Scope
from proxy.purses cimport Mean, Spending
from proxy.session.course cimport Course, Placed
from proxy.session.deferred cimport Deferred
from proxy.session.epoch cimport Epoch
from proxy.session.loan cimport Loan
from proxy.session.standing cimport Standing
from proxy.tallies cimport Tallies
from proxy.wire.cycles cimport Answer, Asked
from proxy.wire.frames cimport FrameCutter

cdef int _AWAY, _RESTING, _RUNNING, _WAITING, _IDLE, _IN_BLOCK
cdef Py_ssize_t _MOST_BYTES

cdef class Lane:
    cdef object _opened
    cdef object _c
    cdef FrameCutter _client
    cdef FrameCutter _server
    cdef Epoch _epoch
    cdef Py_ssize_t _most_bytes
    cdef object _handover
    cdef object _queueing
    cdef long long _lanes_seen
    cdef bint _takes_place
    cdef Loan _loan
    cdef object _services
    cdef object _now_us
    cdef Tail _tail
    cdef object _append_intent
    cdef object _append_outcome
    cdef Tallies _tallies
    cdef object _count
    cdef bint _keeps_text
    cdef bint _keeps_shape
    cdef bint _keeps_parameters
    cdef Asked _asked
    cdef Answer _answer
    cdef int _turn
    cdef long long _seen
    cdef int _status
    cdef bint _is_open
    cdef bint _is_timed
    cdef bytes _harmless_types
    cdef Scope _scope
    cdef object _policy
    cdef object _basis
    cdef dict _standing
    cdef object _allowance
    cdef Spending _spending
    cdef bint _goes_by_workload
    cdef long long _reserved
    cdef Deferred _deferred
    cdef long long _last_us
    cdef int _kind
    cdef Course _course
    cdef Lines _base
    cdef Lines _lines
    cdef Known _known
    cdef Standing _stood
    cdef bytes _statement_id
    cdef long long _started_us
    cdef long long _added_us

    cdef _forget_statement(self)
    @cython.locals(is_sure=bint, kind=int, loan=Loan)
    cpdef bytes client(self, bytes chunk)

    @cython.locals(loan=Loan, sent=bytes)
    cpdef bytes lent(self, link)

    @cython.locals(loan=Loan, kept=bytes)
    cpdef bytes take_kept(self)

    @cython.locals(loan=Loan)
    cpdef bint gives_back(self) except -1

    cdef bytes _take(self, int kind, bytes chunk)

    @cython.locals(answer=Answer, course=Course, placed=Placed)
    cpdef bytes server(self, bytes chunk)

    cpdef leave(self)

    @cython.locals(begun=cython.longlong, known=Known, course=Course)
    cdef bytes _query(self, bytes chunk)

    @cython.locals(begun=cython.longlong, asked=Asked, known=Known, course=Course, length=Py_ssize_t, parse=bytes)
    cdef bytes _parsed(self, bytes chunk)

    @cython.locals(begun=cython.longlong, asked=Asked, standing=Standing, course=Course, sent=bytes)
    cdef bytes _named(self, bytes chunk)

    @cython.locals(lines=Lines, tail=Tail, statement_id=bytes)
    cdef bint _begin(self, int kind, Course course, bytes text, long long begun, Known known) except -1

    @cython.locals(kept=bytes)
    cdef bytes _kept_text(self, Course course, bytes text)

    cdef bint _lets_pass(self, Course course) except -1

    @cython.locals(standing=Standing, known=Known, course=Course)
    cdef bint _has_turn(self, int kind) except -1
    cdef bint _has_place(self) except -1

    @cython.locals(scope=Scope, known=Known)
    cdef Known _find(self, bytes text)

    @cython.locals(course=Course, entry=Entry)
    cdef Course _course_of(self, Known known)

    cdef bint _may_control(self, int way) except -1
    cdef bint _is_harmless(self, bytes types) except -1
    cdef bint _enter(self) except -1
    cdef bint _is_same_policy(self) except -1
    cdef Standing _stand(self, bytes name)

    @cython.locals(answer=Answer, placed=Placed)
    cdef bytes _answered(self, bytes chunk, Course course, Placed placed)

    @cython.locals(
        answer=Answer, now=cython.longlong, duration_us=cython.longlong, rows=cython.longlong, tallies=Tallies
    )
    cdef _finish(self, bytes chunk, Course course, Placed placed, long long bytes_out, long long masked_cells)

    @cython.locals(mean=Mean)
    cdef bint _reserve(self, Course course, Spending spending) except -1

    cdef bint _draw(self, Course course, Lines lines) except -1
    cdef _put_back(self, Course course)

    @cython.locals(lines=Lines, mean=Mean, cost=cython.longlong)
    cdef _settle(
        self, Course course, Spending spending, long long rows, long long bytes_out, long long duration_us
    )

    @cython.locals(lines=Lines, tail=Tail)
    cdef _record(self, long long rows, long long bytes_out, long long duration_us)

    @cython.locals(answer=Answer, last=Placed, size=Py_ssize_t)
    cdef Placed _described(self, bytes chunk, Course course)

    @cython.locals(standing=Standing, foreseen=Placed)
    cdef Placed _agreed(self, Placed described)

    cdef int _status_due(self, int way) except -1

    @cython.locals(answer=Answer, has_description=bint)
    cdef bint _is_due(self, bytes chunk, Course course) except -1

    @cython.locals(standing=Standing, is_block=bint)
    cdef _bound(self, Placed placed)

    @cython.locals(asked=Asked)
    cdef object _given(self, Placed placed)

    @cython.locals(answer=Answer)
    cdef _control(self, bytes chunk, Course course)

    cdef _give_up(self)

cdef bint _is_utf8(bytes text) except -1
