"""The short way through a session: one plain statement that is known already, and its whole answer in one chunk.

It stands before `requests` and `answers`, takes what it is sure of and says None to all else. What it has taken it can
give back at any time: `leave` puts the session into the state that the long way would have left, and every event that
isn't the lane's calls it first. Nothing is decided here; a text is taken only when the compiler knows it under the
policy, catalog and names of now, its plan changes nothing that the session follows, and nobody waits for anything.
"""

from __future__ import annotations

import logging
from typing import Final

from audit.errors import JournalError
from audit.lines import Lines
from policies.compile.parameter_types import that_matter
from policies.compile.shapes import Known, Scope
from proxy.purses import Reservation, Spending
from proxy.session.conversation import Conversation, SessionEnds
from proxy.session.course import BEGIN, LONG, PLAIN, Course, Placed
from proxy.session.deferred import Deferred
from proxy.session.epoch import Epoch
from proxy.session.handover import Given, Handover, oids_of
from proxy.session.loan import Loan
from proxy.session.opened import OpenSession
from proxy.session.ports import Allowance, Spent
from proxy.session.shared_link import LinkKind, SharedLink
from proxy.session.standing import Standing, standing_of
from proxy.wire.cycles import BOUND, OTHER, PARSED, QUERY, Answer, Asked
from proxy.wire.errors import ProtocolViolation
from proxy.wire.frames import FrameCutter
from proxy.wire.rows import mask_rows

log = logging.getLogger("pgwarden.session")

# Whose turn it is. AWAY: the long way has it; RESTING: the next chunk may be the lane's; RUNNING: an answer is due;
# WAITING: a chunk is kept until a link is lent.
_AWAY: Final = 0
_RESTING: Final = 1
_RUNNING: Final = 2
_WAITING: Final = 3
_MOST_STANDING: Final = 256
_MOST_BYTES: Final = 1 << 20  # of a chunk; beyond, the work is elsewhere
_IDLE: Final = 0x49
_IN_BLOCK: Final = 0x54
_NO_TYPES: Final = b""


class Lane:
    """`client` and `server` take a chunk and give what goes to the other side; None: it is the long way's.

    Raises nothing that a client or server can bring about.
    """

    def __init__(
        self, opened: OpenSession, client: FrameCutter, server: FrameCutter, epoch: Epoch, most_bytes: int
    ) -> None:
        self._opened = opened
        self._c: Conversation = opened.conversation
        self._client = client
        self._server = server
        self._epoch = epoch
        self._most_bytes = min(_MOST_BYTES, most_bytes)
        self._handover = Handover(self._c)
        self._deferred = Deferred(self._c, self._handover)
        self._loan = None if self._c.lending is None else Loan(self._c, self._c.lending)
        self._queueing = self._c.queueing
        self._lanes_seen = 0  # `Queueing.changes` when a statement's workload lane was looked at last
        self._takes_place = False  # there
        services = self._c.services
        self._services = services
        self._now_us = services.now_us
        self._tail = services.tail
        self._append_intent = services.append_intent
        self._append_outcome = services.append_outcome
        self._tallies = services.tallies
        self._count = services.count_plain
        self._keeps_text = services.is_text_kept
        self._keeps_shape = services.is_shape_kept
        self._keeps_parameters = services.keeps_parameters
        self._asked = Asked()
        self._answer = Answer()
        self._turn = _AWAY
        self._seen = -1  # the epoch that everything below was looked up in
        self._status = _IDLE
        self._is_open = False  # under the allow-everything policy
        self._is_timed = False
        self._harmless_types = _NO_TYPES
        self._scope: Scope | None = None
        self._standing: dict[bytes, Standing] = {}
        self._allowance: Allowance | None = None
        self._spending: Spending | None = None
        self._goes_by_workload = False
        self._reserved = 0
        self._forget_statement()
        self._last_us = 0

    def _forget_statement(self) -> None:
        self._kind = OTHER
        self._course: Course | None = None
        self._base: Lines | None = None  # of the course
        self._lines: Lines | None = None  # of the statement under way
        self._known: Known | None = None
        self._stood: Standing | None = None
        self._statement_id = b""
        self._started_us = 0
        self._added_us = 0

    @property
    def is_running(self) -> bool:
        """Whether an answer is due that only the lane knows of."""
        return self._turn >= _RUNNING

    @property
    def is_waiting(self) -> bool:
        """Whether a chunk is kept until a link is `lent`."""
        return self._turn == _WAITING

    @property
    def link_kind(self) -> LinkKind:
        """Of the link that it waits for."""
        lending = self._c.lending
        assert lending is not None
        return lending.kind

    # the client's chunk

    def client(self, chunk: bytes) -> bytes | None:
        """What goes to the server, its record written; None, and nothing was done. Empty: it waits for a link."""
        if self._turn >= _RUNNING or len(chunk) > self._most_bytes:
            return None
        is_sure = self._turn == _RESTING and self._seen == self._epoch.number and not self._is_timed
        if not is_sure and not self._enter():
            return None
        kind = self._asked.read(chunk)
        if kind == OTHER or (kind != QUERY and self._keeps_parameters):
            return None
        loan = self._loan
        if loan is not None and loan.link is None:
            if self._queueing is not None and not self._has_turn(kind):
                return None  # whoever has to wait for a turn waits without a link
            loan.kept = chunk
            self._turn = _WAITING
            return b""
        return self._take(kind, chunk)

    def lent(self, link: SharedLink) -> bytes | None:
        """What goes to the server of the chunk that waited; None: the long way has it, once it is told of the link."""
        loan = self._loan
        assert loan is not None
        self._turn = _RESTING
        if self._seen != self._epoch.number or (self._is_timed and not self._is_same_policy()) or not loan.take(link):
            return None
        sent = self._take(self._asked.kind, loan.kept)
        if sent is not None:
            loan.kept = b""
        return sent

    def take_kept(self) -> bytes:
        """The chunk that waits for a link, or did in vain: the long way's from now on."""
        loan = self._loan
        if loan is None:
            return b""
        kept, loan.kept = loan.kept, b""
        if self._turn == _WAITING:
            self._turn = _RESTING
        return kept

    def gives_back(self) -> bool:
        """To be asked behind an answer: whether the link is anybody's from now on."""
        loan = self._loan
        return loan is not None and self._turn == _RESTING and self._status == _IDLE and loan.give_back()

    def _take(self, kind: int, chunk: bytes) -> bytes | None:
        if kind == QUERY:
            return self._query(chunk)
        if kind == PARSED:
            return self._parsed(chunk)
        return self._named(chunk)

    def _query(self, chunk: bytes) -> bytes | None:
        begun = self._now_us()
        known = self._find(self._asked.text)
        if known is None:
            return None
        course = self._course_of(known)
        if course.way == LONG or (course.way != PLAIN and not self._may_control(course.way)):
            return None
        if not self._begin(QUERY, course, known.statement, begun, known):
            return None
        self._known = known
        if known.text == self._asked.text:
            return chunk
        return b"Q" + (len(known.text) + 5).to_bytes(4, "big") + known.text + b"\0"

    def _parsed(self, chunk: bytes) -> bytes | None:
        begun = self._now_us()
        asked = self._asked
        if asked.types != self._harmless_types and not self._is_harmless(asked.types):
            return None
        known = self._find(asked.text)
        if known is None:
            return None
        course = self._course_of(known)
        # Without the client's own Describe nothing says which columns come.
        if course.way != PLAIN or (course.is_masked and not asked.is_described):
            return None
        if not self._begin(PARSED, course, known.statement, begun, known):
            return None
        self._known = known
        if known.text == asked.text:
            return chunk
        length = len(known.text) + 8 + len(asked.types)
        parse = b"P" + length.to_bytes(4, "big") + b"\0" + known.text + b"\0"
        return parse + chunk[6 + len(asked.text) + 1 :]

    def _named(self, chunk: bytes) -> bytes | None:
        begun = self._now_us()
        asked = self._asked
        standing = self._standing.get(asked.statement)
        if standing is None:
            standing = self._stand(asked.statement)
            if standing is None:
                return None
        course = standing.course
        if course.way != PLAIN:
            return None
        if course.is_masked and not standing.foresee(asked.formats):
            return None
        sent: bytes | None = chunk
        if self._loan is not None:
            sent = self._loan.bound(chunk, asked.statement, standing.prepared)
        if sent is None or not self._begin(BOUND, course, standing.text, begun, None):
            return None
        self._stood = standing
        return sent

    def _begin(self, kind: int, course: Course, text: bytes, begun: int, known: Known | None) -> bool:
        """The intent's record, and the lane is running. False: the journal takes nothing."""
        lines = self._base
        if self._queueing is not None and self._lanes_seen != self._queueing.changes:
            lines = None
        if lines is None or course is not self._course:
            if self._queueing is not None and not self._lets_pass(course):
                return False
            self._course = course
            lines = self._base = self._c.ledger.lines(course.decision, course.plan)
        if self._takes_place and not self._has_place():
            return False
        if course.is_spoken and known is not None:
            lines = self._c.ledger.spoken(lines, known.comments())
        self._lines = lines
        if not self._keeps_text:
            text = self._kept_text(course, text)
        if not self._draw(course, lines):
            return False  # the long way asks again, and waits, refuses or warns
        tail = self._tail
        statement_id = None if tail is None else tail.intent(lines, text)
        if statement_id is None:
            try:
                statement_id = self._append_intent(lines, text).encode("ascii")
            except JournalError:
                self._put_back(course)
                return False  # the long way asks again, and refuses
        self._statement_id = statement_id
        self._kind = kind
        self._started_us = self._now_us()
        self._added_us = self._started_us - begun
        self._turn = _RUNNING
        if self._loan is not None:
            self._loan.run(course, kind != BOUND)
        return True

    def _lets_pass(self, course: Course) -> bool:
        """Whether it has no turn to wait for. Its lane is what the next records say."""
        assert self._queueing is not None
        self._lanes_seen = self._queueing.changes
        self._base = None
        is_let: bool = self._queueing.lets_pass(course.plan, course.decision.text, course.is_spoken)
        self._takes_place = is_let and self._queueing.takes_place
        return is_let

    def _has_turn(self, kind: int) -> bool:
        """The same for what was asked, where that is known."""
        if kind == BOUND:
            standing = self._standing.get(self._asked.statement)
            course = None if standing is None else standing.course
        else:
            known = self._find(self._asked.text)
            course = None if known is None else self._course_of(known)
        return course is not None and self._lets_pass(course) and self._has_place()

    def _has_place(self) -> bool:
        """Whether it may run now, as far as a limited lane is concerned; it holds its place then."""
        queueing = self._queueing
        return not self._takes_place or queueing is None or queueing.enter_quietly()

    def _kept_text(self, course: Course, text: bytes) -> bytes:
        """What a record keeps of a text that isn't kept whole."""
        kept = course.kept
        if kept is None:
            kept = self._services.kept_text(text.decode("utf-8", "replace")).encode()
            if self._keeps_shape:
                course.kept = kept
        return kept

    def _reserve(self, course: Course, spending: Spending) -> bool:
        """Money for the statement; False: there is something to say first."""
        mean = course.mean
        if mean is None:
            plan = course.plan
            mean = course.mean = self._services.mean_cost(self._c.identity.database, plan.shape)
        self._reserved = spending.begin(mean, self._now_us()) if course.may_run_code else 0
        return self._reserved >= 0

    def _draw(self, course: Course, lines: Lines) -> bool:
        """Takes what the statement needs of budgets, rates and quotas, or nothing."""
        if self._goes_by_workload:
            self._spending = self._c.budgeting.spending("", lines)
        if self._spending is not None and not self._reserve(course, self._spending):
            return False
        allowance = self._allowance
        if allowance is not None and course.may_run_code and allowance.take(1) is not None:
            if self._spending is not None:
                self._spending.settle(self._reserved, 0)
            return False
        return True

    def _put_back(self, course: Course) -> None:
        """It didn't begin."""
        if self._allowance is not None and course.may_run_code:
            self._allowance.give_back(1)
        if self._spending is not None:
            self._spending.settle(self._reserved, 0)

    def _find(self, text: bytes) -> Known | None:
        """What is known of it; under the allow-everything policy only if nothing is changed."""
        scope = self._scope
        known = None if scope is None else scope.find(text)
        if known is None or (self._is_open and known.text != text):
            return None
        # A shape takes any literal; what isn't UTF-8 is refused on the long way.
        return known if text.isascii() or _is_utf8(text) else None

    def _course_of(self, known: Known) -> Course:
        course: Course | None = known.entry.note
        if course is None:
            course = known.entry.note = Course(known.decision, known.entry.is_spoken)
        return course

    def _may_control(self, way: int) -> bool:
        """BEGIN outside of a block, COMMIT and ROLLBACK inside. Timers of idleness differ, and aren't the lane's."""
        return self._status == (_IDLE if way == BEGIN else _IN_BLOCK) and not self._opened.watches_idleness

    def _is_harmless(self, types: bytes) -> bool:
        """Whether no rule looks at these parameter types."""
        if that_matter(oids_of(types)) and not self._is_open:
            return False
        self._harmless_types = types
        return True

    # entering

    def _enter(self) -> bool:
        """Whether the session is at rest, and under what: all that may have changed is looked up anew."""
        if self._turn == _RESTING and self._is_timed and self._seen == self._epoch.number and self._is_same_policy():
            return True
        self.leave()
        c = self._c
        client, server = self._client, self._server
        if client.unread_bytes or client.is_passing or server.unread_bytes or server.is_passing:
            return False
        if self._opened.is_waiting or self._opened.is_held or not c.is_at_rest:
            return False
        if self._loan is not None and not self._loan.enter():
            return False
        seen = self._epoch.number
        try:
            policy = c.policy()
        except SessionEnds:
            return False
        catalog = self._services.catalog(c.identity.database)
        if catalog is None or c.shadow is not None:
            return False
        namespace = c.sent.track.namespace
        is_plain = not namespace.temporary and not namespace.made and not namespace.is_dirty
        if not is_plain and not policy.is_everything:
            return False
        self._policy = policy
        self._allowance = c.allowance
        self._spending = c.budgeting.spending()
        self._goes_by_workload = c.budgeting.goes_by_workload
        self._basis = c.basis(policy, "")
        self._scope = self._services.scope(policy, catalog, self._basis.namespace)
        self._is_open = policy.is_everything
        self._is_timed = self._services.is_timed(c.identity.user, c.identity.database)
        self._harmless_types = _NO_TYPES
        self._standing.clear()
        self._status = c.status[0]
        self._course = None
        self._seen = seen
        self._turn = _RESTING
        return True

    def _is_same_policy(self) -> bool:
        """Whether the hour has changed nothing."""
        try:
            return self._c.policy() is self._policy
        except SessionEnds:
            return False

    def _stand(self, name: bytes) -> Standing | None:
        if not name and (not self._deferred.is_unnamed_kept or self._loan is not None):
            return None
        standing = standing_of(self._c, self._policy, name)
        if standing is not None and len(self._standing) < _MOST_STANDING:
            self._standing[name] = standing
        return standing

    # the server's chunk

    def server(self, chunk: bytes) -> bytes | None:
        """What goes to the client, the outcome recorded; None, and nothing was done."""
        if self._turn != _RUNNING or len(chunk) > self._most_bytes:
            return None
        if self._seen != self._epoch.number:
            return None  # prices may be others
        answer = self._answer
        course = self._course
        if course is None or not answer.read(chunk, self._kind) or not self._is_due(chunk, course):
            return None
        placed = None
        if answer.rows_at > answer.description_at and not answer.is_no_data:
            placed = self._described(chunk, course)
            if placed is None:
                return None
        if course.is_masked and self._kind == BOUND:
            placed = self._agreed(placed)
        return self._answered(chunk, course, placed)

    def _is_due(self, chunk: bytes, course: Course) -> bool:
        """Whether an answer of this kind ends such a statement, and every row may be shown."""
        answer = self._answer
        if answer.status != self._status_due(course.way) or 0 <= course.most_rows < answer.rows:
            return False
        if course.is_commit and chunk.startswith(b"ROLLBACK", answer.tag_at + 5):
            return False
        has_description = answer.rows_at > answer.description_at
        if answer.rows and (answer.is_no_data or (self._kind == QUERY and not has_description)):
            return False
        if self._kind == QUERY:
            return not answer.is_no_data
        return has_description == self._asked.is_described

    def _answered(self, chunk: bytes, course: Course, placed: Placed | None) -> bytes | None:
        answer = self._answer
        bytes_out = answer.rows_end - answer.rows_at
        masked_cells = 0
        reply = chunk
        if answer.rows and course.is_masked:
            if placed is None:
                return None
            try:
                masked = mask_rows(chunk, answer.rows_at, answer.rows_end, placed.columns, placed.column_count, 0)
            except (ProtocolViolation, ValueError):
                return None  # the long way says what follows from that
            bytes_out = len(masked)
            masked_cells = answer.rows * placed.mask_count
            reply = chunk[: answer.rows_at] + masked + chunk[answer.rows_end :]
        if 0 <= course.most_bytes < bytes_out:
            return None
        self._finish(chunk, course, placed, bytes_out + answer.tag_bytes, masked_cells)
        return reply

    def _finish(self, chunk: bytes, course: Course, placed: Placed | None, bytes_out: int, masked_cells: int) -> None:
        answer = self._answer
        now = self._last_us = self._now_us()
        duration_us = now - self._started_us
        rows = answer.rows or answer.affected
        self._record(rows, bytes_out, duration_us)
        if self._queueing is not None:
            self._queueing.ran(course.plan, rows)
            self._queueing.leave()
        allowance, lines = self._allowance, self._lines
        if allowance is not None and lines is not None and allowance.counts_cost:
            allowance.spend(lines, Spent(rows, bytes_out, duration_us))
        if self._spending is not None:
            self._settle(course, self._spending, rows, bytes_out, duration_us)
        tallies = self._tallies
        if tallies is None:
            self._count(course.verdict, self._added_us, duration_us, rows, bytes_out, masked_cells)
        else:
            tallies.count_plain(course.is_rewritten, self._added_us, duration_us, rows, bytes_out, masked_cells)
        self._turn = _RESTING
        self._deferred.count()
        if course.way != PLAIN:
            self._control(chunk, course)
        elif self._kind == QUERY:
            self._deferred.queried()
        elif self._kind == PARSED:
            self._deferred.parsed(self._given(placed), self._status == _IN_BLOCK)
        else:
            self._bound(placed)
        self._known = self._stood = None

    def _settle(self, course: Course, spending: Spending, rows: int, bytes_out: int, duration_us: int) -> None:
        """Budgets are charged with what the outcome's record says."""
        lines, mean = self._lines, course.mean
        assert lines is not None
        assert mean is not None
        cost = lines.nano(rows, bytes_out, duration_us)
        mean.note(cost)
        spending.settle(self._reserved, cost)

    def _record(self, rows: int, bytes_out: int, duration_us: int) -> None:
        """The outcome."""
        lines, tail = self._lines, self._tail
        assert lines is not None
        if tail is not None and tail.plain_outcome(lines, self._statement_id, rows, bytes_out, duration_us):
            return
        try:
            self._append_outcome(lines, self._statement_id.decode("ascii"), rows, bytes_out, duration_us)
        except JournalError:
            # What already happened can't be stopped any more; the next statement can, and will be.
            log.error("an outcome could not be recorded", extra={"fields": {"session": self._c.identity.session}})

    def _described(self, chunk: bytes, course: Course) -> Placed | None:
        """What rows behind this description need; the same bytes as last time need no second look."""
        answer = self._answer
        last = course.last
        size = answer.rows_at - answer.description_at
        if last is not None and last.size == size and chunk.startswith(last.description, answer.description_at):
            return last
        return course.placed(chunk[answer.description_at : answer.rows_at])

    def _agreed(self, described: Placed | None) -> Placed | None:
        """For a statement that was prepared: its masks go where they were foreseen, or nowhere."""
        standing = self._stood
        if standing is None:
            return None
        foreseen = standing.placed.get(self._asked.formats)
        if described is not None and (foreseen is None or foreseen.columns != described.columns):
            return None
        return foreseen if described is None else described

    def _status_due(self, way: int) -> int:
        if way == PLAIN:
            return self._status
        return _IN_BLOCK if way == BEGIN else _IDLE

    # what follows for the session

    def _bound(self, placed: Placed | None) -> None:
        """A statement that was prepared before has run."""
        standing = self._stood
        assert standing is not None
        if self._asked.is_described and (placed is None or placed is not standing.told):
            standing.told = placed
            self._handover.told(standing.prepared, placed)
        is_block = self._status == _IN_BLOCK
        self._deferred.bound(self._given(placed) if is_block else None, is_block)

    def _given(self, placed: Placed | None) -> Given:
        """The statement that runs or has run."""
        asked = self._asked
        prepared = None if self._stood is None else self._stood.prepared
        return Given(
            self._known,
            prepared,
            self._basis,
            asked.types,
            asked.formats,
            asked.text,
            self._is_open,
            asked.is_described,
            placed,
        )

    def _control(self, chunk: bytes, course: Course) -> None:
        """BEGIN, COMMIT or ROLLBACK has been answered."""
        answer = self._answer
        self._deferred.settle()
        tag = chunk[answer.tag_at + 5 : answer.tag_at + answer.tag_bytes - 1]
        status = chunk[len(chunk) - 1 :]
        self._handover.control(course.plan, tag, status)
        self._status = answer.status

    # leaving

    def leave(self) -> None:
        """From here on the long way has the session, as if it had had it all the time. Raises Unexpected."""
        if self._turn == _AWAY:
            return
        if self._turn == _WAITING:
            self._client.feed(self.take_kept())
        is_running = self._turn == _RUNNING
        self._turn = _AWAY
        self._c.active_us = self._last_us
        self._deferred.settle()
        if is_running:
            self._give_up()
        self._known = self._stood = None

    def _give_up(self) -> None:
        """The statement that is running goes on on the long way."""
        self._services.count_added(self._added_us)
        given = self._given(None)
        account = self._handover.account(given, self._lines, self._statement_id.decode("ascii"), self._started_us)
        if self._spending is not None and self._course is not None and self._course.mean is not None:
            account.reservation = Reservation(self._spending, self._course.mean, self._reserved)
        if self._kind == QUERY:
            self._handover.query(given, account)
        else:
            self._handover.extended(given, account)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
