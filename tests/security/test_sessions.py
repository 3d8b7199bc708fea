"""Ways that need a connection of their own kind, or a second one."""

from __future__ import annotations

import pytest

from tests.fix_pgwarden import DATABASE, Pgwarden, password_of
from tests.security.asking import Asker
from tests.security.canary_shop import connect
from tests.security.raw_client import LoginError, RawClient

_OPTIONS = (
    {"search_path": "vault"},
    {"options": "-c search_path=vault"},
    {"options": "-csearch_path=vault -c role=postgres"},
    {"options": "--search-path=vault"},
    {"role": "postgres"},
    {"session_authorization": "postgres"},
    {"standard_conforming_strings": "off"},
    {"options": "-c standard_conforming_strings=off"},
    {"client_encoding": "SJIS"},
    {"client_encoding": "GBK"},
    {"client_encoding": "LATIN1"},
    {"DateStyle": "German, DMY"},
    {"bytea_output": "escape"},
    {"row_security": "off"},
    {"options": "-c debug_print_parse=on -c client_min_messages=debug5"},
    {"replication": "database"},
    {"replication": "true"},
    {"options": "-c session_preload_libraries=auto_explain"},
    {"_pq_.x": "1"},
)
_TEXTS = (
    "SELECT * FROM customers",
    "SELECT * FROM secrets",
    "SELECT birth_date, seen_at, photo, ssn FROM shop.customers",
    "SELECT upper(ssn), birth_date::text, photo::text FROM shop.customers",
    "SELECT '\\'; SELECT * FROM shop.salaries --'",
    "IDENTIFY_SYSTEM",
)


@pytest.mark.parametrize("options", _OPTIONS, ids=repr)
def test_startup_parameters(asker: Asker, canary_gateway: Pgwarden, options: dict[str, str]) -> None:
    """Refused at once, or without effect on what is hidden."""
    try:
        client = connect(canary_gateway.dsn("ada"), options)
    except LoginError as error:
        said = str(error)
        client = None
    if client is None:
        assert asker.leaks(said.encode(), "") == set()
        return
    with client:
        for text in _TEXTS:
            client.simple(text)
            client.extended(text)
        assert asker.leaks(bytes(client.seen), "") == set()


@pytest.mark.parametrize(
    ("user", "password", "database"),
    [
        ("ada", "wrong", DATABASE),
        ("nobody", "x", DATABASE),
        ("postgres", "postgres", DATABASE),
        ("ada", password_of("ada"), "postgres"),
        ("ada", password_of("ada"), "template1"),
        ("ada", "", DATABASE),
        ("", "", ""),
    ],
)
def test_failed_logins(canary_gateway: Pgwarden, user: str, password: str, database: str) -> None:
    """None of them gets in, and the answer names no secret."""
    with pytest.raises(LoginError) as caught:
        RawClient(canary_gateway.host, canary_gateway.port, user, password, database)
    assert "SCRAM-SHA-256$" not in str(caught.value)


def test_other_sessions_stay_unseen(asker: Asker, canary_gateway: Pgwarden) -> None:
    """A text of another session holds a canary; none of the views of sessions shows it."""
    guess = asker.written("SELECT 1 WHERE '@[vault 0]' <> ''")
    with connect(canary_gateway.dsn("root")) as other, connect(canary_gateway.dsn("ada")) as client:
        other.simple("BEGIN")
        other.simple(guess)
        assert other.simple("SELECT query FROM pg_stat_activity").rows
        for text in (
            "SELECT * FROM pg_stat_activity",
            "SELECT query FROM pg_catalog.pg_stat_activity WHERE state <> 'active'",
            "SELECT a FROM pg_stat_activity AS a",
            "SELECT * FROM pg_stat_get_activity(NULL)",
            "SELECT pg_stat_get_backend_activity(n) FROM generate_series(1, 50) AS n",
            "SELECT * FROM pg_stat_progress_copy",
        ):
            client.simple(text)
        assert asker.leaks(bytes(client.seen), "") == set()
        other.simple("ROLLBACK")


def test_notifications_of_others_stay_unheard(asker: Asker, canary_gateway: Pgwarden) -> None:
    with connect(canary_gateway.dsn("root")) as other, connect(canary_gateway.dsn("ada")) as client:
        client.simple("LISTEN canaries")
        other.simple(asker.written("NOTIFY canaries, '@[vault 0]'"))
        answer = client.simple("SELECT 1")
        assert b"A" not in answer.kinds
        assert asker.leaks(bytes(client.seen), "") == set()
