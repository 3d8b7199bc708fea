"""The harness itself: it finds canaries where nothing hides them, and the copy holds none."""

from __future__ import annotations

from tests.security.asking import Asker, difference
from tests.security.canary_shop import CanaryShop
from tests.security.raw_client import BINARY, TEXT, RawClient
from tests.security.vectors import VECTORS

TABLES = ("customers", "orders", "order_items", "products", "payments", "salaries", "events", "memos", "memos_archive")

# Some of the ways that do bring canaries back when nothing is hidden.
LEAKING = {
    *(
        "star",
        "alias",
        "whole_row",
        "row_to_json",
        "table_command",
        "cte",
        "union_all_with_orders",
        "lateral",
        "reverse",
    ),
    *("encode_hex", "format", "json_path", "string_agg", "blocked_column", "blocked_table", "other_schema", "view"),
    *("partition_by_name", "child_by_name", "lo_get", "user_function", "copy_to_stdout", "copy_binary", "pg_stats"),
    *("pg_views", "pg_get_constraintdef", "cast_fails_masked", "user_function_notice", "do_block", "call"),
}


def _dump(client: RawClient, result: int, tables: tuple[str, ...]) -> None:
    for table in tables:
        assert not client.extended(f"SELECT * FROM shop.{table}", result=result).error


def test_every_hidden_cell_is_found_in_text_and_in_binary(canary_shop: CanaryShop) -> None:
    for result in (TEXT, BINARY):
        with canary_shop.direct() as client:
            _dump(client, result, TABLES)
            found = canary_shop.canaries.found_in(bytes(client.seen))
        expected = {label for label in canary_shop.canaries.labels() if _is_stored(label)}
        assert expected - found == set()


def _is_stored(label: str) -> bool:
    """Some labels stand for constants of the schema, for other tables or for cells that became NULL."""
    if label.startswith(("schema constant", "vault", "large object")):
        return False
    return not any(label.startswith(f"{who} customer {n} ") for who in ("own", "hidden") for n in (4, 9, 14, 19, 24))


def test_the_copy_holds_no_canary(canary_shop: CanaryShop) -> None:
    for result in (TEXT, BINARY):
        with canary_shop.copy() as client:
            _dump(client, result, tuple(table for table in TABLES if table != "salaries"))
            assert canary_shop.canaries.found_in(bytes(client.seen)) == set()


def test_forms(canary_shop: CanaryShop) -> None:
    """Reversed, upper-cased, hex and base64 at each alignment."""
    with canary_shop.direct() as client:
        for form in (
            "reverse(secret)",
            "upper(secret)",
            "encode(convert_to(secret, 'UTF8'), 'hex')",
            "encode(convert_to(secret, 'UTF8'), 'base64')",
            "encode(convert_to('x' || secret || 'y', 'UTF8'), 'base64')",
            "encode(convert_to('xy' || secret, 'UTF8'), 'base64')",
        ):
            client.seen.clear()
            client.simple(f"SELECT {form} FROM vault.secrets")
            assert canary_shop.canaries.found_in(bytes(client.seen)) >= {"vault 0", "vault 1", "vault 2"}, form


def test_the_vectors_find_canaries_where_nothing_is_hidden(asker: Asker) -> None:
    """Under the allow-everything policy the same statements bring canaries back: the search can fail."""
    leaking = set()
    for vector in VECTORS:
        if isinstance(vector.ask, str) and vector.name in LEAKING:
            sql = asker.written(vector.ask)
            asker.answers("root", sql)
            if asker.leaks(bytes(asker.link("root").seen), sql):
                leaking.add(vector.name)
    assert leaking == LEAKING


def test_answers_under_the_allow_everything_policy_differ_from_the_copy(asker: Asker) -> None:
    """The comparison with the copy can fail, too: a guess that hits is one more row."""
    for name in ("where_guess", "divide_by_zero", "order_by_masked", "group_by_masked", "hidden_id_point"):
        vector = next(vector for vector in VECTORS if vector.name == name)
        assert isinstance(vector.ask, str)
        sql = asker.written(vector.ask)
        plain = asker.answers("copy", sql)[0]
        assert difference(asker.answers("root", sql)[0], plain, is_ordered=True)
