"""Policies and catalogs that change under an open session."""

from __future__ import annotations

from dataclasses import replace

from policies.catalog import Catalog
from policies.decision import Decision, Effect, Plan
from proxy.session.phase import Phase
from proxy.session.ports import RefreshCatalog
from proxy.wire import messages as m
from tests.playbooks.stage import (
    DONE,
    POISON,
    READY,
    Play,
    StageServices,
    allow,
    column,
    error,
    kinds,
    policy_of,
    refuse,
    sqlstates,
)

ROW = m.DataRow((b"1",))
POISON_PARSE = m.Parse(b"pgwarden_refused", POISON)
SYNTAX = error("42601")
PARAMETERS = m.ParameterDescription(())
DESCRIBED = m.RowDescription((column("a"), column("b")))


def rewritten(text: str):  # type: ignore[no-untyped-def]
    return lambda sql: Decision(text, (Plan("select", sql, is_rewritten=True),))


def prepared(services: StageServices, name: bytes = b"s") -> Play:
    play = Play(services).open()
    play.client(m.Parse(name, b"select a"), m.Describe(b"S", name), m.Sync())
    play.server(m.ParseComplete(), PARAMETERS, DESCRIBED, READY)
    play.client_hears()
    play.server_hears()
    return play


def test_a_prepared_statement_is_decided_anew_at_bind() -> None:
    services = StageServices()
    play = prepared(services)
    services.policy = policy_of("p2")
    services.decisions["select a"] = rewritten("select guarded")
    play.client(m.Bind(b"", b"s"), m.Execute(b""), m.Sync())
    assert play.server_hears() == [
        m.Close(b"S", b"s"),
        m.Parse(b"s", b"select guarded"),
        m.Describe(b"S", b"s"),
        m.Bind(b"", b"s"),
        m.Execute(b""),
        m.Sync(),
    ]
    play.server(m.CloseComplete(), m.ParseComplete(), PARAMETERS, DESCRIBED, m.BindComplete(), ROW, DONE, READY)
    assert kinds(play.client_hears()) == ["BindComplete", "DataRow", "CommandComplete", "ReadyForQuery"]
    assert services.records[-2].policy_version == "p2"
    play.client(m.Bind(b"", b"s"), m.Execute(b""), m.Sync())
    assert kinds(play.server_hears()) == ["Bind", "Execute", "Sync"]


def test_an_unnamed_statement_is_parsed_again_without_a_close() -> None:
    services = StageServices()
    play = prepared(services, b"")
    services.policy = policy_of("p2")
    services.decisions["select a"] = rewritten("select guarded")
    play.client(m.Bind(b"", b""), m.Sync())
    assert kinds(play.server_hears()) == ["Parse", "Describe", "Bind", "Sync"]


def test_the_same_text_under_a_new_policy_is_not_sent_again() -> None:
    services = StageServices()
    play = prepared(services)
    services.policy = policy_of("p2")
    play.client(m.Bind(b"", b"s"), m.Execute(b""), m.Sync())
    assert kinds(play.server_hears()) == ["Bind", "Execute", "Sync"]
    play.server(m.BindComplete(), ROW, DONE, READY)
    assert services.records[-2].policy_version == "p2"


def test_a_prepared_statement_that_is_now_refused_never_runs() -> None:
    services = StageServices()
    play = prepared(services)
    services.policy = policy_of("p2")
    services.decisions["select a"] = refuse()
    play.client(m.Bind(b"", b"s"), m.Execute(b""), m.Sync())
    assert play.server_hears() == [POISON_PARSE, m.Sync()]
    play.server(SYNTAX, READY)
    assert sqlstates(play.client_hears()) == ["42501"]
    services.policy = policy_of("p3")
    del services.decisions["select a"]
    play.client(m.Bind(b"", b"s"), m.Execute(b""), m.Sync())
    assert kinds(play.server_hears()) == ["Bind", "Execute", "Sync"]


def test_other_columns_than_the_client_was_told_are_an_error() -> None:
    services = StageServices()
    play = prepared(services)
    services.policy = policy_of("p2")
    services.decisions["select a"] = rewritten("select guarded")
    play.client(m.Bind(b"", b"s"), m.Execute(b""), m.Sync())
    fewer = m.RowDescription((column("a"),))
    play.server(m.CloseComplete(), m.ParseComplete(), PARAMETERS, fewer, m.BindComplete(), ROW, DONE, READY)
    heard = play.client_hears()
    assert (kinds(heard), sqlstates(heard)) == (["ErrorResponse", "ReadyForQuery"], ["0A000"])
    fields = heard[0].fields  # type: ignore[union-attr]
    assert fields["M"] == b"cached plan must not change result type"
    assert fields["R"] == b"RevalidateCachedQuery"


def test_a_portal_bound_under_the_old_policy_is_not_executed() -> None:
    services = StageServices()
    play = Play(services).open()
    play.client(m.Parse(b"", b"select a"), m.Bind(b"p", b""), m.Flush())
    play.server(m.ParseComplete(), m.BindComplete())
    play.server_hears()
    services.policy = policy_of("p2")
    services.decisions["select a"] = rewritten("select guarded")
    play.client(m.Execute(b"p"), m.Sync())
    assert play.server_hears() == [POISON_PARSE, m.Sync()]
    play.server(SYNTAX, READY)
    assert sqlstates(play.client_hears()) == ["0A000"]


def test_a_portal_goes_on_when_the_new_policy_says_the_same() -> None:
    services = StageServices()
    play = Play(services).open()
    play.client(m.Parse(b"", b"select a"), m.Bind(b"p", b""), m.Flush())
    play.server_hears()
    services.policy = policy_of("p2")
    play.client(m.Execute(b"p"), m.Sync())
    assert kinds(play.server_hears()) == ["Execute", "Sync"]


def test_a_new_catalog_is_a_reason_to_decide_anew() -> None:
    services = StageServices()
    play = prepared(services)
    assert isinstance(services.snapshot, Catalog)
    services.snapshot = replace(services.snapshot, version=2)
    services.decisions["select a"] = rewritten("select guarded")
    play.client(m.Bind(b"", b"s"), m.Sync())
    assert kinds(play.server_hears()) == ["Close", "Parse", "Describe", "Bind", "Sync"]


def test_a_tainted_session_ends_when_policies_get_narrower() -> None:
    services = StageServices({"set": allow("set", is_tainting=True)}, policy_of("p1", is_everything=True))
    play = Play(services).open()
    play.client(m.Query(b"set"))
    play.server(m.CommandComplete(b"SET"), READY)
    play.client(m.Query(b"select 1"))
    play.server(DONE, READY)
    play.client_hears()
    play.server_hears()
    services.policy = policy_of("p2")
    play.client(m.Query(b"select 1"))
    assert sqlstates(play.client_hears()) == ["57P01"]
    assert play.server_hears() == []
    assert play.session.phase is Phase.ENDED


def test_an_untainted_session_lives_on() -> None:
    services = StageServices(policy=policy_of("p1", is_everything=True))
    play = Play(services).open()
    play.client(m.Query(b"select 1"))
    play.server(DONE, READY)
    services.policy = policy_of("p2")
    play.client(m.Query(b"select 1"))
    assert m.Query(b"select 1") in play.server_hears()


def test_a_removed_user_is_disconnected_at_the_next_statement() -> None:
    services = StageServices()
    play = Play(services).open()
    services.policy = None
    play.client(m.Query(b"select 1"))
    assert sqlstates(play.client_hears()) == ["57P01"]
    assert play.server_hears() == []


def test_a_session_whose_encoding_moved_ends_under_a_narrow_policy() -> None:
    play = Play().open()
    play.server(m.ParameterStatus(b"client_encoding", b"SJIS"))
    play.client(m.Query(b"select 1"))
    assert sqlstates(play.client_hears()) == ["57P01"]


def test_ddl_refreshes_the_catalog_when_its_transaction_is_over() -> None:
    services = StageServices({"create": allow("create", command="create table", is_ddl=True)})
    play = Play(services).open()
    play.client(m.Query(b"create"))
    play.server(m.CommandComplete(b"CREATE TABLE"), m.ReadyForQuery(b"T"))
    assert RefreshCatalog("shop") not in play.told()
    play.client(m.Query(b"commit"))
    play.server(m.CommandComplete(b"COMMIT"), READY)
    assert RefreshCatalog("shop") in play.told()


# search_path


def set_path(path: tuple[str, ...] = ("public",)):  # type: ignore[no-untyped-def]
    return allow("set", command="set", effect=Effect(search_path=path))


def test_the_search_path_follows_a_set_that_succeeded() -> None:
    services = StageServices(
        {"set": set_path(), "reset": allow("reset", command="reset", effect=Effect(resets_search_path=True))}
    )
    play = Play(services).open()
    play.client(m.Query(b"set"))
    play.server(m.CommandComplete(b"SET"), READY)
    play.client(m.Query(b"select 1"))
    assert services.paths[-1] == ("public",)
    play.server(DONE, READY)
    play.client(m.Query(b"reset"))
    play.server(m.CommandComplete(b"RESET"), READY)
    play.client(m.Query(b"select 1"))
    assert services.paths[-1] == ("shop",)


def test_a_set_that_failed_changes_nothing() -> None:
    services = StageServices({"set": set_path()})
    play = Play(services).open()
    play.client(m.Query(b"set"))
    play.server(error("22023"), READY)
    play.client(m.Query(b"select 1"))
    assert services.paths[-1] == ("shop",)


def test_statements_behind_a_set_wait_until_its_outcome_is_known() -> None:
    services = StageServices({"set": set_path()})
    play = Play(services).open()
    play.client(m.Query(b"set"), m.Query(b"select 1"))
    assert play.server_hears() == [m.Query(b"set")]
    play.server(m.CommandComplete(b"SET"), READY)
    assert play.server_hears() == [m.Query(b"select 1")]
    assert services.paths[-1] == ("public",)


def test_what_follows_a_set_in_one_pipeline_is_decided_as_if_it_succeeded() -> None:
    # If it doesn't, the server skips the rest.
    services = StageServices({"set": set_path()})
    play = Play(services).open()
    play.client(m.Parse(b"", b"set"), m.Bind(b"", b""), m.Execute(b""), m.Parse(b"", b"select 1"), m.Sync())
    assert services.paths[-1] == ("public",)
    assert kinds(play.server_hears()) == ["Parse", "Bind", "Execute", "Parse", "Sync"]
    play.client(m.Query(b"select 2"))
    assert play.server_hears() == []
    play.server(m.ParseComplete(), m.BindComplete(), error("22023"), READY)
    assert play.server_hears() == [m.Query(b"select 2")]
    assert services.paths[-1] == ("shop",)


def test_a_prepared_statement_is_decided_anew_under_another_search_path() -> None:
    # The server analyzes it again under the new path: the guard must be that of the table it then finds.
    services = StageServices({"set": set_path()})
    play = prepared(services)
    play.client(m.Query(b"set"))
    play.server(m.CommandComplete(b"SET"), READY)
    play.server_hears()
    services.decisions["select a"] = rewritten("select public")
    play.client(m.Bind(b"", b"s"), m.Sync())
    assert m.Parse(b"s", b"select public") in play.server_hears()
    assert services.paths[-1] == ("public",)


def test_a_reported_search_path_is_the_truth() -> None:
    services = StageServices()
    play = Play(services).open()
    play.server(m.ParameterStatus(b"search_path", b'"$user", gone, "public", shop'))
    play.client(m.Query(b"select 1"))
    assert services.paths[-1] == ("public", "shop")


def test_the_startup_packets_search_path_counts() -> None:
    services = StageServices()
    Play(services).open(search_path="PUBLIC, shop").client(m.Query(b"select 1"))
    assert services.paths[-1] == ("public", "shop")
