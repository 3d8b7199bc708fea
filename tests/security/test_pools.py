"""Nothing that a client does on a link that sessions share is seen by the next: each attack, and all looks."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.fix_pgwarden import Pgwarden, run_pgwarden
from tests.fix_servers import TestServer
from tests.security.pool_attacks import BY_LEAVING, BY_MESSAGE, BY_TEXT, INSTANT, POISONS
from tests.security.pool_looks import LOOKS, Seen, client, seen_by
from tests.security.raw_client import SYNC, bind, close, execute, parse, query


@pytest.fixture(scope="module")
def shared(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    """Two links: one may be pinned. Who comes new gets the one that was used last."""
    pool = {"mode": "transaction", "size": 2, "wait": "20s"}
    with run_pgwarden(tmp_path_factory.mktemp("attacked"), server, pool=pool, is_started=False) as instance:
        with psycopg.connect(server.dsn(instance.database), autocommit=True) as owner:
            owner.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        instance.start()
        yield instance
        assert instance.stop() == 0
        assert instance.faults() == []


@pytest.fixture(scope="module")
def untouched(shared: Pgwarden) -> Seen:
    """What the first client of all sees, before and behind its own looks."""
    with client(shared) as first:
        return seen_by(first)


def require_untouched(shared: Pgwarden, untouched: Seen) -> None:
    with client(shared) as looker:
        for look, seen, expected in zip(LOOKS, seen_by(looker), untouched, strict=True):
            assert seen == expected, look


@pytest.mark.parametrize("name", BY_TEXT)
def test_by_text(shared: Pgwarden, untouched: Seen, name: str) -> None:
    with client(shared) as attacker:
        for text in BY_TEXT[name]:
            attacker.simple(text)
        require_untouched(shared, untouched)
    require_untouched(shared, untouched)


@pytest.mark.parametrize("name", BY_MESSAGE)
def test_by_message(shared: Pgwarden, untouched: Seen, name: str) -> None:
    with client(shared) as attacker:
        for frames in BY_MESSAGE[name]:
            attacker.roundtrip(frames)
        require_untouched(shared, untouched)
    require_untouched(shared, untouched)


@pytest.mark.parametrize("name", BY_LEAVING)
def test_by_leaving(shared: Pgwarden, untouched: Seen, name: str) -> None:
    with client(shared) as attacker:
        attacker.send(BY_LEAVING[name])
    require_untouched(shared, untouched)
    require_untouched(shared, untouched)


TOKYO_S, UTC_S = 1577804400, 1577836800


@pytest.mark.parametrize("name", POISONS)
def test_nobody_gets_a_statement_of_another_time_zone(shared: Pgwarden, name: str) -> None:
    with client(shared, TimeZone="UTC") as attacker, client(shared, TimeZone="UTC") as plain:
        attacker.simple("CREATE TABLE IF NOT EXISTS public.twice (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        own = f"{list(POISONS).index(name):06}"
        attacker.send(POISONS[name].replace(b"??????", own.encode()) + query("SELECT 'the end'"))
        while attacker.receive().rows != [(b"the end",)]:
            pass
        with client(shared, TimeZone="UTC") as eastern:
            eastern.simple("SET timezone TO 'Asia/Tokyo'")  # by the attacker's text: statements are shared among equals
            for looker, expected in ((eastern, TOKYO_S), (plain, UTC_S), (eastern, TOKYO_S)):
                text = INSTANT.replace("??????", own)
                answer = looker.roundtrip(parse(text, "t"), bind(name="t"), execute(), close(b"S", "t"), SYNC)
                assert answer.rows == [(b"%d" % expected, f"ours for {own}".encode())]
