"""The lane with a real compiler and a real journal: its records are there before its statement leaves, and new literals
of a known shape end as they do on the long way.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from audit.journal import Journal
from audit.record import Record, Stage, record_of
from audit.segment import SegmentReader, segment_path, sequences_in
from policies.compile.comments import comments_of
from proxy.config import SqlText
from proxy.session.origin import NOWHERE, origin_of
from proxy.wire import messages as m
from proxy.wire.codec import decode_backend, encode
from proxy.wire.frames import FrameCutter
from tests.bench.session import QUERY, SIMPLE_ANSWER, Ends, opened

WARMING = 4  # texts of one shape until it is known


class Whole:
    """A session over a journal of its own."""

    def __init__(self, folder: Path, has_lane: bool, sql_text: SqlText = SqlText.FULL) -> None:
        self.ends = Ends(opened(folder, has_lane, sql_text))
        services: Any = self.ends.session._services
        self.services = services
        self.journal: Journal = services.journal
        self.shown = b""

    def records(self) -> list[Record]:
        """Of statements, all that are written by now, durable or not."""
        found = []
        for sequence in sequences_in(self.journal.directory):
            with SegmentReader(segment_path(self.journal.directory, sequence)) as reader:
                found += [record_of(frame.body, frame.prev_hash, frame.hash) for frame in reader.frames()]
        return [record for record in found if record.stage in (Stage.INTENT, Stage.OUTCOME)]

    def exchange(self, said: bytes, answer: bytes) -> bytes:
        """What the client is shown."""
        self.ends.client(said)
        shown = self.ends.server(answer)
        self.shown += shown
        return shown


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[tuple[Whole, Whole]]:
    """With a lane, and without."""
    (tmp_path / "short").mkdir()
    (tmp_path / "long").mkdir()
    pair = Whole(tmp_path / "short", True), Whole(tmp_path / "long", False)
    yield pair
    for one in pair:
        one.journal.close()


def query(number: int) -> bytes:
    return encode(m.Query((QUERY % number).encode()))


def error_at(position: int) -> bytes:
    fields = {"S": b"ERROR", "V": b"ERROR", "C": b"22003", "M": b"out of range", "P": b"%d" % position}
    return encode(m.ErrorResponse(fields)) + encode(m.ReadyForQuery(b"I"))


def warm(pair: tuple[Whole, Whole]) -> None:
    for one in pair:
        for number in range(WARMING):
            one.exchange(query(number), SIMPLE_ANSWER)


def plain(records: list[Record]) -> list[Record]:
    blank: dict[str, Any] = {"id": "", "statement_id": "", "at": 0, "duration_us": 0, "session": "", "cost": None}
    return [msgspec.structs.replace(one, **blank, prev_hash="", hash="") for one in records]


def compare(pair: tuple[Whole, Whole]) -> None:
    short, long = pair
    assert short.shown == long.shown
    assert plain(short.records()) == plain(long.records())
    counted, expected = short.services.tallies, long.services.tallies
    for name in ("allowed", "rewritten", "denied", "rows", "sent_bytes", "masked_cells"):
        assert getattr(counted, name) == getattr(expected, name)
    assert sum(counted.total_buckets) == sum(expected.total_buckets)
    assert sum(counted.added_buckets) == sum(expected.added_buckets)


def test_a_statement_leaves_when_its_intent_is_in_the_journal(whole: tuple[Whole, Whole]) -> None:
    short, _ = whole
    warm(whole)
    lane = short.ends.session.lane
    assert lane is not None
    for number in (4711, 99):
        count = len(short.records())
        sent = lane.client(query(number))
        assert sent is not None
        added = short.records()[count:]
        assert [(one.stage, one.statement_id == one.id) for one in added] == [(Stage.INTENT, True)]
        assert added[0].sql_text == QUERY % number
        assert b"aid = %d" % number in sent
        lane.server(SIMPLE_ANSWER)
        assert [one.stage for one in short.records()[count:]] == [Stage.INTENT, Stage.OUTCOME]


def test_new_literals_of_a_known_shape_end_alike(whole: tuple[Whole, Whole]) -> None:
    warm(whole)
    for number in (7, 123456, 7):
        for one in whole:
            one.exchange(query(number), SIMPLE_ANSWER)
    assert whole[0].ends.session.lane is not None
    compare(whole)


@pytest.mark.parametrize("number", [7, 123456789])
def test_an_errors_position_is_that_of_the_text_with_its_own_literals(whole: tuple[Whole, Whole], number: int) -> None:
    warm(whole)
    shown = []
    for one in whole:
        sent = one.ends.client(query(number))
        where = sent[5:-1].decode().index("aid =") + 1
        shown.append(one.ends.server(error_at(where)))
        one.shown += shown[-1]
    assert shown[0] == shown[1]
    assert positions(shown[0]) == [str((QUERY % number).index("aid =") + 1).encode()]
    for one in whole:
        one.exchange(query(number + 1), SIMPLE_ANSWER)
    compare(whole)


def test_an_error_of_an_unnamed_statement_is_as_on_the_long_way(whole: tuple[Whole, Whole]) -> None:
    warm(whole)
    said = encode(m.Parse(b"", (QUERY % 12).encode(), ())) + encode(m.Bind(b"", b"", (), (), ()))
    said += encode(m.Describe(b"P", b"")) + encode(m.Execute(b"")) + encode(m.Sync())
    for one in whole:
        one.ends.client(said)
        one.shown += one.ends.server(error_at(8))
        one.exchange(query(5), SIMPLE_ANSWER)
    compare(whole)


def test_a_journal_that_is_full_lets_nothing_through(
    whole: tuple[Whole, Whole], monkeypatch: pytest.MonkeyPatch
) -> None:
    warm(whole)
    for one in whole:
        one.journal.close()
        sent = one.ends.client(query(1))
        assert b"pgbench_accounts" not in sent
    lane = whole[0].ends.session.lane
    assert lane is not None
    assert not lane.is_running


def positions(shown: bytes) -> list[bytes]:
    cutter, found = FrameCutter(), []
    cutter.feed(shown)
    for type_byte, start, end in cutter:
        message = decode_backend(type_byte, cutter.buffer[start + 5 : end])
        if isinstance(message, m.ErrorResponse):
            found.append(bytes(message.fields["P"]))
    return found


SPOKEN = (
    "/*application='a',traceparent='00-{trace:032x}-00f067aa0ba902b7-01'*/ SELECT abalance, filler"
    " FROM pgbench_accounts WHERE aid = {number}",
    "SELECT abalance, filler FROM pgbench_accounts WHERE aid = {number} -- user='u{trace}',application='b'",
    "SELECT abalance, filler FROM pgbench_accounts /* {trace} */ WHERE aid = {number}"
    ' /* {{"app": "dbt"}} */ ; -- {trace}',
)


@pytest.mark.parametrize("form", SPOKEN)
@pytest.mark.parametrize("sql_text", list(SqlText))
def test_each_record_says_what_its_own_text_says(tmp_path: Path, form: str, sql_text: SqlText) -> None:
    pair = spoken_pair(tmp_path, sql_text)
    texts = [form.format(trace=1000 + number, number=7 * number) for number in range(12)]
    for one in pair:
        for text in texts[:WARMING]:
            one.exchange(encode(m.Query(text.encode())), SIMPLE_ANSWER)
    lane = pair[0].ends.session.lane
    assert lane is not None
    for text in texts[WARMING:]:
        said = encode(m.Query(text.encode()))
        assert lane.client(said) is not None
        pair[0].shown += lane.server(SIMPLE_ANSWER) or b""
        pair[1].exchange(said, SIMPLE_ANSWER)
    # An error is told by the long way, from what the lane has handed over.
    for one in pair:
        one.ends.client(encode(m.Query(texts[-1].encode())))
        one.shown += one.ends.server(error_at(8))
    compare(pair)
    records = pair[0].records()
    assert len(records) == 2 * (len(texts) + 1)
    for number, text in enumerate(texts):
        origin = origin_of(comments_of(text))
        assert origin != NOWHERE
        for record in records[2 * number : 2 * number + 2]:
            end_user = origin.end_user if origin.end_user.startswith("u1") else ""
            assert (record.workload, record.trace_id, record.end_user) == (origin.workload, origin.trace_id, end_user)
    for one in pair:
        one.journal.close()


def spoken_pair(folder: Path, sql_text: SqlText) -> tuple[Whole, Whole]:
    (folder / "short").mkdir()
    (folder / "long").mkdir()
    return Whole(folder / "short", True, sql_text), Whole(folder / "long", False, sql_text)
