"""The compiler: one text, one policy, one catalog snapshot, one search_path in; a Decision out."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace

from policies.catalog import Catalog, Relation
from policies.compile.cache import Key, PlanCache
from policies.compile.draft import Access, Draft, Refused, Splice
from policies.compile.everything import decide_everything
from policies.compile.parse import ParseError, Statement, Token, deep_recursion, parse, scan
from policies.compile.rules import RULES, SETTINGS
from policies.compile.scope import UnknownNode, read_select
from policies.compile.shape import shape_of_tokens
from policies.compile.splice import OverlapError, apply, edits_of, ordered
from policies.compile.statements import (
    HARMLESS,
    Request,
    SessionEffect,
    command_of,
    is_transaction_control,
    refuse_unbuilt,
    require_grant,
)
from policies.compile.surroundings import StatementSurroundings
from policies.compile.verify import verify
from policies.compile.visibility import Visibility
from policies.decision import Decision, Plan, Refusal
from policies.model import EffectivePolicy

DEFAULT_CACHE_BYTES = 32 * 1024 * 1024


class Compiler:
    """Decides texts; keeps decisions by exact text, policy, catalog version and search_path."""

    def __init__(self, cache_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        self.cache = PlanCache(cache_bytes)
        self._visibilities: dict[tuple[str, int], Visibility] = {}

    def decide(self, sql: str, policy: EffectivePolicy, catalog: Catalog, search_path: tuple[str, ...]) -> Decision:
        """What goes upstream instead of `sql`, or why nothing does. Never raises for what a client can send."""
        key = Key(sql, policy.fingerprint, catalog.version, search_path, policy.database)
        decision = self.cache.get(key)
        if decision is None:
            decision = self._decide(sql, policy, catalog, search_path)
            self.cache.put(key, decision)
        return decision

    def _decide(self, sql: str, policy: EffectivePolicy, catalog: Catalog, search_path: tuple[str, ...]) -> Decision:
        with deep_recursion():
            if policy.is_everything:
                return decide_everything(sql, policy, catalog.version)
            surroundings = StatementSurroundings(policy, catalog, _compile_view, self._visibilities)
            compilation = _Compilation(sql, policy, catalog, search_path, surroundings)
            try:
                return compilation.decision()
            except Refused as refused:
                return compilation.refusal(refused.refusal)
            except RecursionError:
                return compilation.refusal(_too_deep())


def _too_deep() -> Refusal:
    return Refusal("54001", "pgwarden/parse", "the statement is nested too deeply", hint="Write it with fewer levels.")


def _start(token: Token) -> int:
    return token.start


class _Compilation:
    """One text under work. `plans` and `drafts` grow with the statements that were decided."""

    def __init__(
        self,
        sql: str,
        policy: EffectivePolicy,
        catalog: Catalog,
        search_path: tuple[str, ...],
        surroundings: StatementSurroundings,
        *,
        is_view: bool = False,
    ) -> None:
        self.sql = sql
        self.text = sql.encode()
        self.policy = policy
        self.catalog = catalog
        self.search_path = search_path
        self.surroundings = surroundings
        self.is_view = is_view
        self.statements: list[Statement] = []
        self.tokens: list[Token] = []
        self.token_index: dict[int, int] = {}  # shared by all statements: a text may hold thousands
        self.plans: list[Plan] = []
        self.drafts: list[Draft | None] = []

    def decision(self) -> Decision:
        """Raises Refused."""
        self.read()
        for statement in self.statements:
            self._statement(statement)
        return self._finish()

    def read(self) -> None:
        try:
            self.statements = parse(self.sql)
            self.tokens = scan(self.sql) if self.statements else []
        except ParseError as error:
            raise Refused(Refusal(error.sqlstate, "pgwarden/parse", str(error), position=error.position)) from None

    def refusal(self, refusal: Refusal) -> Decision:
        """The Decision for a refused text; its plans tell what is known of the statements."""
        known = self.plans[: len(self.statements)]
        plans = [*known, *(self._bare_plan(statement) for statement in self.statements[len(known) :])]
        return Decision(self.sql, tuple(plans), refusal, (), self.policy.fingerprint, self.catalog.version)

    def _text_of(self, statement: Statement) -> str:
        return self.text[statement.start : statement.end].decode("utf-8", "replace").strip()

    def _bare_plan(self, statement: Statement) -> Plan:
        first = bisect_left(self.tokens, statement.start, key=_start)
        inside = self.tokens[first : bisect_left(self.tokens, statement.end, first, key=_start)]
        return Plan(command_of(statement), self._text_of(statement), shape=shape_of_tokens(inside))

    def _statement(self, statement: Statement) -> None:
        request = Request(statement, len(self.statements), self.policy, self.text)
        plan = self._bare_plan(statement)
        if (check := SETTINGS.get(statement.kind)) is not None:
            self._keep(plan, check(request))
        elif is_transaction_control(statement) or statement.kind in HARMLESS:
            self._keep(plan, SessionEffect())
        else:
            require_grant(request)
            self._query(plan, request)

    def _keep(self, plan: Plan, effect: SessionEffect) -> None:
        self.plans.append(
            replace(plan, sets_search_path=effect.search_path, resets_search_path=effect.resets_search_path)
        )
        self.drafts.append(None)

    def _query(self, plan: Plan, request: Request) -> None:
        statement = request.statement
        if statement.kind == "SelectStmt" and "intoClause" not in statement.tree:
            draft = self._draft(statement, statement)
        elif statement.kind == "ExplainStmt" and "SelectStmt" in statement.tree.get("query", {}):
            inner = Statement("SelectStmt", statement.tree["query"]["SelectStmt"], statement.start, statement.end)
            draft = self._draft(statement, inner)
            _require_nothing_guarded(draft)
        else:
            raise refuse_unbuilt(request)
        self.drafts.append(draft)
        self.plans.append(_plan_of(plan, draft))

    def _draft(self, outer: Statement, select: Statement) -> Draft:
        try:
            facts = read_select(select.tree)
        except UnknownNode as unknown:
            at = unknown.location if unknown.location >= 0 else outer.start
            raise Refused(
                Refusal(
                    "0A000",
                    "pgwarden/nodes",
                    f"{unknown.kind} inside a query can't be proven safe",
                    position=len(self.text[:at].decode("utf-8", "replace")) + 1,
                )
            ) from None
        if self.is_view:
            facts.top = None
            for block in facts.blocks:
                block.is_top = False
        draft = Draft(
            self.text,
            select,
            self.tokens,
            facts,
            self.policy,
            self.catalog,
            self.search_path,
            self.surroundings,
        )
        draft.token_index = self.token_index
        for rule in RULES:
            rule(draft)
        return draft

    def _finish(self) -> Decision:
        splices: list[Splice] = [splice for draft in self.drafts if draft for splice in draft.splices]
        fingerprint, version = self.policy.fingerprint, self.catalog.version
        if not splices:
            return Decision(self.sql, tuple(self.plans), None, (), fingerprint, version)
        try:
            splices = ordered(splices)
        except OverlapError:
            raise self._unproven() from None
        text = apply(self.text, splices).decode()
        if not verify(text, self.drafts, self.statements):
            raise self._unproven()
        return Decision(text, tuple(self.plans), None, edits_of(self.text, splices), fingerprint, version)

    def _unproven(self) -> Refused:
        return Refused(
            Refusal(
                "0A000",
                "pgwarden/verify",
                "the rewritten statement could not be proven to mean what the policy says",
                hint="Write the statement another way, or report it.",
            )
        )


def _require_nothing_guarded(draft: Draft) -> None:
    """A plan tells row counts and constants of rows that a guard hides."""
    for target in draft.targets:
        if target.access is Access.GUARDED:
            raise draft.refuse(
                "42501",
                "pgwarden/explain",
                f"EXPLAIN of {target.schema}.{target.name} would tell about rows that the policy hides",
                at=target.use.location,
                hint="EXPLAIN works for tables that no rule filters, blocks in part or masks.",
            )


def _plan_of(plan: Plan, draft: Draft) -> Plan:
    guarded = [target for target in draft.targets if target.access is Access.GUARDED]
    masked = {f"{t.schema}.{t.name}.{column}" for t in guarded for column in t.masked_columns}
    filtered = {f"{t.schema}.{t.name}" for t in guarded if t.rule and t.rule.filters}
    rules = {rule for t in guarded for rule in t.rule_ids()}
    return replace(
        plan,
        is_rewritten=bool(draft.splices),
        is_guarded=bool(guarded),
        column_masks=tuple(draft.column_masks),
        masked_columns=tuple(sorted(masked | draft.inner.masked_columns)),
        tables=tuple(sorted({f"{t.schema}.{t.name}" for t in draft.targets} | draft.inner.tables)),
        filtered_tables=tuple(sorted(filtered | draft.inner.filtered_tables)),
        rule_ids=tuple(sorted(rules | draft.inner.rule_ids)),
        limits=draft.policy.limits,
    )


def _compile_view(view: Relation, surroundings: StatementSurroundings, outer: Draft) -> str | None:
    """A view's definition with guards inside, None when there is nothing to guard. Raises Refused."""
    definition = (view.view_definition or "").strip().rstrip(";")
    compilation = _Compilation(definition, surroundings.policy, surroundings.catalog, (), surroundings, is_view=True)
    try:
        decision = compilation.decision()
    except Refused as refused:
        inner = refused.refusal
        message = f"view {view.schema}.{view.name}: {inner.message}"
        raise Refused(replace(inner, message=message, position=0)) from None
    for draft, plan in zip(compilation.drafts, decision.plans, strict=True):
        if draft is not None:
            outer.inner.add(plan)
    is_edited = any(
        target.access is not Access.OPEN for draft in compilation.drafts if draft for target in draft.targets
    )
    return decision.text if is_edited else None
