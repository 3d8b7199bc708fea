"""The lane and the long way leave the same behind: bytes, records, counts and the session's state.

Two sessions play the same script, one of them without a lane, each with a server of its own. The only difference that
is allowed is a Describe of pgwarden's own, which the lane has no need of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policies.decision import ColumnMask
from proxy.session.ports import Rules
from proxy.wire import messages as m
from proxy.wire.codec import encode
from tests.playbooks.fake_server import FakeServer, Result
from tests.playbooks.stage import Maker, Play, StageServices, allow, column, limits, policy_of, refuse


class Stars:
    """A mask that shows itself; of a value that isn't its type's it says so as the real ones do."""

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        if value == b"odd":
            raise ValueError("not of the type")
        return b"*%d" % format_code


MASK = ColumnMask(500, 2, 1, Stars())
ID, EMAIL = column("id", 500, 1, 23), column("email", 500, 2)
MASKED, PLAIN, CAPPED = "SELECT id, email", "SELECT id", "SELECT capped"
WRITE, REFUSED, FAILING, NOISY = "UPDATE t SET a = 1", "SELECT hidden", "SELECT 1/0", "SELECT noisy"
REWRITTEN, BROKEN, MOVED, ODD = "SELECT all", "SELEC", "SELECT moved", "SELECT odd"
SPOKEN = "SELECT said /*application='a',traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/"
TEXTS = (
    MASKED, PLAIN, SPOKEN, CAPPED, WRITE, REFUSED, FAILING, NOISY, REWRITTEN, BROKEN, MOVED, ODD, "BEGIN", "COMMIT",
    "ROLLBACK",
)  # fmt: skip


def decisions() -> dict[str, Maker]:
    guarded: dict[str, Any] = {"is_rewritten": True, "is_guarded": True, "rule_ids": ("p/rows[0]",), "tables": ("t",)}
    control = {text: _with(text, command=text.lower()) for text in ("BEGIN", "COMMIT", "ROLLBACK")}
    return {
        MASKED: _with(MASKED, column_masks=(MASK,), masked_columns=("t.email",)),
        MOVED: _with(MOVED, column_masks=(MASK,), masked_columns=("t.email",)),
        ODD: _with(ODD, column_masks=(MASK,), masked_columns=("t.email",)),
        CAPPED: _with(CAPPED, limits=limits(rows=1)),
        WRITE: _with(WRITE, command="update"),
        REFUSED: refuse(),
        FAILING: _with(FAILING, is_guarded=True),
        REWRITTEN: lambda sql: replace(allow(sql, **guarded)(sql), text="SELECT guarded"),
        **control,
    }


def _with(text: str, **changes: Any) -> Maker:
    return allow(text, **changes)


RESULTS = {
    MASKED: Result((ID, EMAIL), ((b"1", b"a@x"), (b"2", None))),
    PLAIN: Result((ID,), ((b"1",), (b"2",)), b"SELECT 2"),
    SPOKEN: Result((ID,), ((b"3",),)),
    CAPPED: Result((ID,), ((b"1",), (b"2",)), b"SELECT 2"),
    WRITE: Result((), (), b"UPDATE 7"),
    FAILING: Result((ID,), ((b"1",),), fails="22012"),
    NOISY: Result((ID,), ((b"1",),), says=True),
    "SELECT guarded": Result((ID,), (), b"SELECT 0"),
    MOVED: Result((ID,), ((b"1",),)),  # its masked column isn't there
    ODD: Result((ID, EMAIL), ((b"1", b"odd"),)),
}


class Side:
    """A session, with or without a lane, and its server."""

    def __init__(self, has_lane: bool, is_open: bool = False) -> None:
        self.services = StageServices(decisions(), policy_of(is_everything=is_open))
        self.play = Play(self.services, Rules(), has_lane=has_lane).open()
        self.server = FakeServer(dict(RESULTS))
        self.sent: list[m.Message] = []
        self.warm()

    def warm(self) -> None:
        """Every text is known already."""
        assert self.services.policy is not None
        assert self.services.snapshot is not None
        conversation = self.play.session._c
        assert conversation is not None
        policy, namespace = self.services.policy, conversation.basis(self.services.policy, "").namespace
        for text in TEXTS:
            self.services.decide(text, policy, self.services.snapshot, namespace)
        del self.services.paths[:]

    def client(self, data: bytes, cut: int = 0) -> None:
        for piece in pieces(data, cut):
            if self.play.session.is_ended:
                return
            self.play.client_raw(piece)
            self.sent += self.play.server_hears()

    def answer(self, cut: int = 0) -> None:
        """The server answers what it has got, and whatever that brings about."""
        while self.sent and not self.play.session.is_ended:
            data = b"".join(map(encode, self.sent))
            self.sent.clear()
            for piece in pieces(self.server.take(data), cut):
                if not self.play.session.is_ended:
                    self.play.server_raw(piece)
                    self.sent += self.play.server_hears()


def pieces(data: bytes, cut: int) -> list[bytes]:
    """In two at `cut`, counted from the end if it is negative."""
    parts = [data[:cut], data[cut:]] if cut else [data]
    return [part for part in parts if part]


class Both:
    """The same on both sides; whatever differs fails."""

    def __init__(self, is_open: bool = False) -> None:
        self.short, self.long = Side(has_lane=True, is_open=is_open), Side(has_lane=False, is_open=is_open)
        self.sides = (self.short, self.long)

    def exchange(self, data: bytes, cut: int = 0, answer_cut: int = 0) -> Both:
        for side in self.sides:
            side.client(data, cut)
            side.answer(answer_cut)
        return self.compare()

    def say(self, *messages: m.Message) -> Both:
        return self.exchange(b"".join(map(encode, messages)))

    def compare(self) -> Both:
        short, long = self.short, self.long
        assert short.play.client_bytes == long.play.client_bytes
        assert recorded(short.services) == recorded(long.services)
        assert counted(short.services) == counted(long.services)
        assert short.play.session.is_ended == long.play.session.is_ended
        assert short.play.session.is_between_transactions == long.play.session.is_between_transactions
        return self

    def compare_state(self) -> Both:
        """Ends what the lane puts off. A session that has ended has left what it has left."""
        self.compare()
        if not self.short.play.session.is_ended:
            assert state_of(self.short) == state_of(self.long)
        return self

    @property
    def taken(self) -> int:
        return self.short.play.taken


def recorded(services: StageServices) -> list[Any]:
    blank: dict[str, Any] = {"id": "", "statement_id": "", "at": 0, "duration_us": None, "session": ""}
    ids = {record.statement_id: at for at, record in reversed(list(enumerate(services.records)))}
    return [(ids[one.statement_id], msgspec.structs.replace(one, **blank)) for one in services.records]


def counted(services: StageServices) -> list[Any]:
    return [replace(one, duration_us=0) for one in services.measures]


def state_of(side: Side) -> Any:
    session = side.play.session
    if session.lane is not None:
        session.lane.leave()
    c = session._c
    assert c is not None
    owed = sum(not item.is_swallowed for item in c.queue)
    flags = (c.group, c.status, c.is_idle, c.is_skipping, c.is_late, c.has_run, owed, c.is_ended, c.cancels)
    return flags, [view_of(view) for view in (c.confirmed, c.sent)]


def view_of(view: Any) -> Any:
    track, names = view.track, view.names
    values = (track._values, track._levels, track.is_block, track.is_failed)
    statements = {name: statement_of(held) for name, held in names.statements.items()}
    portals = {
        name: (statement_of(p.statement), p.origin, p.result_formats, p.is_executed, p.awaited, p.account is None)
        for name, p in names.portals.items()
    }
    return values, statements, portals, names.size_bytes


def statement_of(held: Any) -> Any:
    told = (held.told.fields, held.server.fields, held.server.is_described, held.server.origin)
    return held.name, held.sql, held.types, held.decision, held.basis, held.is_open, told


def query(text: str) -> bytes:
    return encode(m.Query(text.encode()))


def unnamed(text: str, *, describes: bool = True, formats: Sequence[int] = (), types: Sequence[int] = ()) -> bytes:
    parts: list[m.Message] = [m.Parse(b"", text.encode(), tuple(types))]
    parts += [m.Bind(b"", b"", (), (b"7", None), tuple(formats))]
    parts += [m.Describe(b"P", b"")] if describes else []
    return b"".join(map(encode, [*parts, m.Execute(b""), m.Sync()]))


def prepare(name: str, text: str) -> bytes:
    return b"".join(map(encode, [m.Parse(name.encode(), text.encode()), m.Describe(b"S", name.encode()), m.Sync()]))


def run(name: str, *, describes: bool = True, formats: Sequence[int] = ()) -> bytes:
    parts: list[m.Message] = [m.Bind(b"", name.encode(), (), (b"7",), tuple(formats))]
    parts += [m.Describe(b"P", b"")] if describes else []
    return b"".join(map(encode, [*parts, m.Execute(b""), m.Sync()]))


# what goes through the lane


@pytest.mark.parametrize("text", [MASKED, PLAIN, WRITE, REWRITTEN])
@pytest.mark.parametrize("say", [query, unnamed, lambda text: unnamed(text, formats=(1,), types=(23,))])
def test_plain_cycles_go_through_the_lane(text: str, say: Any) -> None:
    both = Both()
    both.exchange(say(text)).exchange(say(text))
    assert both.taken == 2
    both.compare_state()


@pytest.mark.parametrize("text", [MASKED, PLAIN, WRITE])
@pytest.mark.parametrize("describes", [True, False])
def test_prepared_statements_go_through_the_lane(text: str, describes: bool) -> None:
    both = Both().exchange(prepare("p1", text))
    for formats in ((), (1,), ()):
        both.exchange(run("p1", describes=describes, formats=formats))
    assert both.taken == 3
    both.compare_state()


def test_blocks_go_through_the_lane() -> None:
    both = Both()
    for said in (query("BEGIN"), query(PLAIN), unnamed(MASKED), unnamed(PLAIN), query("COMMIT"), query(PLAIN)):
        both.exchange(said)
    assert both.taken == 6
    both.compare_state()


def test_the_allow_everything_policy_goes_through_the_lane() -> None:
    both = Both(is_open=True).exchange(query(PLAIN)).exchange(unnamed(PLAIN))
    assert both.taken == 2
    both.compare_state()


# what doesn't, or comes back


@pytest.mark.parametrize("text", [REFUSED, "SELECT unheard of"])
def test_what_is_refused_or_unknown_takes_the_long_way(text: str) -> None:
    both = Both().exchange(query(text))
    assert both.taken == 0
    both.compare_state()


@pytest.mark.parametrize("text", [FAILING, NOISY, CAPPED, MOVED, ODD, BROKEN])
@pytest.mark.parametrize("say", [query, unnamed])
@pytest.mark.parametrize("is_block", [False, True])
def test_an_unusual_answer_is_the_long_ways(text: str, say: Any, is_block: bool) -> None:
    both = Both()
    if is_block:
        both.exchange(query("BEGIN"))
    both.exchange(unnamed(PLAIN)).exchange(say(text)).compare_state()
    both.exchange(query(PLAIN)).compare_state()


def test_a_change_of_policies_is_seen_by_the_next_statement() -> None:
    both = Both().exchange(query(PLAIN)).exchange(prepare("p1", PLAIN)).exchange(run("p1"))
    for side in both.sides:
        side.services.policy = policy_of("p2")
        side.services.decisions[PLAIN] = refuse()
    both.exchange(query(PLAIN)).exchange(run("p1")).compare_state()
    assert both.taken == 2
    assert [record.sqlstate for record in both.short.services.records[-2:]] == ["42501", "42501"]


def test_a_new_catalog_is_seen_by_the_next_statement() -> None:
    both = Both().exchange(query(MASKED)).exchange(prepare("p1", MASKED)).exchange(run("p1"))
    for side in both.sides:
        assert side.services.snapshot is not None
        side.services.snapshot = replace(side.services.snapshot, version=2)
    both.exchange(query(MASKED)).exchange(run("p1")).exchange(run("p1")).compare_state()


def test_a_policy_with_hours_is_asked_each_time() -> None:
    both = Both()
    for side in both.sides:
        side.services.is_timed_now = True
    both.exchange(query(PLAIN)).exchange(query(PLAIN))
    assert both.taken == 2
    for side in both.sides:
        # The hour has come: nobody tells the epoch.
        side.services.__dict__["policy"] = policy_of("night")
        side.services.__dict__["decisions"] = {PLAIN: refuse()}
    both.exchange(query(PLAIN)).compare_state()
    assert both.short.services.records[-1].sqlstate == "42501"


def test_a_full_journal_lets_nothing_through() -> None:
    both = Both().exchange(query(PLAIN))
    for side in both.sides:
        side.services.is_journal_full = True
    both.exchange(query(PLAIN)).exchange(unnamed(PLAIN)).compare_state()
    assert both.taken == 1


def test_a_cancel_on_its_way_holds_what_comes_until_it_has_arrived() -> None:
    both = Both().exchange(query(PLAIN))
    written = len(both.short.services.records)
    for side in both.sides:
        conversation = side.play.session._c
        assert conversation is not None
        side.play.session._guarded(conversation.cancel)
        side.play.collect()
    both.exchange(query(PLAIN))
    assert both.taken == 1
    assert [len(side.services.records) for side in both.sides] == [written, written]
    for side in both.sides:
        side.play.session.cancel_done()
        side.play.collect()
        side.sent += side.play.server_hears()
        side.answer()
    both.compare().exchange(query(PLAIN)).compare_state()
    assert both.taken == 2
    assert len(both.short.services.records) == written + 4


@pytest.mark.parametrize("event", ["client_lost", "client_finished", "upstream_lost", "drain", "end_by_operator"])
@pytest.mark.parametrize("said", [query(MASKED), unnamed(MASKED)])
def test_an_event_in_the_middle_finds_the_statement(event: str, said: bytes) -> None:
    both = Both().exchange(query(PLAIN))
    for side in both.sides:
        side.client(said)
        getattr(side.play.session, event)()
        side.play.collect()
        side.sent += side.play.server_hears()
    both.compare()
    for side in both.sides:
        side.answer()
    assert both.taken == 2
    both.compare_state()


def test_a_second_message_before_the_answer_takes_the_long_way() -> None:
    both = Both()
    for side in both.sides:
        side.client(query(MASKED))
        side.client(unnamed(PLAIN))
        side.client(query(WRITE))
        side.answer()
    assert both.taken == 1
    both.compare_state()


HOSTILE = {
    "NUL in a Query": b"Q" + (14).to_bytes(4, "big") + b"SELECT\0id\0",
    "no NUL": b"Q" + (13).to_bytes(4, "big") + b"SELECT id",
    "not UTF-8": query(PLAIN)[:-2] + b"\xff\0",
    "too short": b"Q\0\0\0\3",
    "longer than said": query(PLAIN) + b"\0",
    "negative length": b"Q\xff\xff\xff\xff" + PLAIN.encode() + b"\0",
    "two in one": query(PLAIN) + query(MASKED),
    "Bind that says too much": unnamed(PLAIN).replace(b"\0\0\0\1" + b"7", b"\0\0\0\x7f" + b"7"),
    "nothing": b"S\0\0\0\4",
    "Execute of some rows": unnamed(PLAIN).replace(b"E\0\0\0\x09\0\0\0\0\0", b"E\0\0\0\x09\0\0\0\0\2"),
    "an unknown type": b"y\0\0\0\4",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_makes_no_sense_is_the_long_ways(data: bytes) -> None:
    both = Both().exchange(query(PLAIN)).exchange(data)
    assert both.taken == 1
    both.exchange(query(PLAIN)).compare_state()


def test_an_answer_that_isnt_due_ends_both_alike() -> None:
    for answer in (
        [m.DataRow((b"1", b"a@x")), m.CommandComplete(b"SELECT 1"), m.ReadyForQuery(b"I")],
        [m.RowDescription((ID, EMAIL)), m.DataRow((b"1",)), m.CommandComplete(b"SELECT 1"), m.ReadyForQuery(b"I")],
        [m.RowDescription((ID, EMAIL)), m.CommandComplete(b"SELECT 0"), m.ReadyForQuery(b"T")],
        [m.BindComplete(), m.CommandComplete(b"SELECT 0"), m.ReadyForQuery(b"I")],
        [m.NoData(), m.CommandComplete(b"SELECT 0"), m.ReadyForQuery(b"I")],
    ):
        both = Both()
        for side in both.sides:
            side.client(query(MASKED))
            side.play.server(*answer)
        both.compare()


# everything at once

SAID = st.sampled_from(TEXTS).flatmap(
    lambda text: st.sampled_from(
        [
            query(text),
            unnamed(text),
            unnamed(text, describes=False),
            unnamed(text, formats=(1,)),
            prepare("p1", text),
            prepare("p2", text),
            run("p1"),
            run("p2", describes=False),
            run("", describes=False),
            run("p1", formats=(1,)),
            encode(m.Close(b"S", b"p1")) + encode(m.Sync()),
            query(text) + query(PLAIN),
        ]
    )
)


@settings(deadline=None)
@given(st.lists(st.tuples(SAID, st.integers(-12, 12), st.integers(-12, 12)), max_size=12))
@example([(unnamed(PLAIN), 0, 0), (run(""), 0, 0), (query(PLAIN), 0, 0), (run(""), 0, 0)])
def test_any_script_ends_alike(script: list[tuple[bytes, int, int]]) -> None:
    both = Both()
    for data, cut, answer_cut in script:
        both.exchange(data, cut, answer_cut)
    both.compare_state()


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([PLAIN, MASKED, WRITE, "BEGIN", "COMMIT"]), st.booleans()), max_size=10))
def test_any_plain_script_ends_alike(script: list[tuple[str, bool]]) -> None:
    both = Both()
    for text, is_simple in script:
        both.exchange(query(text) if is_simple else unnamed(text))
    both.compare_state()
