"""The harness itself: it finds canaries where nothing hides them, and the copy holds none."""

from __future__ import annotations

from tests.fix_canaries import CanaryShop, canary_server, canary_shop
from tests.security.raw_client import BINARY, TEXT, RawClient

__all__ = ["canary_server", "canary_shop"]

TABLES = ("customers", "orders", "order_items", "products", "payments", "salaries", "events", "memos", "memos_archive")


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
