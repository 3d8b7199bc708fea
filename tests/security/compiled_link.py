"""The compile side alone, with the interface of RawClient: decide, run on the server, mask what the decision says.

For work on the compiler without a proxy; `seen` holds what a correct proxy would send, errors scrubbed crudely.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from policies.catalog import Catalog
from policies.compile import Compiler
from policies.decision import Decision
from policies.model import EffectivePolicy
from tests.security.raw_client import TEXT, Answer, RawClient, Value


class CompiledLink:
    def __init__(self, server: RawClient, compiler: Compiler, policy: EffectivePolicy, catalog: Catalog) -> None:
        self.server, self.compiler, self.policy, self.catalog = server, compiler, policy, catalog
        self.seen = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.close()

    def simple(self, sql: str | bytes) -> Answer:
        return self._ask(sql, None, TEXT)

    def extended(self, sql: str | bytes, parameters: tuple[Value, ...] = (), result: int = TEXT) -> Answer:
        return self._ask(sql, parameters, result)

    def _ask(self, sql: str | bytes, parameters: tuple[Value, ...] | None, result: int) -> Answer:
        text = sql.decode() if isinstance(sql, bytes) else sql
        decision = self.compiler.decide(text, self.policy, self.catalog, ("shop", "public"))
        if decision.refusal is not None:
            refusal = decision.refusal
            answer = Answer(error={"C": refusal.sqlstate, "M": refusal.message, "D": refusal.detail, "H": refusal.hint})
        elif parameters is None:
            answer = self.server.simple(decision.text)
        else:
            answer = self.server.extended(decision.text, parameters, result)
        if decision.refusal is None:
            _mask(answer, decision)
        self._note(answer)
        return answer

    def _note(self, answer: Answer) -> None:
        for row in answer.rows:
            for value in row:
                self.seen += (len(value).to_bytes(4, "big") + value) if value is not None else b"\xff" * 4
        self.seen += repr((answer.columns, answer.error, answer.notices)).encode()


def _mask(answer: Answer, decision: Decision) -> None:
    masks = {(m.table_oid, m.attnum): m for plan in decision.plans for m in plan.column_masks}
    at = {index: masks[field] for index, field in enumerate(answer.fields) if field in masks}
    for (table, attnum), mask in masks.items():
        found = sum(field == (table, attnum) for field in answer.fields)
        if answer.fields and found != mask.count:
            raise AssertionError(f"{found} fields of {table}.{attnum}, {mask.count} were promised")
    answer.rows = [
        tuple(
            at[index].mask.mask(value, answer.formats[index]) if index in at and value is not None else value
            for index, value in enumerate(row)
        )
        for row in answer.rows
    ]
    if any(plan.is_guarded for plan in decision.plans):
        answer.error = {key: value for key, value in answer.error.items() if key == "C"}
        answer.notices = []
