"""One text under work: its statements are decided in order, and the edited text is proven in the end."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from policies.catalog import Catalog, Namespace
from policies.compile.draft import Access, Draft, Refused, Splice
from policies.compile.following import NO_NAMES, Following
from policies.compile.hints import with_hint
from policies.compile.leaving import leaves_of, with_leaves
from policies.compile.parse import ParseError, Statement, Token, parse, scan
from policies.compile.rules import RULES
from policies.compile.rules.object_names import names_objects
from policies.compile.rules.sequence_functions import names_sequence
from policies.compile.scope import Facts, UnknownNode, read_select
from policies.compile.shape import shape_of_tokens
from policies.compile.splice import OverlapError, apply, edits_of, ordered
from policies.compile.statements import Request, command_of, refuse_unbuilt, require_grant
from policies.compile.surroundings import StatementSurroundings
from policies.compile.verify import verify
from policies.decision import Decision, Plan, Refusal
from policies.model import EffectivePolicy

# What one kind of statement does: looks at the request, edits drafts, gives the finished plan. Raises Refused.
Handler = Callable[["Compilation", Request, Plan], Plan]


# Some 30 microseconds and 2 KB a word: what takes longer would hold up the worker's other sessions. A bulk INSERT with
# the most parameters that the protocol can carry stays far below.
MAX_TOKENS = 250_000


class Compilation:
    """`plans` and `drafts` grow with the statements that were decided; one statement may need several drafts."""

    def __init__(
        self,
        sql: str,
        policy: EffectivePolicy,
        catalog: Catalog,
        namespace: Namespace,
        surroundings: StatementSurroundings,
        kinds: Mapping[str, Handler],
        *,
        is_view: bool = False,
    ) -> None:
        self.sql = sql
        self.text = sql.encode()
        self.policy = policy
        self.catalog = catalog
        self._following = Following(namespace)
        self._parameter_types = namespace.parameter_types
        self.surroundings = surroundings
        self.is_view = is_view
        self._kinds = kinds
        self.statements: list[Statement] = []
        self.tokens: list[Token] = []
        self.token_index: dict[int, int] = {}  # shared by all statements: a text may hold thousands
        self.plans: list[Plan] = []
        self.drafts: list[list[Draft]] = []  # for each statement that was decided

    def decision(self) -> Decision:
        """Raises Refused."""
        self.read()
        for statement in self.statements:
            self._statement(statement)
        return self._finish()

    def read(self) -> None:
        try:
            if len(self.text) > MAX_TOKENS and len(scan(self.sql)) > MAX_TOKENS:
                raise ParseError(f"the statement has more than {MAX_TOKENS} words", 0, "54000")
            self.statements = parse(self.sql)
            self.tokens = scan(self.sql) if self.statements else []
        except ParseError as error:
            raise Refused(Refusal(error.sqlstate, "pgwarden/parse", str(error), position=error.position)) from None

    def refusal(self, refusal: Refusal) -> Decision:
        """The Decision for a refused text; its plans tell what is known of the statements."""
        known = self.plans[: len(self.statements)]
        plans = [*known, *(self._bare_plan(statement) for statement in self.statements[len(known) :])]
        shown = with_hint(self._placed(refusal))
        return Decision(self.sql, tuple(plans), shown, (), self.policy.fingerprint, self.catalog.version)

    def _placed(self, refusal: Refusal) -> Refusal:
        """Of several statements at least the one that is refused is pointed at."""
        index = len(self.plans)
        if refusal.position or len(self.statements) < 2 or index >= len(self.statements):
            return refusal
        tokens = self.tokens_of(self.statements[index])
        if not tokens:
            return refusal
        return replace(refusal, position=len(self.text[: tokens[0].start].decode("utf-8", "replace")) + 1)

    def _text_of(self, statement: Statement) -> str:
        return self.text[statement.start : statement.end].decode("utf-8", "replace").strip()

    def _bare_plan(self, statement: Statement) -> Plan:
        return Plan(command_of(statement), self._text_of(statement), shape=shape_of_tokens(self.tokens_of(statement)))

    def tokens_of(self, statement: Statement) -> list[Token]:
        first = bisect_left(self.tokens, statement.start, key=_start)
        return self.tokens[first : bisect_left(self.tokens, statement.end, first, key=_start)]

    def _statement(self, statement: Statement) -> None:
        request = Request(statement, self.policy, self.text)
        self.drafts.append([])
        plan = self.decide(request, self._bare_plan(statement))
        plan = with_leaves(plan, leaves_of(statement, plan.text))
        self.plans.append(plan)
        self._following.run(plan)

    @property
    def namespace(self) -> Namespace:
        """What names mean to the statement under work. Raises Refused when only the server can know."""
        return self._following.namespace

    # for the handlers of kinds

    @contextmanager
    def declaring(self, parameter_types: tuple[int, ...]) -> Iterator[None]:
        """What is decided inside has parameters of these types, as PREPARE declares them."""
        before = self._parameter_types
        self._parameter_types = before + parameter_types
        try:
            yield
        finally:
            self._parameter_types = before

    def decide(self, request: Request, plan: Plan) -> Plan:
        """What the handler of the request's kind makes of it; it may stand inside another statement. Raises Refused."""
        handler = self._kinds.get(request.statement.kind)
        if handler is None:
            require_grant(request)
            raise refuse_unbuilt(request)
        return handler(self, request, plan)

    def draft_select(
        self, tree: dict[str, Any], outer: Statement, *, is_output: bool, is_copied: bool = False
    ) -> Draft:
        """A SelectStmt's fields, somewhere in `outer`, under all rules. Raises Refused.

        `is_output`: its rows go to the client as this statement's rows, so masks may wait for the stream. Otherwise
        (a cursor, a table made of it, a view) they are put at the source. `is_copied`: they go to the client as
        COPY's rows, in a form that is known.
        """
        statement = Statement("SelectStmt", tree, outer.start, outer.end)
        facts = self.read_facts(lambda: read_select(tree), outer)
        copied_top = facts.top if is_copied else None
        if self.is_view or not is_output:
            facts.top = None
            for block in facts.blocks:
                block.is_top = False
        draft = self.new_draft(statement, facts)
        draft.copied_top = copied_top
        return self.run_rules(draft, RULES)

    def read_facts(self, read: Callable[[], Facts], outer: Statement) -> Facts:
        """What `read` finds. Raises Refused for a node that isn't known."""
        try:
            return read()
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

    def new_draft(self, statement: Statement, facts: Facts) -> Draft:
        """A draft of (a part of) the statement under work; its splices and templates count in the end."""
        # Without a relation no name has to be known: a pool's reset behind ROLLBACK goes through.
        has_names = bool(facts.relations) or any(map(names_sequence, facts.functions)) or names_objects(facts)
        namespace = self.namespace if has_names else NO_NAMES
        draft = Draft(
            self.text,
            statement,
            self.tokens,
            facts,
            self.policy,
            self.catalog,
            namespace,
            self.surroundings,
        )
        draft.parameter_types = self._parameter_types
        draft.token_index = self.token_index
        self.drafts[-1].append(draft)
        return draft

    def run_rules(self, draft: Draft, rules: tuple[Callable[[Draft], None], ...]) -> Draft:
        for rule in rules:
            rule(draft)
        return draft

    # the end

    def _finish(self) -> Decision:
        splices: list[Splice] = [splice for drafts in self.drafts for draft in drafts for splice in draft.splices]
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


def plan_of(plan: Plan, draft: Draft) -> Plan:
    """The plan with what the draft found: tables, masks, filters, rules, limits."""
    guarded = [target for target in draft.targets if target.access is Access.GUARDED]
    masked = {f"{t.schema}.{t.name}.{column}" for t in guarded for column in t.masked_columns}
    filtered = {f"{t.schema}.{t.name}" for t in guarded if t.rule and t.rule.filters}
    rules = {rule for t in guarded for rule in t.rule_ids()}
    tables = {f"{t.schema}.{t.name}" for t in draft.targets}
    return replace(
        plan,
        is_rewritten=plan.is_rewritten or bool(draft.splices),
        is_guarded=plan.is_guarded or bool(guarded),
        column_masks=(*plan.column_masks, *draft.column_masks),
        raw_columns=(*plan.raw_columns, *draft.raw_columns),
        masked_columns=_united(plan.masked_columns, masked | draft.inner.masked_columns),
        tables=_united(plan.tables, tables | draft.inner.tables),
        filtered_tables=_united(plan.filtered_tables, filtered | draft.inner.filtered_tables),
        rule_ids=_united(plan.rule_ids, rules | draft.inner.rule_ids),
        limits=draft.policy.limits,
        check=plan.check or draft.check,
    )


def _united(known: tuple[str, ...], more: set[str]) -> tuple[str, ...]:
    return tuple(sorted(more.union(known)))


def _start(token: Token) -> int:
    return token.start
