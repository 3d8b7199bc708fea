"""A server that follows the protocol's rules for statements, portals and blocks, over texts whose results are told.

It takes bytes and gives bytes, so that a playbook needn't foresee which messages a session sends beside the client's.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

from proxy.wire import messages as m
from proxy.wire.codec import decode_frontend, encode
from proxy.wire.frames import FrameCutter
from tests.playbooks.stage import LIMITED, error

CONTROL = {"BEGIN": b"T", "COMMIT": b"I", "ROLLBACK": b"I"}


@dataclass(frozen=True)
class Result:
    """What a text gives. `fails`: SQLSTATE of the error behind the rows; `says`: whether a NOTICE comes before.

    `reports`: settings that are reported as changed, as if it were a SET.
    """

    fields: tuple[m.Field, ...] = ()
    rows: tuple[tuple[bytes | None, ...], ...] = ()
    tag: bytes = b"SELECT 1"
    fails: str = ""
    says: bool = False
    reports: tuple[tuple[bytes, bytes], ...] = ()


@dataclass
class FakeServer:
    """`results` by the text that arrives; what isn't there can't be parsed."""

    results: dict[str, Result]
    status: bytes = b"I"
    statements: dict[bytes, str] = field(default_factory=dict)
    portals: dict[bytes, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    is_skipping: bool = False
    reported: dict[bytes, bytes] = field(default_factory=lambda: {b"TimeZone": b"UTC"})
    before: dict[bytes, bytes] = field(default_factory=dict)  # the block

    def __post_init__(self) -> None:
        self._cutter = FrameCutter(LIMITED)

    def take(self, data: bytes) -> bytes:
        self._cutter.feed(data)
        said = b""
        for type_byte, start, end in self._cutter:
            message = decode_frontend(type_byte, self._cutter.buffer[start + 5 : end])
            said += b"".join(map(encode, self._answer(message)))
        return said

    def _answer(self, message: m.FrontendMessage) -> list[m.BackendMessage]:  # noqa: C901 - one case a message
        if isinstance(message, m.Sync):
            self.is_skipping = False
            return [self._ready()]
        if self.is_skipping:
            return []
        match message:
            case m.Query(text):
                self.statements.pop(b"", None)
                answers = [self._run(part, (), is_described=True) for part in text.decode().split("\n;")]
                return [*itertools.chain.from_iterable(answers), self._ready()]
            case m.Parse(name, text, _):
                if text.decode() not in self.results and text.decode() not in CONTROL:
                    return self._fail("42601")
                if name and name in self.statements:
                    return self._fail("42P05")
                self.statements[name] = text.decode()
                return [m.ParseComplete()]
            case m.Bind(portal, name, _, _, formats):
                if name not in self.statements:
                    return self._fail("26000")
                self.portals[portal] = (self.statements[name], tuple(formats))
                return [m.BindComplete()]
            case m.Describe(b"S", name):
                if name not in self.statements:
                    return self._fail("26000")
                return [m.ParameterDescription(()), self._described(self.statements[name], ())]
            case m.Describe(_, name):
                return [self._described(*self.portals[name])] if name in self.portals else self._fail("34000")
            case m.Execute(name, _):
                return self._run(*self.portals[name]) if name in self.portals else self._fail("34000")
            case m.Close(b"S", name):
                self.statements.pop(name, None)
                return [m.CloseComplete()]
            case m.Close(_, name):
                self.portals.pop(name, None)
                return [m.CloseComplete()]
        return []

    def _ready(self) -> m.BackendMessage:
        if self.status == b"I":
            self.portals.clear()
        return m.ReadyForQuery(self.status)

    def _fail(self, sqlstate: str) -> list[m.BackendMessage]:
        self.status = b"E" if self.status != b"I" else b"I"
        self.is_skipping = True
        return [error(sqlstate, "it went wrong", P="3")]

    def _described(self, text: str, formats: tuple[int, ...]) -> m.BackendMessage:
        fields = self.results[text].fields if text in self.results else ()
        if not fields:
            return m.NoData()
        format_ = formats[0] if formats else 0
        return m.RowDescription(tuple(replace(one, format=format_) for one in fields))

    def _run(self, text: str, formats: tuple[int, ...], is_described: bool = False) -> list[m.BackendMessage]:
        if text in CONTROL:
            tag = b"ROLLBACK" if self.status == b"E" else text.encode()
            is_odd = (self.status == b"I") == (text != "BEGIN")
            if text == "BEGIN" and self.status == b"I":
                self.before = dict(self.reported)
            undone = self._undo() if tag == b"ROLLBACK" and self.status != b"I" else []
            self.status = CONTROL[text]
            warning = m.NoticeResponse({"S": b"WARNING", "C": b"25001"})
            return [warning, m.CommandComplete(tag)] if is_odd else [m.CommandComplete(tag), *undone]
        result = self.results.get(text)
        if self.status == b"E" or result is None:
            failed = self._fail("25P02" if self.status == b"E" else "42601")
            self.is_skipping = not is_described
            return failed
        said: list[m.BackendMessage] = []
        if result.says:
            said.append(m.NoticeResponse({"S": b"NOTICE", "C": b"00000", "M": b"secret"}))
        if is_described and result.fields:
            said.append(self._described(text, ()))
        said += [m.DataRow(row) for row in result.rows]
        if result.fails:
            said += self._fail(result.fails)
            self.is_skipping = not is_described
            return said
        return [*said, m.CommandComplete(result.tag), *self._report(dict(result.reports))]

    def _report(self, values: dict[bytes, bytes]) -> list[m.BackendMessage]:
        """What is news."""
        changed = {name: value for name, value in values.items() if self.reported.get(name) != value}
        self.reported |= changed
        return [m.ParameterStatus(name, value) for name, value in changed.items()]

    def _undo(self) -> list[m.BackendMessage]:
        return self._report(self.before)
