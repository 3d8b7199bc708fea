"""Makes the audit records of one session and hands them to the journal. It decides nothing."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from audit.errors import JournalError
from audit.lines import Lines
from audit.price_functions import price_of
from audit.record import Record, Stage, Verdict
from audit.tariff import nano_of
from policies.compile.comments import comments_of
from policies.decision import Decision, Plan, RawColumn, Refusal
from policies.model import Principal
from proxy.session.held import Account, Run, Shadowed, joined_texts
from proxy.session.origin import Origin, origin_of
from proxy.session.ports import Allowance, Measures, Services, Spent

log = logging.getLogger("pgwarden.session")

_NOTHING: Final[dict[str, Any]] = {}
_TAG_COUNT = re.compile(rb" (\d+)$")
_PLANS: Final = 32  # whose templates a session keeps


@dataclass(frozen=True, slots=True)
class _Kept:
    """Templates, and what they were made of: plans are told apart by identity, which `plan` keeps from being reused."""

    plan: Plan
    fingerprint: str
    lines: Lines
    lane: str
    plan_units: int | None


@dataclass(slots=True)
class Identity:
    """Who talks. `application` follows application_name. `key`: the API key of the store by which it logged in."""

    session: str
    client_address: str = ""
    user: str = ""
    database: str = ""
    application: str = ""
    principal: Principal | None = None
    key: str = ""
    allowance: Allowance | None = None

    def record_fields(self) -> dict[str, Any]:
        principal = self.principal
        return {
            "tenant": (principal and principal.tenant) or "",
            "team": (principal and principal.team) or "",
            "user": self.user,
            "database": self.database,
            "session": self.session,
            "client_address": self.client_address,
            "application": self.application,
        }

    def origin_fields(self, origin: Origin) -> dict[str, Any]:
        """What a statement's comments say; of an end user only where the principal is trusted to speak for that one."""
        return {
            "workload": origin.workload or self.application,
            "trace_id": origin.trace_id,
            "end_user": self._end_user(origin.end_user),
        }

    def _end_user(self, claimed: str) -> str:
        principal = self.principal
        return claimed if claimed and principal is not None and principal.may_speak_for(claimed) else ""


class Ledger:
    def __init__(self, services: Services, identity: Identity) -> None:
        self._services = services
        self._identity = identity
        self.position = 0  # of the journal, behind this session's last record
        self._kept: dict[int, _Kept] = {}
        self._known_as: tuple[Principal | None, str] = (None, "")
        self._changes = 0  # of identity
        self.lane = ""  # the workload lane of what is opened next
        self.queued_us: int | None = None  # how long the client has waited for it
        self.ran: Callable[[Plan, int], None] | None = None  # hears how many rows a statement gave

    def lines(self, decision: Decision, plan: Plan) -> Lines:
        """The templates of this session's records of a plan. They hold for this identity and these prices alone."""
        self._look_at_identity()
        kept = self._kept.get(id(plan))
        units = self._services.plan_units(self._identity.database, decision, plan)
        if kept is not None and self._holds(kept, decision, units):
            return kept.lines
        if len(self._kept) >= _PLANS:
            self._kept.clear()
        lines = self._make_lines(decision, plan, units)
        self._kept[id(plan)] = _Kept(plan, decision.policy_fingerprint, lines, self.lane, units)
        return lines

    def _holds(self, kept: _Kept, decision: Decision, units: int | None) -> bool:
        is_same = kept.fingerprint == decision.policy_fingerprint and kept.lane == self.lane
        prices = self._services.prices(self._identity.database)
        return is_same and kept.plan_units == units and kept.lines.prices is prices

    def spoken(self, lines: Lines, comments: list[bytes]) -> Lines:
        """The templates for a statement with these comments."""
        origin = origin_of([comment.decode("utf-8", "replace") for comment in comments])
        return lines.spoken(**self._identity.origin_fields(origin))

    def _lines_of(self, decision: Decision, run: Run) -> Lines:
        """FETCH and EXECUTE come from where the text came from that they read, unless they say another place."""
        lines = self.lines(decision, run.plan)
        if run.reads is None or comments_of(decision.text):
            return lines
        said = comments_of(run.reads.held.sql)
        return self.spoken(lines, [comment.encode() for comment in said]) if said else lines

    def workload(self, text: str) -> str:
        """What the records of this text's statements say of it."""
        return str(self._identity.origin_fields(origin_of(comments_of(text)))["workload"])

    def open(
        self,
        decision: Decision,
        runs: Sequence[Run],
        shadows: Sequence[Shadowed] = (),
        units: Sequence[int | None] = (),
    ) -> list[Account]:
        """Writes the intents of all statements, all or none. Raises JournalError: nothing may run then.

        `shadows` and the planner's `units`: none, or one for each.
        """
        now = self._services.now_us()
        queued_us, self.queued_us = self.queued_us, None
        if len(runs) == 1 and not shadows and not units and queued_us is None and not runs[0].parameters:
            return [self._open_plain(decision, runs[0], now)]
        nothing = (None,) * len(runs)
        accounts, intents = [], []
        for run, shadow, estimated in zip(runs, shadows or nothing, units or nothing, strict=True):
            account = self._account(decision, run, now, self._services.new_id(), estimated)
            accounts.append(account)
            intents.append(self._intent(account, shadow, queued_us))
        if accounts:
            self.position = self._services.append(intents)
        return accounts

    def reopen(self, run: Run, lines: Lines, statement_id: str, started_us: int) -> Account:
        """The account of a statement whose intent was written by these templates."""
        return Account(statement_id, lines, run, verdict_of(run.plan), started_us, self._changes)

    def deny(
        self,
        sql: str,
        decision: Decision | None,
        refusal: Refusal,
        shadow: Shadowed | None = None,
        plan_units: int | None = None,
    ) -> None:
        """A refused text, as one record. A journal that can't take it changes nothing: the text is refused."""
        plans = () if decision is None else decision.plans
        queued_us, self.queued_us = self.queued_us, None
        intent = Record(
            stage=Stage.INTENT,
            decision=Verdict.DENY,
            lane="" if queued_us is None else self.lane,
            queued_us=queued_us,
            rule_ids=(refusal.rule,),
            sqlstate=refusal.sqlstate,
            sql_text=self._services.kept_text(sql),
            shape=plans[0].shape if len(plans) == 1 else "",
            tables=tuple(sorted({table for plan in plans for table in plan.tables})),
            policy_version="" if decision is None else decision.policy_fingerprint,
            raw_columns=_columns(raw for plan in plans for raw in plan.raw_columns),
            plan_units=plan_units,
            **self._identity.record_fields(),
            **self._identity.origin_fields(origin_of(comments_of(sql))),
            **_shadow_fields(shadow),
        )
        self._try_append(intent)
        self._services.count_statement(Measures(Verdict.DENY, 0, 0, 0, 0))

    def failed(self, decision: Decision, sqlstate: str, server_error: str = "") -> None:
        """What failed before it was executed: at Parse and Bind the server already plans and folds constants."""
        for plan in decision.plans:
            account = self._account(decision, Run(plan), self._services.now_us(), self._services.new_id())
            account.note(server_error)
            self._try_append(self._intent(account))
            self.close(account, sqlstate)

    def close(self, account: Account, sqlstate: str = "", tag: bytes = b"") -> None:
        """The outcome, once."""
        if account.is_closed:
            return
        account.is_closed = True
        duration_us = self._services.now_us() - account.started_us
        # Not each piece of COPY data is a row.
        rows = _affected(tag) if tag.startswith(b"COPY ") else account.rows or _affected(tag)
        if self.ran is not None and not sqlstate:
            self.ran(account.plan, rows)
        if self._is_plain(account):
            self._close_plain(account, rows, duration_us, sqlstate)
            if account.reservation is not None:
                account.reservation.settle(account.lines.nano(rows, account.bytes_out, duration_us, sqlstate))
        else:
            outcome = self._outcome(account, rows, duration_us, sqlstate)
            self._try_append(outcome)
            if account.reservation is not None:
                account.reservation.settle(nano_of(outcome.cost or Decimal(0)))
        allowance = self._identity.allowance
        if allowance is not None and allowance.counts_cost:
            spent = Spent(rows, account.bytes_out, duration_us, sqlstate, account.plan_units)
            allowance.spend(account.lines, spent)
        verdict = Verdict.DENY if account.broken_rule else account.verdict
        self._services.count_statement(Measures(verdict, duration_us, rows, account.bytes_out, account.masked_cells))

    def login(self, is_ok: bool, text: str, sqlstate: str = "") -> None:
        verdict = Verdict.ALLOW if is_ok else Verdict.DENY
        event = Record(
            stage=Stage.EVENT,
            shape="login",
            sql_text=text,
            decision=verdict,
            sqlstate=sqlstate,
            workload=self._identity.application,
            **self._identity.record_fields(),
        )
        self._try_append(event)
        self._services.count_login(is_ok)

    def key_lost(self, key: str, flaw: str) -> None:
        """The session ends, as its API key is no good any more."""
        event = Record(
            stage=Stage.EVENT,
            shape="key_session_ended",
            sql_text=f"the session ends: API key {key} {flaw}",
            decision=Verdict.DENY,
            sqlstate="57P01",
            **self._identity.record_fields(),
        )
        self._try_append(event)

    def said(self, sqlstate: str, server_error: str) -> None:
        """What the server said beside any statement, and the client didn't read: a constraint that was deferred."""
        event = Record(
            stage=Stage.EVENT,
            shape="server_report",
            sql_text="the server reported what no statement stands for",
            sqlstate=sqlstate,
            server_error=self._services.kept_error(joined_texts("", server_error)),
            workload=self._identity.application,
            **self._identity.record_fields(),
        )
        self._try_append(event)

    def _look_at_identity(self) -> None:
        identity = self._identity
        principal, application = self._known_as
        if identity.principal is not principal or identity.application != application:
            self._known_as = identity.principal, identity.application
            self._kept.clear()
            self._changes += 1

    def _make_lines(self, decision: Decision, plan: Plan, units: int | None) -> Lines:
        common: dict[str, Any] = {
            "shape": plan.shape,
            "decision": verdict_of(plan),
            "rule_ids": plan.rule_ids,
            "policy_version": decision.policy_fingerprint,
            "tables": plan.tables,
            "filtered_tables": plan.filtered_tables,
            "masked_columns": plan.masked_columns,
            "lane": self.lane,
            **self._identity.record_fields(),
            **self._identity.origin_fields(origin_of(comments_of(decision.text or plan.text))),
        }
        raw_columns = _columns(plan.raw_columns) if plan.raw_columns else ()
        intent = Record(stage=Stage.INTENT, raw_columns=raw_columns, **common)
        outcome = Record(stage=Stage.OUTCOME, plan_units=units, **common)
        return Lines(intent, outcome, self._services.prices(self._identity.database))

    def _account(
        self, decision: Decision, run: Run, now: int, statement_id: str, plan_units: int | None = None
    ) -> Account:
        lines = self._lines_of(decision, run)
        return Account(statement_id, lines, run, verdict_of(run.plan), now, self._changes, plan_units)

    def _open_plain(self, decision: Decision, run: Run, now: int) -> Account:
        lines = self._lines_of(decision, run)
        text = self._services.kept_text(run.plan.text).encode("utf-8", "replace")
        statement_id = self._services.append_intent(lines, text)
        self.position = self._services.journal_position()
        return Account(statement_id, lines, run, verdict_of(run.plan), now, self._changes)

    def _intent(self, account: Account, shadow: Shadowed | None = None, queued_us: int | None = None) -> Record:
        return msgspec.structs.replace(
            account.lines.intent,
            statement_id=account.statement_id,
            sql_text=self._services.kept_text(account.plan.text),
            plan_units=account.plan_units,
            queued_us=queued_us,
            parameters=account.run.parameters,
            **_shadow_fields(shadow),
        )

    def _is_plain(self, account: Account) -> bool:
        """Whether the templates of its intent say all that its outcome has to say: nothing happened on the way."""
        self._look_at_identity()
        return (
            account.identity_changes == self._changes
            and account.plan_units is None
            and not (account.broken_rule or account.limit_rule or account.server_error)
            and account.lines.prices is self._services.prices(self._identity.database)
        )

    def _close_plain(self, account: Account, rows: int, duration_us: int, sqlstate: str) -> None:
        try:
            self._services.append_outcome(
                account.lines, account.statement_id, rows, account.bytes_out, duration_us, sqlstate
            )
            self.position = self._services.journal_position()
        except JournalError:
            self._tell_loss()

    def _outcome(self, account: Account, rows: int, duration_us: int, sqlstate: str) -> Record:
        template, prices = account.lines.outcome, self._services.prices(self._identity.database)
        outcome = msgspec.structs.replace(
            template,
            statement_id=account.statement_id,
            decision=Verdict.DENY if account.broken_rule else account.verdict,
            rule_ids=_with_rule(template.rule_ids, account.broken_rule or account.limit_rule),
            rows=rows,
            bytes_out=account.bytes_out,
            duration_us=duration_us,
            currency=prices.currency,
            sqlstate=sqlstate,
            server_error=self._services.kept_error(account.server_error) if account.server_error else "",
            **self._identity.record_fields(),
        )
        units = account.plan_units if account.plan_units is not None else template.plan_units
        return msgspec.structs.replace(outcome, cost=price_of(prices, outcome, units or 0), plan_units=units)

    def _try_append(self, record: Record) -> None:
        # What already happened can't be stopped any more; the next statement can, and will be.
        try:
            self.position = self._services.append([record])
        except JournalError:
            self._tell_loss()

    def _tell_loss(self) -> None:
        log.error("an outcome could not be recorded", extra={"fields": {"session": self._identity.session}})


def verdict_of(plan: Plan) -> Verdict:
    """What the records of a statement say of its plan."""
    is_changed = plan.is_rewritten or plan.column_masks or plan.masked_columns
    return Verdict.REWRITE if is_changed else Verdict.ALLOW


def _columns(raw: Iterable[RawColumn]) -> tuple[str, ...]:
    return tuple(sorted({one.column for one in raw}))


def _shadow_fields(shadow: Shadowed | None) -> dict[str, Any]:
    return _NOTHING if shadow is None else {"shadow_decision": shadow.decision, "shadow_rule_ids": shadow.rule_ids}


def _with_rule(rule_ids: tuple[str, ...], rule: str) -> tuple[str, ...]:
    return rule_ids if not rule or rule in rule_ids else (*rule_ids, rule)


def _affected(tag: bytes) -> int:
    found = _TAG_COUNT.search(tag)
    return int(found[1]) if found else 0
