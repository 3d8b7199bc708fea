"""Policies in shadow mode: their decision is recorded beside the one that counts, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from audit.record import Record, ShadowDecision, Stage, Verdict
from policies.catalog import Catalog, Namespace
from policies.decision import Decision, Plan, Refusal
from policies.model import EffectivePolicy
from proxy.wire import messages as m
from tests.playbooks.stage import DONE, POISON, READY, Play, StageServices, allow, column, error, extended, policy_of

HEAD = m.RowDescription((column("x"),))
SQL = "select x from t"
DENIED = Refusal("42501", "trial/tables", "not allowed")


class ShadowServices(StageServices):
    """Under the shadow policy other decisions are made."""

    shadow_decisions: dict[str, Callable[[str], Decision]]

    def decide(self, sql: str, policy: EffectivePolicy, catalog: Catalog, namespace: Namespace) -> Decision:
        if policy.fingerprint == "shadow":
            return self.shadow_decisions[sql](sql)
        return super().decide(sql, policy, catalog, namespace)


def services_of(shadow: Callable[[str], Decision], sql: str = SQL, is_everything: bool = False) -> ShadowServices:
    services = ShadowServices()
    services.policy = replace(policy_of(is_everything=is_everything), shadow=policy_of("shadow"))
    services.shadow_decisions = {sql: shadow}
    return services


def denied(sql: str) -> Decision:
    return Decision(sql, (Plan("select", sql),), DENIED)


def rewritten(sql: str) -> Decision:
    return Decision("select 1", (Plan("select", sql, is_rewritten=True, rule_ids=("trial/rows[0]",)),))


def allowed(sql: str) -> Decision:
    return Decision(sql, (Plan("select", sql),))


def intent(services: StageServices) -> Record:
    return next(record for record in reversed(services.records) if record.stage is Stage.INTENT)


@pytest.mark.parametrize("is_everything", [True, False])
@pytest.mark.parametrize("is_extended", [True, False])
@pytest.mark.parametrize(
    ("decide", "decision", "rules"),
    [
        (denied, ShadowDecision.DENY, ("trial/tables",)),
        (rewritten, ShadowDecision.REWRITE, ("trial/rows[0]",)),
        (allowed, ShadowDecision.ALLOW, ()),
    ],
)
def test_the_shadow_is_recorded_and_changes_nothing(
    decide: Callable[[str], Decision],
    decision: ShadowDecision,
    rules: tuple[str, ...],
    is_extended: bool,
    is_everything: bool,
) -> None:
    services = services_of(decide, is_everything=is_everything)
    play = Play(services).open()
    sent = (*extended(SQL), m.Sync()) if is_extended else (m.Query(SQL.encode()),)
    play.client(*sent)
    assert play.server_hears() == list(sent)
    before = (m.ParseComplete(), m.BindComplete()) if is_extended else ()
    answer = (*before, HEAD, m.DataRow((b"1",)), DONE, READY)
    play.server(*answer)
    assert play.client_hears() == list(answer)
    record = intent(services)
    assert (record.decision, record.shadow_decision, record.shadow_rule_ids) == (Verdict.ALLOW, decision, rules)
    assert services.shadows == [decision]


def test_each_execute_is_counted() -> None:
    services = services_of(denied)
    play = Play(services).open()
    play.client(m.Parse(b"s", SQL.encode()), *[m.Bind(b"", b"s"), m.Execute(b"")] * 2, m.Sync())
    assert services.shadows == [ShadowDecision.DENY] * 2


def test_a_refused_statement_has_its_shadow_too() -> None:
    services = services_of(allowed)
    services.decisions[SQL] = lambda sql: Decision(sql, (), Refusal("42501", "analysts/tables", "no"))
    play = Play(services).open()
    for sent in (m.Query(SQL.encode()), m.Parse(b"", SQL.encode())):
        play.client(sent)
        assert (intent(services).decision, intent(services).shadow_decision) == (Verdict.DENY, ShadowDecision.ALLOW)
    assert play.server_hears()[0] == m.Query(POISON)


def test_a_failing_shadow_is_recorded_as_such_and_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: str) -> Decision:
        raise ZeroDivisionError("canary")

    services = services_of(broken)
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    play.server(HEAD, DONE, READY)
    assert play.client_hears() == [HEAD, DONE, READY]
    assert intent(services).shadow_decision is ShadowDecision.FAILED
    assert any(record.exc_info for record in caplog.records)


def test_statements_of_one_text_have_each_their_own() -> None:
    text = "a;b"
    one, other = Plan("select", "a"), Plan("select", "b", is_rewritten=True, rule_ids=("trial/rows[0]",))
    services = services_of(lambda sql: Decision("x", (one, other)), text)
    services.decisions[text] = lambda sql: Decision(sql, (Plan("select", "a"), Plan("select", "b")))
    play = Play(services).open()
    play.client(m.Query(text.encode()))
    intents = [record for record in services.records if record.stage is Stage.INTENT]
    assert [r.shadow_decision for r in intents] == [ShadowDecision.ALLOW, ShadowDecision.REWRITE]
    assert [r.shadow_rule_ids for r in intents] == [(), ("trial/rows[0]",)]


def test_without_a_shadow_nothing_is_decided_twice() -> None:
    services = StageServices({SQL: allow(SQL)})
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    play.server(HEAD, error("22012"), READY)
    assert len(services.paths) == 1
    assert intent(services).shadow_decision is None
    assert services.shadows == []
