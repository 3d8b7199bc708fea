"""`use: raw` tells what it says it tells (which rows are equal, and how many) and no byte of any value.

Masks with keys tell no byte either, and nothing at all where their column isn't only put out.
"""

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
    for user in ("pia", "lea", "kim"):
        text = text.replace(f"@{user}@", make_verifier(password_of(user), 4096, b"0123456789abcdef"))
    databases = {"shop": {"upstream": canary_shop.dsn}}
    folder = tmp_path_factory.mktemp("raw-uses")
    (folder / "key").write_text("not a key to be guessed\n")
    with run_pgwarden(folder, server, policies=text, databases=databases) as instance:
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


KEYED = ["email", "ssn", "phone", "loyalty_code", "points", "credit_limit", "pin", "device", "photo", "tags", "note"]


def test_masks_with_keys_are_the_same_on_every_path(asks: Asker, canary_shop: CanaryShop) -> None:
    simple, text, binary = ask(asks, "kim", f"SELECT id, {', '.join(KEYED)} FROM customers ORDER BY id")
    assert simple.rows == text.rows
    assert len(binary.rows) == 24
    for ours, plain in zip(text.rows, canary_shop_rows(canary_shop), strict=True):
        for column, shown, real in zip(KEYED, ours[1:], plain[1:], strict=True):
            assert (shown is None) == (real is None), column
            assert shown is None or shown != real, column
    texts = [
        index for index, column in enumerate(KEYED, 1) if column in ("email", "ssn", "phone", "loyalty_code", "note")
    ]
    for ours, same in zip(text.rows, binary.rows, strict=True):
        assert [ours[index] for index in texts] == [same[index] for index in texts]


def canary_shop_rows(shop: CanaryShop) -> list[tuple[object, ...]]:
    with shop.direct() as client:
        sql = f"SELECT id, {', '.join(KEYED)} FROM shop.customers WHERE tenant_id = 1 ORDER BY id"
        return list(client.extended(sql).rows)


@pytest.mark.parametrize("column", KEYED)
def test_masks_with_keys_are_null_at_the_source(asks: Asker, column: str) -> None:
    (answer, *_) = ask(
        asks, "kim", f"SELECT count({column}), count({column}::text), max({column}::text) FROM customers"
    )
    assert answer.rows == [(b"0", b"0", None)]


def test_probes_are_counted_by_the_value_and_end(asks: Asker) -> None:
    two = "SELECT id FROM customers WHERE ssn IN ('@[own customer 3 ssn]', 'none')"
    link = asks.link("kim")
    assert link.simple(asks.written(two)).rows == [(b"3",)]
    assert link.simple(asks.written(two)).sqlstate == "53400"
    assert link.simple("SELECT count(*) FROM customers WHERE ssn = 'one left'").rows == [(b"0",)]
    assert link.simple("SELECT count(*) FROM customers WHERE ssn = 'none left'").sqlstate == "53400"
    assert link.simple("SELECT id FROM customers WHERE lower(ssn) = 'masked'").sqlstate == ""
