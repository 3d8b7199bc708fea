"""`use: raw` tells what it says it tells (which rows are equal, and how many) and no byte of any value."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proxy.wire.scram import make_verifier
from tests.fix_pgwarden import Pgwarden, password_of, run_pgwarden
from tests.fix_servers import TestServer
from tests.security.asking import Asker, difference
from tests.security.canary_shop import SECURITY, CanaryShop, connect
from tests.security.raw_client import BINARY, Answer, RawClient
from tests.security.vectors_raw_uses import MASKED, ORDERED, TRUE


@pytest.fixture(scope="module")
def gateway(
    server: TestServer, canary_shop: CanaryShop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pgwarden]:
    text = (SECURITY / "raw_uses.yaml").read_text("utf-8")
    for user in ("pia", "lea"):
        text = text.replace(f"@{user}@", make_verifier(password_of(user), 4096, b"0123456789abcdef"))
    databases = {"shop": {"upstream": canary_shop.dsn}}
    with run_pgwarden(tmp_path_factory.mktemp("raw-uses"), server, policies=text, databases=databases) as instance:
        yield instance


@pytest.fixture(scope="module")
def asks(canary_shop: CanaryShop, gateway: Pgwarden) -> Iterator[Asker]:
    found = Asker(canary_shop, lambda user: connect(gateway.dsn(user)))
    yield found
    found.close()


@pytest.fixture(scope="module")
def direct(canary_shop: CanaryShop) -> Iterator[RawClient]:
    """The database itself."""
    with canary_shop.direct() as client:
        yield client


def ask(asks: Asker, user: str, sql: str) -> list[Answer]:
    """Over both protocols, in text and in binary; nothing of it holds a canary that the client didn't say."""
    written, link = asks.written(sql), asks.link(user)
    link.seen.clear()
    answers = [link.simple(written), link.extended(written), link.extended(written, result=BINARY)]
    assert not asks.leaks(bytes(link.seen), written)
    return answers


@pytest.mark.parametrize(("sql", "truth"), [one[1:] for one in TRUE], ids=[one[0] for one in TRUE])
def test_an_allowed_use_sees_real_values(asks: Asker, direct: RawClient, sql: str, truth: str) -> None:
    for answer, path in zip(ask(asks, "pia", sql), ("simple", "text", "binary"), strict=True):
        assert not answer.sqlstate, answer.error
        plain = direct.extended(asks.written(truth), result=BINARY if path == "binary" else 0)
        found = sorted(map(repr, answer.rows)), sorted(map(repr, plain.rows))
        assert found[0] == found[1], path


def test_the_masked_user_gets_something_else(asks: Asker) -> None:
    """Else the tests above would say nothing."""
    _, sql, _ = TRUE[0]
    assert ask(asks, "lea", sql)[0].rows == []


@pytest.mark.parametrize("sql", [sql for _, sql in (*MASKED, *ORDERED)], ids=[name for name, _ in (*MASKED, *ORDERED)])
def test_every_other_use_is_what_the_mask_alone_gives(asks: Asker, sql: str) -> None:
    for ours, theirs in zip(ask(asks, "pia", sql), ask(asks, "lea", sql), strict=True):
        assert ours.sqlstate == theirs.sqlstate
        found = difference(ours, theirs, is_ordered=False)
        assert not found
        assert ours.copied == theirs.copied


def test_groups_come_in_no_order_of_their_values(asks: Asker) -> None:
    """Each time in another: 24 rows come twice in the same order once in 24! times."""
    link = asks.link("pia")
    sql = "SELECT min(id) FROM customers GROUP BY ssn"
    orders = {tuple(link.simple(sql).rows) for _ in range(3)}
    assert len(orders) == 3
    assert len({frozenset(rows) for rows in orders}) == 1
