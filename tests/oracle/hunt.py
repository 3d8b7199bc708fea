"""Asks statements of pgwarden and of the copy in batches and judges the answers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.oracle.pipe import Lost, Path, Pipe, Statement, exchange
from tests.oracle.sieve import Sieve
from tests.oracle.stand import COPY, OURS, REVERSED, SKEWED, TWIN, Stand
from tests.oracle.verdict import Reply, Verdict, difference, is_same, judge, may_be_undetermined, read_reply

BATCH = 40
FAULTS = (Verdict.DIFFERENT, Verdict.LEAK)
_NO_NESTED, _NO_HASH, _NO_MERGE = "enable_nestloop = off", "enable_hashjoin = off", "enable_mergejoin = off"
_AS_WRITTEN = ("join_collapse_limit = 1", "from_collapse_limit = 1")
_NO_SCAN = "enable_seqscan = off"
PLANS = (
    (_NO_NESTED,),
    (_NO_HASH,),
    (_NO_MERGE,),
    (_NO_NESTED, _NO_HASH),
    (_NO_NESTED, _NO_MERGE),
    (_NO_HASH, _NO_MERGE),
    _AS_WRITTEN,
    (*_AS_WRITTEN, _NO_NESTED),
    (*_AS_WRITTEN, _NO_HASH, _NO_MERGE),
    (_NO_SCAN,),
    (_NO_SCAN, _NO_HASH, _NO_MERGE),
    ("enable_hashagg = off", "enable_material = off"),
    ("enable_sort = off", "enable_indexscan = off", "enable_bitmapscan = off"),
)
# Join orders at random.
PLANS += tuple(
    ("geqo_threshold = 2", f"geqo_seed = 0.{seed}", "geqo_effort = 1", *others)
    for seed in range(1, 10)
    for others in ((_NO_HASH, _NO_MERGE), (_NO_NESTED,))
)
_LAST_LIMIT = re.compile(r"\s+limit \d+\s*$")
_QUOTED = re.compile(r'"[^"]*"|\([^)]*\)|\d+')


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement whose answer isn't the copy's."""

    statement: Statement
    verdict: Verdict
    what: str


@dataclass
class Tally:
    """What came out so far. `refusals`: how often each reason was given; `examples`: its shortest statement."""

    verdicts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    states: Counter[str] = field(default_factory=Counter)

    @property
    def statements(self) -> int:
        return sum(self.verdicts.values())

    @property
    def allowed(self) -> float:
        """The share of statements that weren't refused."""
        return 1 - self.verdicts[Verdict.REFUSED.value] / max(1, self.statements)

    def add(self, statement: Statement, verdict: Verdict, ours: Reply) -> None:
        self.verdicts[verdict.value] += 1
        if verdict is Verdict.REFUSED:
            reason = _reason(ours)
            self.refusals[reason] += 1
            self.examples[reason] = min(self.examples.get(reason, statement.sql), statement.sql, key=len)
        elif ours.sqlstate:
            self.states[ours.sqlstate] += 1


def _reason(reply: Reply) -> str:
    return _QUOTED.sub("?", reply.error.get("M", "")) + " | " + _QUOTED.sub("?", reply.error.get("D", ""))[:90]


@dataclass
class Hunter:
    """Connections to the three doors. They are opened when needed and again when they broke."""

    stand: Stand
    sieve: Sieve
    tally: Tally = field(default_factory=Tally)
    _pipes: dict[str, Pipe] = field(default_factory=dict)

    def close(self) -> None:
        for door in list(self._pipes):
            self._drop(door)

    def _pipe(self, door: str) -> Pipe:
        if door not in self._pipes:
            self._pipes[door] = Pipe(self.stand.open(door))
        return self._pipes[door]

    def _drop(self, door: str) -> None:
        if (pipe := self._pipes.pop(door, None)) is not None:
            pipe.client.socket.close()

    def ask(self, door: str, statements: Sequence[Statement]) -> list[bytes]:
        pipe = self._pipe(door)
        pipe.begin(statements)
        try:
            exchange([pipe])
        except Lost:
            self._drop(door)
            raise
        return pipe.answers

    def ask_both(self, statements: Sequence[Statement]) -> tuple[list[bytes], list[bytes]]:
        pipes = [self._pipe(OURS), self._pipe(COPY)]
        for pipe in pipes:
            pipe.begin(statements)
        try:
            exchange(pipes)
        except Lost:
            self.close()
            raise
        return pipes[0].answers, pipes[1].answers

    def hunt(self, statements: Sequence[Statement]) -> list[Finding]:
        """What of a batch isn't as it must be."""
        try:
            ours, copies = self.ask_both(statements)
        except Lost:
            return self._one_by_one(statements)
        leaky = bool(self.sieve.found_in(b"".join(ours)))
        found = []
        for statement, mine, theirs in zip(statements, ours, copies, strict=True):
            finding = self._judged(statement, mine, theirs, leaky=leaky)
            found += [finding] if finding else []
        return found

    def _one_by_one(self, statements: Sequence[Statement]) -> list[Finding]:
        if len(statements) > 1:
            return [finding for statement in statements for finding in self.hunt([statement])]
        self.tally.verdicts[Verdict.DIFFERENT.value] += 1
        return [Finding(statements[0], Verdict.DIFFERENT, "the connection was lost")]

    def _judged(self, statement: Statement, mine: bytes, theirs: bytes, *, leaky: bool) -> Finding | None:
        ours, copy = read_reply(mine), read_reply(theirs)
        leaked = self.leaked(statement.sql, mine, theirs) if leaky else set()
        verdict = Verdict.LEAK if leaked else judge(ours, copy, is_ordered=statement.is_ordered)
        if verdict is Verdict.DIFFERENT and self._is_left_open(statement, ours, copy):
            verdict = Verdict.UNDETERMINED
        self.tally.add(statement, verdict, ours)
        if verdict not in FAULTS:
            return None
        return Finding(
            statement, verdict, ", ".join(sorted(leaked)[:5]) or difference(ours, copy, is_ordered=statement.is_ordered)
        )

    def leaked(self, sql: str, mine: bytes, theirs: bytes) -> set[str]:
        """Labels of canaries that the client didn't say itself, nor made of what it said: the copy has none to give."""
        found = self.sieve.found_in(mine)
        said = sql.encode() + b"\0" + theirs
        return found - self.stand.canaries.found_in(said) if found else found

    def _is_left_open(self, statement: Statement, ours: Reply, copy: Reply) -> bool:
        """Whether the copy gives our answer too: rewritten as ours was, read backwards, or under another plan."""
        if may_be_undetermined(ours, copy):
            doors: tuple[str, ...] = (TWIN, REVERSED, COPY, *SKEWED)
        elif statement.is_loose and not ours.sqlstate and not copy.sqlstate:
            doors = (REVERSED, COPY, *SKEWED)
        else:
            return False
        try:
            return (statement.is_loose and self._is_same_unlimited(statement)) or any(
                is_same(read_reply(self._planned(door, statement, plan)), ours)
                for plan in ((), *PLANS)
                for door in doors
            )
        except Lost:
            return False

    def _is_same_unlimited(self, statement: Statement) -> bool:
        """Whether both give the same without the LIMIT at the end, which takes any rows."""
        whole = _LAST_LIMIT.sub("", statement.sql)
        if whole == statement.sql:
            return False
        asked = Statement(statement.number, whole, statement.path)
        ours, copy = (read_reply(self.ask(door, [asked])[0]) for door in (OURS, COPY))
        return not ours.sqlstate and is_same(ours, copy)

    def _planned(self, door: str, statement: Statement, plan: tuple[str, ...]) -> bytes:
        """A door's answer under planner settings."""
        settings = [Statement(0, f"SET {setting}", Path.SIMPLE) for setting in plan]
        return self.ask(door, [*settings, statement, Statement(0, "RESET ALL", Path.SIMPLE)])[-2]


Draw = Callable[[int], Statement]


def batches(draw: Draw, numbers: range) -> Iterator[list[Statement]]:
    for first in range(0, len(numbers), BATCH):
        yield [draw(number) for number in numbers[first : first + BATCH]]


def in_batches(statements: Sequence[Statement]) -> Iterator[Sequence[Statement]]:
    for first in range(0, len(statements), BATCH):
        yield statements[first : first + BATCH]
