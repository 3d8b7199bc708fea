"""What the server holds by name: statements and portals of the protocol, cursors and statements made by SQL.

SQL and the protocol share both name spaces. The names exist twice (`view.View`): as sent, for deciding what comes
next, and as confirmed by replies. Identity counts: the same text under the same name may be another statement.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from policies.decision import ALL_NAMES, NO_EFFECT, Decision, Effect, Plan
from proxy.session.held import Declared, Portal, Prepared, Reading, ServerCopy, Told

_LIMIT_BYTES: Final = 256 << 20
_LIMIT_PORTALS: Final = 100_000
_NAME_BYTES: Final = 63  # NAMEDATALEN - 1: the server's tables of names don't look further


def key_of(name: bytes | str) -> bytes:
    """The name as the server tells it from others."""
    return (name.encode() if isinstance(name, str) else name)[:_NAME_BYTES]


@dataclass(slots=True)
class Names:
    """`size_bytes`: about what the statements take."""

    statements: dict[bytes, Prepared | Declared] = field(default_factory=dict)
    portals: dict[bytes, Portal | Declared] = field(default_factory=dict)
    size_bytes: int = 0

    def copy(self) -> Names:
        return Names(dict(self.statements), dict(self.portals), self.size_bytes)

    @property
    def is_full(self) -> bool:
        """Whether one more statement would be too much for a session."""
        return self.size_bytes > _LIMIT_BYTES

    @property
    def has_many_portals(self) -> bool:
        return len(self.portals) >= _LIMIT_PORTALS

    def drop_oldest(self) -> None:
        """The statement that was prepared first is known to the server alone from now on."""
        for name in self.statements:
            self._forget(name)
            return

    def statement(self, name: bytes) -> Prepared | Declared | None:
        return self.statements.get(key_of(name))

    def portal(self, name: bytes) -> Portal | Declared | None:
        return self.portals.get(key_of(name))

    def prepare(self, name: bytes, prepared: Prepared | Declared) -> None:
        key = key_of(name)
        self._forget(key)
        self.statements[key] = prepared
        self.size_bytes += _size(prepared)

    def _forget(self, key: bytes) -> None:
        held = self.statements.pop(key, None)
        if held is not None:
            self.size_bytes -= _size(held)

    def bind(self, portal: Portal) -> None:
        self.portals[key_of(portal.name)] = portal
        statement = portal.statement
        if statement.declared is None and self.statement(statement.name) is not statement:
            # Decided anew, it is another decision about the same text.
            self.prepare(statement.name, statement)

    def close(self, name: bytes, is_statement: bool) -> Portal | None:
        """Forgets the name; the portal that was open under it."""
        if is_statement:
            self._forget(key_of(name))
            return None
        return _protocol_portal(self.portals.pop(key_of(name), None))

    def drop_unnamed(self, with_portal: bool) -> Portal | None:
        """Forgets the unnamed statement, and the portal if asked to; the portal."""
        if b"" in self.statements:
            self._forget(b"")
        return _protocol_portal(self.portals.pop(b"", None)) if with_portal else None

    def run(self, effect: Effect, makes: Declared | None) -> list[Portal]:
        """What a statement of SQL has done to the names; the portals it closed."""
        if effect is NO_EFFECT:
            return []
        closed = self._close_by_sql(effect)
        if effect.forgets_prepared == ALL_NAMES:
            # The unnamed statement isn't in the server's table.
            self.statements = {name: held for name, held in self.statements.items() if not name}
            self.size_bytes = sum(map(_size, self.statements.values()))
        elif effect.forgets_prepared:
            self._forget(key_of(effect.forgets_prepared))
        if makes is not None and effect.opens_cursor:
            self.portals[key_of(effect.opens_cursor)] = makes
        if makes is not None and effect.prepares:
            self.prepare(effect.prepares.encode(), makes)
        return closed

    def _close_by_sql(self, effect: Effect) -> list[Portal]:
        if effect.closes_cursor == ALL_NAMES:
            gone, self.portals = self.portals, {}
            return _protocol_portals(gone.values())
        if effect.closes_cursor:
            return _protocol_portals([self.portals.pop(key_of(effect.closes_cursor), None)])
        return []

    def end_transaction(self) -> list[Portal]:
        """Portals end with their transaction, but for cursors that were declared WITH HOLD."""
        if not self.portals:
            return []
        gone, self.portals = self.portals, {}
        for name, held in gone.items():
            if isinstance(held, Declared) and held.plan.effect.is_holdable:
                self.portals[name] = held
        return _protocol_portals(gone.values())

    def is_held(self, reading: Reading) -> bool:
        """Whether what a statement was to read by name is what stands there."""
        held = (self.portals if reading.is_portal else self.statements).get(key_of(reading.name))
        if isinstance(held, Prepared) and isinstance(reading.held, Prepared):
            return held.server is reading.held.server
        return held is reading.held


def statement_of(declared: Declared, name: bytes) -> Prepared:
    """What SQL made, as the protocol runs it. Its rows need nothing from us: they were decided as data."""
    plan = without_effect(declared.plan)
    decision = Decision("", (plan,), None, (), declared.basis.fingerprint, declared.basis.catalog_version)
    server = ServerCopy(declared.origin)
    return Prepared(name, declared.sql, (), decision, declared.basis, server, Told(), declared.is_open, declared)


def _size(held: Prepared | Declared) -> int:
    # The client's text and ours; the rest was measured over 10,000 statements of one session.
    return 3_000 + len(held.sql) + len(held.decision.text)


def without_effect(plan: Plan) -> Plan:
    """Running what was declared doesn't declare it again."""
    return replace(plan, effect=NO_EFFECT)


def _protocol_portal(held: Portal | Declared | None) -> Portal | None:
    return held if isinstance(held, Portal) else None


def _protocol_portals(held: Iterable[Portal | Declared | None]) -> list[Portal]:
    return [one for one in held if isinstance(one, Portal)]
