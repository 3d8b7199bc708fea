"""What unqualified names mean: pipelines wait where errors could change it, and only there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audit.record import Stage
from policies.catalog import Catalog
from policies.decision import Decision, Effect, Plan
from proxy.session.ports import RefreshCatalog
from proxy.wire import messages as m
from tests.playbooks.stage import (
    DONE,
    FAILED,
    IN_BLOCK,
    READY,
    Play,
    StageServices,
    allow,
    error,
    kinds,
    policy_of,
    sqlstates,
)

BEGUN = m.CommandComplete(b"BEGIN")
SET = m.CommandComplete(b"SET")


def stage() -> StageServices:
    return StageServices(
        {
            "begin": allow("begin", command="begin"),
            "commit": allow("commit", command="commit"),
            "rollback": allow("rollback", command="rollback"),
            "set": allow("set", command="set", effect=Effect(search_path=("public",))),
            "set local": allow("set local", command="set", effect=Effect(search_path=("public",), is_local=True)),
            "make": allow("make", command="create table", effect=Effect(makes_temporary=("tmp",))),
            "drop": allow("drop", command="drop", effect=Effect(drops_temporary=("tmp",))),
            "ddl": allow("ddl", command="create table", is_ddl=True, effect=Effect(makes_relations=(("shop", "new"),))),
        }
    )


def said(play: Play, text: bytes, tag: bytes, status: m.ReadyForQuery = READY) -> None:
    play.client(m.Query(text))
    play.server(m.CommandComplete(tag), status)
    play.client_hears()
    play.server_hears()


def path_of(play: Play) -> tuple[str, ...]:
    play.client(m.Query(b"select 1"))
    return play.services.paths[-1]


def test_a_local_path_ends_with_its_transaction() -> None:
    play = Play(stage()).open()
    said(play, b"begin", b"BEGIN", IN_BLOCK)
    said(play, b"set local", b"SET", IN_BLOCK)
    play.client(m.Query(b"select 1"))
    assert play.services.paths[-1] == ("public",)
    play.server(DONE, IN_BLOCK)
    said(play, b"commit", b"COMMIT")
    assert path_of(play) == ("shop",)


def test_a_commit_that_turned_into_a_rollback_takes_the_path_back() -> None:
    play = Play(stage()).open()
    said(play, b"begin", b"BEGIN", IN_BLOCK)
    said(play, b"set", b"SET", IN_BLOCK)
    said(play, b"commit", b"ROLLBACK")
    assert path_of(play) == ("shop",)


def test_behind_a_commit_that_may_fail_the_next_message_waits() -> None:
    play = Play(stage()).open()
    said(play, b"begin", b"BEGIN", IN_BLOCK)
    said(play, b"set", b"SET", IN_BLOCK)
    play.client(m.Query(b"select 1/0"), m.Query(b"commit"), m.Query(b"select 1"))
    assert play.server_hears() == [m.Query(b"select 1/0"), m.Query(b"commit")]
    play.server(error("22012"), FAILED, m.CommandComplete(b"ROLLBACK"), READY)
    assert play.server_hears() == [m.Query(b"select 1")]
    assert play.services.paths[-1] == ("shop",)


def test_a_transaction_that_changed_no_names_is_pipelined_whole() -> None:
    play = Play(stage()).open()
    texts = [m.Query(text) for text in (b"begin", b"select 1", b"commit", b"begin", b"select 2", b"rollback")]
    play.client(*texts)
    assert play.server_hears() == texts


def test_the_open_policy_waits_for_nothing() -> None:
    services = stage()
    services.policy = policy_of("open", is_everything=True)
    play = Play(services).open()
    texts = [m.Query(text) for text in (b"set", b"select 1", b"ddl", b"select 2")]
    play.client(*texts)
    assert play.server_hears() == texts


def test_temporary_relations_count_for_texts_that_can_name_them() -> None:
    services = stage()
    seen: list[frozenset[str]] = []
    decide = services.decide
    services.decide = lambda sql, policy, catalog, namespace: (  # type: ignore[method-assign]
        seen.append(namespace.temporary),
        decide(sql, policy, catalog, namespace),
    )[1]
    play = Play(services).open()
    said(play, b"make", b"CREATE TABLE")
    for text, names in (
        (b"select from TMP", {"tmp"}),
        (b"select from other", set()),
        (b'select from U&"\\0074mp"', {"tmp"}),
    ):
        play.client(m.Query(text))
        assert seen[-1] == names
        play.server(DONE, READY)
    said(play, b"drop", b"DROP TABLE")
    play.client(m.Query(b"select from tmp"))
    assert seen[-1] == set()


def test_a_temporary_relation_is_known_in_its_own_pipeline() -> None:
    play = Play(stage()).open()
    play.client(m.Parse(b"", b"make"), m.Bind(b"", b""), m.Execute(b""), m.Parse(b"", b"select from tmp"), m.Sync())
    assert kinds(play.server_hears()) == ["Parse", "Bind", "Execute", "Parse", "Sync"]
    play.client(m.Query(b"select 1"))
    assert play.server_hears() == []


def test_behind_ddl_the_next_stretch_waits_for_the_new_catalog() -> None:
    services = stage()
    play = Play(services).open()
    play.client(m.Query(b"ddl"), m.Query(b"select 1"))
    assert play.server_hears() == [m.Query(b"ddl")]
    play.server(m.CommandComplete(b"CREATE TABLE"), READY)
    assert RefreshCatalog("shop") in play.told()
    assert play.server_hears() == []
    services.snapshot = replace(services.snapshot or Catalog(1, "shop", 150000, ()), version=2)
    play.session.catalog_refreshed()
    play.collect()
    assert play.server_hears() == [m.Query(b"select 1")]
    play.server(DONE, READY)
    assert services.records[-1].stage is Stage.OUTCOME


def test_another_sessions_ddl_is_waited_for_once() -> None:
    play = Play(stage()).open()
    assert not play.session.hold_for_catalog("another database")
    assert play.session.hold_for_catalog("shop")
    assert not play.session.hold_for_catalog("shop")  # it waits already
    play.client(m.Query(b"select 1"))
    assert play.server_hears() == []
    play.session.catalog_refreshed()
    play.collect()
    assert play.server_hears() == [m.Query(b"select 1")]


def test_under_allow_everything_nobody_waits_for_a_catalog() -> None:
    services = stage()
    services.policy = policy_of("p1", is_everything=True)
    play = Play(services).open()
    assert not play.session.hold_for_catalog("shop")
    play.client(m.Query(b"select 1"))
    assert play.server_hears() == [m.Query(b"select 1")]


@pytest.mark.parametrize(("fingerprint", "is_known"), [("p1", True), ("p2", False)])
def test_what_a_transaction_made_counts_under_its_own_policy(fingerprint: str, is_known: bool) -> None:
    services = stage()
    seen: list[bool] = []
    decide = services.decide
    services.decide = lambda sql, policy, catalog, namespace: (  # type: ignore[method-assign]
        seen.append(bool(namespace.made)),
        decide(sql, policy, catalog, namespace),
    )[1]
    play = Play(services).open()
    said(play, b"begin", b"BEGIN", IN_BLOCK)
    said(play, b"ddl", b"CREATE TABLE", IN_BLOCK)
    services.policy = policy_of(fingerprint)
    play.client(m.Query(b"select from new"))
    assert seen[-1] is is_known


@pytest.mark.parametrize("is_dropped", [False, True])
def test_temporary_data_of_another_policy_ends_the_session(is_dropped: bool) -> None:
    services = stage()
    play = Play(services).open()
    said(play, b"make", b"CREATE TABLE")
    if is_dropped:
        said(play, b"drop", b"DROP TABLE")
    services.policy = policy_of("p2")
    play.client(m.Query(b"select 1"))
    assert sqlstates(play.client_hears()) == ([] if is_dropped else ["57P01"])
    assert play.server_hears() == ([m.Query(b"select 1")] if is_dropped else [])


def test_a_suspended_portal_that_a_query_replaces_has_an_outcome() -> None:
    services = stage()
    play = Play(services).open()
    said(play, b"begin", b"BEGIN", IN_BLOCK)
    play.client(m.Parse(b"", b"select 1"), m.Bind(b"", b""), m.Execute(b"", 1), m.Sync(), m.Query(b"select 2"))
    play.server(m.ParseComplete(), m.BindComplete(), m.DataRow((b"1",)), m.PortalSuspended(), IN_BLOCK, DONE, IN_BLOCK)
    assert [r.rows for r in services.records if r.stage is Stage.OUTCOME][-2:] == [1, 1]


def test_a_chain_begins_another_block() -> None:
    services = stage()
    chained = Plan("rollback", "rollback and chain", effect=Effect(is_chained=True))
    services.decisions["rollback and chain"] = lambda sql: Decision(sql, (chained,))
    play = Play(services).open()
    said(play, b"begin", b"BEGIN", IN_BLOCK)
    said(play, b"set", b"SET", IN_BLOCK)
    said(play, b"rollback and chain", b"ROLLBACK", IN_BLOCK)
    said(play, b"set", b"SET", IN_BLOCK)
    said(play, b"rollback", b"ROLLBACK")
    assert path_of(play) == ("shop",)
