"""Writes through pgwarden do what they do on the copy: the same rows come back, the same rows are there afterwards.

Masked columns aren't assigned: what is written there is seen masked here and as it is on the copy. Rows meet at most
one other each, and no key is changed, so that nothing depends on the order of rows.
"""

from __future__ import annotations

import os
from collections import Counter
from random import Random

from tests.oracle.grammar import DATE, INT, JSON, LIST, NUM, TABLES, TEXT, TIME, Columns, Drawer, Source
from tests.security.asking import Asker, difference
from tests.security.raw_client import Answer, RawClient

STATEMENTS = int(os.environ.get("ORACLE_WRITES", "100"))  # more of them for a night's search
_REFUSALS = ("42501", "0A000")
# Per table: its key, and the columns that no rule masks; only these may be assigned, or read outside RETURNING.
TARGETS: dict[str, tuple[str, Columns]] = {
    "customers": ("id", {"id": INT, "tenant_id": INT, "name": TEXT, "city": TEXT}),
    "orders": ("id", {"id": INT, "tenant_id": INT, "customer_id": INT, "placed_on": DATE, "total": NUM, "memo": TEXT}),
    "order_items": (
        "product_id",
        {"order_id": INT, "line": INT, "product_id": INT, "quantity": INT, "price": NUM, "remark": TEXT},
    ),
    "products": ("id", {"id": INT, "name": TEXT, "price": NUM, "labels": LIST, "attributes": JSON}),
    "payments": ("id", {"id": INT, "tenant_id": INT, "order_id": INT, "amount": NUM, "method": TEXT, "paid_at": TIME}),
    "regions": ("id", {"id": INT, "name": TEXT, "parent": INT}),
    "events": ("id", {"day": DATE, "tenant_id": INT, "id": INT, "payload": JSON}),
    "events_2124": ("id", {"day": DATE, "tenant_id": INT, "id": INT, "payload": JSON}),
    "memos": ("id", {"id": INT, "tenant_id": INT, "body": TEXT}),
}
KEYED = ("customers", "products", "orders", "regions")  # a row of these for each key
_KEPT = frozenset({"id", "tenant_id", "order_id", "line", "product_id", "day"})
# What a new row must have: the client's own tenant, and columns that can't be NULL.
NEW: dict[str, dict[str, str]] = {
    "customers": {"tenant_id": "1", "name": "'new'", "segment": "'vip'", "note": "NULL"},
    "payments": {"tenant_id": "1", "method": "'cash'"},
    "regions": {"name": "'new'"},
    "memos": {"tenant_id": "1"},
    "products": {"name": "'n'", "price": "1", "labels": "'{}'", "sizes": "'{}'", "attributes": "'{}'"},
}


class Writer(Drawer):
    """Draws one write at a time; `target` is the table that it changes."""

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.target = ""
        self._written = Source("", {})

    def write(self) -> str:
        shapes = (self.update, self.update, self.delete, self.insert, self.upsert, self.merge, self.in_with)
        return self.pick(shapes)()

    def update(self, word: str = "") -> str:
        own, shown, key = self._target()
        other = self._other(own, key)
        found = [own, *([other[1]] if other else [])]
        source = f" FROM {other[0]}" if other else ""
        assigned = ", ".join(f"{name} = {self.value(found, kind)}" for name, kind in self._assigned(own))
        return (
            f"UPDATE {word}{self._named(own)} SET {assigned}{source}"
            f" WHERE {other[2] if other else 'true'} AND {self.condition(found)}{self._returning(shown, other)}"
        )

    def delete(self) -> str:
        own, shown, key = self._target()
        other = self._other(own, key)
        found = [own, *([other[1]] if other else [])]
        source = f" USING {other[0]}" if other else ""
        link = other[2] if other else "true"
        where = f"{self.condition(found)} AND {link}"
        return f"DELETE FROM {self._named(own)}{source} WHERE {where}{self._returning(shown, other)}"

    def insert(self) -> str:
        text, _, shown = self._inserted("9000")
        return f"{text}{self._returning(shown, None)}" if self.chance(70) else text

    def upsert(self) -> str:
        text, own, shown = self._inserted(self.pick(("0", "2")))
        excluded = Source("excluded", {name: own.columns[name] for name in own.columns if name in NEW[self.target]})
        found = [own, excluded]
        assigned = ", ".join(f"{name} = {self.value(found, kind, 1)}" for name, kind in self._assigned(own))
        where = f" WHERE {self.condition(found, 1)}" if self.chance(50) else ""
        return f"{text} ON CONFLICT (id) DO UPDATE SET {assigned}{where}{self._returning(shown, None)}"

    def merge(self) -> str:
        own, _, key = self._target()
        other = self.pick(KEYED)
        source = Source(self.alias(), TABLES[other])
        found = [own, source]
        actions = []
        for _ in range(self.number(1, 2)):
            assigned = ", ".join(f"{name} = {self.value(found, kind, 1)}" for name, kind in self._assigned(own))
            action = self.pick(("DELETE", "DO NOTHING", f"UPDATE SET {assigned}"))
            actions.append(f"WHEN MATCHED AND {self.condition(found, 1)} THEN {action}")
        link = f"{source.alias}.id = {own.alias}.{key}"
        return f"MERGE INTO {self._named(own)} USING shop.{other} AS {source.alias} ON {link} {' '.join(actions)}"

    def in_with(self) -> str:
        inner = self.update() if self.chance(50) else self.delete()
        head, _, _ = inner.rpartition(" RETURNING ")
        own = self._written
        kinds = [(name, kind) for name, kind in own.columns.items() if kind in (INT, NUM, TEXT, DATE)]
        shown = ", ".join(f"{own.alias}.{name}" for name, _ in kinds)
        cte = Source("w", dict(kinds))
        outputs = ", ".join((self.aggregate([cte]), self.aggregate([cte])))
        return f"WITH w AS ({head} RETURNING {shown}) SELECT count(*), {outputs} FROM w"

    def _target(self) -> tuple[Source, Source, str]:
        """The target with the columns that may be read, the same with all columns, and its key."""
        self.target = self.pick(tuple(TARGETS))
        key, columns = TARGETS[self.target]
        alias = self.alias()
        self._written = Source(alias, TABLES[self.target])
        return Source(alias, columns), self._written, key

    def _named(self, own: Source) -> str:
        return f"{self.pick(('shop.', ''))}{self.target} AS {own.alias}"

    def _other(self, own: Source, key: str) -> tuple[str, Source, str] | None:
        """A FROM item that has one row for each of the target's."""
        if self.chance(60):
            return None
        table = self.pick(KEYED)
        source = Source(self.alias(), TABLES[table])
        return f"shop.{table} AS {source.alias}", source, f"{source.alias}.id = {own.alias}.{key}"

    def _assigned(self, own: Source) -> list[tuple[str, str]]:
        free = [
            (name, kind) for name, kind in own.columns.items() if name not in _KEPT and kind in (INT, NUM, TEXT, DATE)
        ]
        if not free:
            return [("payload", JSON)]
        return self._random.sample(free, self.number(1, len(free)))

    def _inserted(self, shift: str) -> tuple[str, Source, Source]:
        """Rows with the shifted keys of another table's."""
        self.target = self.pick(tuple(NEW))
        table = self.pick(KEYED)
        source = Source(self.alias(), TABLES[table])
        own = Source(self.target, TARGETS[self.target][1])
        fixed = dict(NEW[self.target])
        for name, kind in own.columns.items():
            if name not in _KEPT and kind in (TEXT, INT) and self.chance(50):
                fixed[name] = f"coalesce({self.value([source], kind)}, {'1' if kind == INT else repr('n')})"
        text = (
            f"INSERT INTO shop.{self.target} (id, {', '.join(fixed)}) SELECT {source.alias}.id + {shift},"
            f" {', '.join(fixed.values())} FROM shop.{table} AS {source.alias} WHERE {self.condition([source])}"
        )
        self._written = Source(self.target, TABLES[self.target])
        return text, own, self._written

    def _returning(self, shown: Source, other: tuple[str, Source, str] | None) -> str:
        found = [shown, *([other[1]] if other else [])]
        listed = [self.value(found, self.pick((INT, TEXT, NUM, DATE))) for _ in range(self.number(1, 3))]
        return " RETURNING " + ", ".join(self.pick((["*"], [f"{shown.alias}.*", *listed], listed)))


def test_every_write_does_what_it_does_on_the_copy(asker: Asker) -> None:
    random = Random(11)
    counts: Counter[str] = Counter()
    for _ in range(STATEMENTS):
        writer = Writer(random)
        sql = writer.write()
        counts[_compare(asker, sql, writer.target)] += 1
    print(dict(counts))  # noqa: T201 - shown with -s
    assert counts["refused"] <= STATEMENTS / 5, counts
    assert counts["changed"] > STATEMENTS / 4, counts


def _compare(asker: Asker, sql: str, table: str) -> str:
    """``refused``, ``error``, ``changed`` or ``idle``; AssertionError when anything isn't as on the copy."""
    link, copy = asker.link("wes"), asker.link("copy of wes")
    link.seen.clear()
    ours, theirs = _done(link, sql, table), _done(copy, sql, table)
    leaked = asker.leaks(bytes(link.seen), sql)
    assert not leaked, f"{sql}\nleaks {sorted(leaked)[:5]}"
    if ours[0].sqlstate in _REFUSALS and not theirs[0].sqlstate:
        return "refused"
    for number, (mine, plain) in enumerate(zip(ours, theirs, strict=True)):
        found = difference(mine, plain, is_ordered=False)
        assert not found, f"{sql}\nanswer {number}: {found}"
        assert mine.tags == plain.tags, sql
    if ours[0].sqlstate:
        return "error"
    return "changed" if ours[1].rows != ours[2].rows else "idle"


def _done(link: RawClient, sql: str, table: str) -> list[Answer]:
    """The write's answer, the table after it, and the table when it is undone."""
    link.simple("BEGIN")
    answers = [link.extended(sql), link.simple(f"SELECT * FROM shop.{table}")]
    link.simple("ROLLBACK")
    return [*answers, link.simple(f"SELECT * FROM shop.{table}")]
