"""What pgwarden thinks that names mean, held against the server, over random walks through transactions."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from policies.decision import NO_EFFECT, Plan
from proxy.session.track import Track
from tests.fix_servers import TestServer
from tests.security.canary_shop import connect
from tests.security.raw_client import SYNC, Answer, RawClient, bind, execute, parse

SCHEMAS = ("one", "two", "three")
START = ("one",)


def plan(sql: str, command: str, **effect: object) -> Plan:
    return Plan(command, sql, effect=replace(NO_EFFECT, **effect))  # type: ignore[arg-type]


STEPS = (
    plan("BEGIN", "begin"),
    plan("BEGIN", "begin"),
    plan("COMMIT", "commit"),
    plan("COMMIT AND CHAIN", "commit", is_chained=True),
    plan("ROLLBACK", "rollback"),
    plan("ROLLBACK AND CHAIN", "rollback", is_chained=True),
    *(plan(f"SAVEPOINT {name}", "savepoint", savepoint=name) for name in "ab"),
    *(plan(f"RELEASE {name}", "release", savepoint=name) for name in "ab"),
    *(plan(f"ROLLBACK TO {name}", "rollback to", savepoint=name) for name in "ab"),
    *(plan(f"SET search_path TO {name}", "set", search_path=(name,)) for name in SCHEMAS),
    *(plan(f"SET LOCAL search_path TO {s}, one", "set", search_path=(s, "one"), is_local=True) for s in SCHEMAS),
    plan("SET LOCAL search_path TO DEFAULT", "set", resets_search_path=True, is_local=True),
    plan("RESET search_path", "reset", resets_search_path=True),
    plan("SELECT set_config('search_path', 'two', true)", "select", search_path=("two",), is_local=True),
    *(plan(f"CREATE TEMP TABLE {t} (x int)", "create table", makes_temporary=(t,)) for t in ("t", "u")),
    plan(
        "CREATE TEMP TABLE v (x int) ON COMMIT DROP", "create table", makes_temporary=("v",), is_until_commit=True
    ),
    *(plan(f"DROP TABLE pg_temp.{t}", "drop", drops_temporary=(t,)) for t in ("t", "u", "v")),
    plan("DISCARD TEMP", "discard", discards_temporary=True),
    plan("DISCARD ALL", "discard", resets_search_path=True, discards_temporary=True, discards=True),
    plan("SELECT 1", "select"),
    plan("SELECT 1/0", "select"),
)  # fmt: skip

LOOK = """SELECT array_to_string(current_schemas(false), ' '), coalesce((
SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = pg_my_temp_schema()), '')"""


def follow(track: Track, plans: list[Plan], answer: Answer, status: bytes) -> None:
    for done, tag in zip(plans, answer.tags, strict=False):
        track.run(done, tag.encode())
    if answer.error:
        track.fail()
    track.ready(status)


def ask(client: RawClient, plans: list[Plan], is_extended: bool) -> tuple[Answer, bytes]:
    if is_extended:
        answer = client.roundtrip(*(part for p in plans for part in (parse(p.text), bind(), execute())), SYNC)
    else:
        answer = client.simple("; ".join(p.text for p in plans))
    return answer, bytes(client.seen[-1:])


def seen(client: RawClient) -> tuple[tuple[str, ...], frozenset[str]]:
    ((path, temporary),) = client.simple(LOOK).rows
    assert path is not None
    assert temporary is not None
    names = [name for name in path.decode().split() if not name.startswith("pg_temp")]
    return tuple(names), frozenset(temporary.decode().split())


@pytest.mark.parametrize("is_extended", [False, True])
def test_random_walks(server: TestServer, is_extended: bool) -> None:
    dsn = server.dsn(server.empty())
    with connect(dsn) as admin:
        for name in SCHEMAS:
            admin.simple(f"CREATE SCHEMA {name}")
    for seed in range(25):
        walk(dsn, random.Random(seed), is_extended)


def walk(dsn: str, chance: random.Random, is_extended: bool) -> None:
    track = Track(START, "postgres")
    story: list[str] = []
    with connect(dsn, {"search_path": "one"}) as client:
        for _ in range(20):
            plans = chance.choices(STEPS, k=chance.choice((1, 1, 1, 2, 3, 4)))
            answer, status = ask(client, plans, is_extended)
            follow(track, plans, answer, status)
            story.append(f"{'; '.join(p.text for p in plans)} -> {answer.tags} {answer.sqlstate} {status!r}")
            if status != b"E":
                path = tuple(dict.fromkeys(track.namespace.search_path))
                assert (path, track.namespace.temporary) == seen(client), "\n".join(story)


def test_the_gateway_s_name_stands_for_the_user() -> None:
    track = Track(START, "gate")
    track.run(plan("", "set", search_path=("$user", "two")))
    assert track.namespace.search_path == ("gate", "two")
