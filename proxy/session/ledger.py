"""Makes the audit records of one session and hands them to the journal. It decides nothing."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from audit.cost import cost_of
from audit.errors import JournalError
from audit.record import Record, Stage, Verdict
from policies.decision import Decision, RawColumn, Refusal
from policies.model import Principal
from proxy.session.held import Account, Run, Shadowed, joined_texts
from proxy.session.ports import Measures, Services

log = logging.getLogger("pgwarden.session")

# sqlcommenter's form of W3C trace context; the id alone, so that nothing else of a comment gets into the field.
_TRACE = re.compile(r"traceparent\s*=\s*'[0-9a-f]{2}-([0-9a-f]{32})-")
_NOTHING: Final[dict[str, Any]] = {}
_TAG_COUNT = re.compile(rb" (\d+)$")


@dataclass(slots=True)
class Identity:
    """Who talks. `application` follows application_name."""

    session: str
    client_address: str = ""
    user: str = ""
    database: str = ""
    application: str = ""
    principal: Principal | None = None

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
            "workload": self.application,
        }


class Ledger:
    def __init__(self, services: Services, identity: Identity) -> None:
        self._services = services
        self._identity = identity
        self.position = 0  # of the journal, behind this session's last record

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
        if not shadows and not units:
            accounts = [self._account(decision, run, now) for run in runs]
        else:
            nothing = (None,) * len(runs)
            beside = zip(runs, shadows or nothing, units or nothing, strict=True)
            accounts = [self._account(decision, run, now, shadow, estimated) for run, shadow, estimated in beside]
        if accounts:
            self.position = self._services.append([account.intent for account in accounts])
        return accounts

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
        intent = Record(
            stage=Stage.INTENT,
            decision=Verdict.DENY,
            rule_ids=(refusal.rule,),
            sqlstate=refusal.sqlstate,
            sql_text=self._services.kept_text(sql),
            shape=plans[0].shape if len(plans) == 1 else "",
            tables=tuple(sorted({table for plan in plans for table in plan.tables})),
            policy_version="" if decision is None else decision.policy_fingerprint,
            trace_id=_trace_id(sql),
            raw_columns=_columns(raw for plan in plans for raw in plan.raw_columns),
            plan_units=plan_units,
            **self._identity.record_fields(),
            **_shadow_fields(shadow),
        )
        self._try_append(intent)
        self._services.count_statement(Measures(Verdict.DENY, 0, 0, 0, 0))

    def failed(self, decision: Decision, sqlstate: str, server_error: str = "") -> None:
        """What failed before it was executed: at Parse and Bind the server already plans and folds constants."""
        for plan in decision.plans:
            account = self._account(decision, Run(plan), self._services.now_us())
            account.note(server_error)
            self._try_append(account.intent)
            self.close(account, sqlstate)

    def close(self, account: Account, sqlstate: str = "", tag: bytes = b"") -> None:
        """The outcome, once."""
        if account.is_closed:
            return
        account.is_closed = True
        duration_us = self._services.now_us() - account.started_us
        # Not each piece of COPY data is a row.
        rows = _affected(tag) if tag.startswith(b"COPY ") else account.rows or _affected(tag)
        prices = self._services.prices()
        verdict = Verdict.DENY if account.broken_rule else account.verdict
        outcome = Record(
            stage=Stage.OUTCOME,
            statement_id=account.intent.statement_id,
            decision=verdict,
            sql_text="",
            shape=account.intent.shape,
            rule_ids=_with_rule(account.intent.rule_ids, account.broken_rule or account.limit_rule),
            policy_version=account.intent.policy_version,
            tables=account.intent.tables,
            filtered_tables=account.intent.filtered_tables,
            masked_columns=account.intent.masked_columns,
            trace_id=account.intent.trace_id,
            rows=rows,
            bytes_out=account.bytes_out,
            duration_us=duration_us,
            cost=cost_of(
                prices,
                server_time_us=duration_us,
                bytes_out=account.bytes_out,
                plan_units=account.intent.plan_units or 0,
            ),
            currency=prices.currency,
            sqlstate=sqlstate,
            server_error=self._services.kept_error(account.server_error) if account.server_error else "",
            **self._identity.record_fields(),
        )
        self._try_append(outcome)
        self._services.count_statement(Measures(verdict, duration_us, rows, account.bytes_out, account.masked_cells))

    def login(self, is_ok: bool, text: str, sqlstate: str = "") -> None:
        verdict = Verdict.ALLOW if is_ok else Verdict.DENY
        event = Record(
            stage=Stage.EVENT,
            shape="login",
            sql_text=text,
            decision=verdict,
            sqlstate=sqlstate,
            **self._identity.record_fields(),
        )
        self._try_append(event)
        self._services.count_login(is_ok)

    def said(self, sqlstate: str, server_error: str) -> None:
        """What the server said beside any statement, and the client didn't read: a constraint that was deferred."""
        event = Record(
            stage=Stage.EVENT,
            shape="server_report",
            sql_text="the server reported what no statement stands for",
            sqlstate=sqlstate,
            server_error=self._services.kept_error(joined_texts("", server_error)),
            **self._identity.record_fields(),
        )
        self._try_append(event)

    def _account(
        self,
        decision: Decision,
        run: Run,
        now: int,
        shadow: Shadowed | None = None,
        plan_units: int | None = None,
    ) -> Account:
        plan = run.plan
        is_changed = plan.is_rewritten or plan.column_masks or plan.masked_columns
        verdict = Verdict.REWRITE if is_changed else Verdict.ALLOW
        intent = Record(
            stage=Stage.INTENT,
            statement_id=self._services.new_id(),
            shape=plan.shape,
            sql_text=self._services.kept_text(plan.text),
            decision=verdict,
            rule_ids=plan.rule_ids,
            policy_version=decision.policy_fingerprint,
            tables=plan.tables,
            filtered_tables=plan.filtered_tables,
            masked_columns=plan.masked_columns,
            trace_id=_trace_id(plan.text),
            raw_columns=_columns(plan.raw_columns) if plan.raw_columns else (),
            plan_units=plan_units,
            **self._identity.record_fields(),
            **_shadow_fields(shadow),
        )
        return Account(intent, run, verdict, now)

    def _try_append(self, record: Record) -> None:
        # What already happened can't be stopped any more; the next statement can, and will be.
        try:
            self.position = self._services.append([record])
        except JournalError:
            log.error("an outcome could not be recorded", extra={"fields": {"session": self._identity.session}})


def _trace_id(sql: str) -> str:
    found = _TRACE.search(sql) if "traceparent" in sql else None
    return found[1] if found else ""


def _columns(raw: Iterable[RawColumn]) -> tuple[str, ...]:
    return tuple(sorted({one.column for one in raw}))


def _shadow_fields(shadow: Shadowed | None) -> dict[str, Any]:
    return _NOTHING if shadow is None else {"shadow_decision": shadow.decision, "shadow_rule_ids": shadow.rule_ids}


def _with_rule(rule_ids: tuple[str, ...], rule: str) -> tuple[str, ...]:
    return rule_ids if not rule or rule in rule_ids else (*rule_ids, rule)


def _affected(tag: bytes) -> int:
    found = _TAG_COUNT.search(tag)
    return int(found[1]) if found else 0
