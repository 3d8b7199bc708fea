"""The rows of the canary shop: what tenant 1 may see is plain, everything hidden from it is a canary."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.security.canaries import Canaries

OWN_CUSTOMERS = 24
HIDDEN_CUSTOMERS = 10
OWN_ORDERS = 60
HIDDEN_ORDERS = 20
PRODUCTS = 12
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class TableRows:
    table: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CUSTOMERS = _words(
    "id tenant_id name city segment email ssn phone birth_date loyalty_code credit_limit points rating note tags"
    " profile device photo pin seen_at nickname"
)
_SEGMENTS = ("retail", "trade", "vip")
_STATES = ("open", "paid", "sent", "void")
_CITIES = ("Leeds", "York", "Hull", None)


def all_rows(canaries: Canaries) -> Iterator[TableRows]:
    """Every table's rows, in primary key order."""
    yield TableRows("shop.customers", CUSTOMERS, tuple(_customers(canaries)))
    yield TableRows(
        "shop.orders", _words("id tenant_id customer_id state placed_on total memo"), tuple(_orders(canaries))
    )
    yield TableRows(
        "shop.order_items", _words("order_id line product_id quantity price remark"), tuple(_items(canaries))
    )
    yield TableRows("shop.products", _words("id name price cost labels sizes attributes"), tuple(_products(canaries)))
    yield TableRows(
        "shop.payments", _words("id tenant_id order_id amount card_number method paid_at"), tuple(_payments(canaries))
    )
    yield TableRows("shop.salaries", _words("id person amount since"), tuple(_salaries(canaries)))
    yield TableRows("shop.regions", _words("id name parent"), tuple(_REGIONS))
    yield TableRows("shop.events", _words("day tenant_id id actor payload"), tuple(_events(canaries)))
    yield TableRows("shop.memos", _words("id tenant_id body"), tuple(_memos(canaries, "memo", 6)))
    archived = tuple((*row, f"shelf {row[0]}") for row in _memos(canaries, "archived", 4, first=50))
    yield TableRows("shop.memos_archive", _words("id tenant_id body shelf"), archived)
    secrets = tuple((canaries.number(f"vault id {n}"), canaries.text(f"vault {n}")) for n in range(3))
    yield TableRows("vault.secrets", ("id", "secret"), secrets)
    yield TableRows("vault.customers", ("id", "email"), ((1, canaries.text("vault customer") + "@vault.example"),))


_REGIONS = [(1, "world", None), (2, "europe", 1), (3, "asia", 1), (4, "england", 2), (5, "yorkshire", 4)]


def _customers(canaries: Canaries) -> Iterator[Row]:
    for number in range(1, OWN_CUSTOMERS + 1):
        plain = (number, 1, f"Name {number % 7}", _CITIES[number % 4], _SEGMENTS[number % 3])
        yield (*plain, *_private(canaries, f"own customer {number}", number))
    for number in range(HIDDEN_CUSTOMERS):
        label = f"hidden customer {number}"
        key = canaries.number(f"{label} id")
        plain = (key, 2 + number % 2, canaries.text(f"{label} name"), canaries.text(f"{label} city"), "vip")
        yield (*plain, *_private(canaries, label, number))


def _private(canaries: Canaries, label: str, number: int) -> Row:
    """The masked columns; every fifth customer has NULLs, since NULL stays NULL."""
    text: Callable[[str], str] = lambda what: canaries.text(f"{label} {what}")  # noqa: E731
    row: Row = (
        f"{text('email')}@mail{number % 3}.example",
        text("ssn"),
        f"{text('phone')}{1000 + number}",
        canaries.day(f"{label} birth_date", 1930 + number, 1),
        text("loyalty"),
        canaries.amount(f"{label} credit"),
        canaries.number(f"{label} points"),
        float(canaries.number(f"{label} rating")),
        text("note"),
        [text("tag 1"), text("tag 2")],
        json.dumps({"ssn": text("profile"), "age": canaries.number(f"{label} age"), "list": [1, text("element")]}),
        canaries.uuid(f"{label} device"),
        canaries.octets(f"{label} photo"),
        canaries.number(f"{label} pin"),
        canaries.moment(f"{label} seen", 2010 + number % 9, 1),
        text("nickname"),
    )
    return tuple(None if number % 5 == 4 and index % 2 else value for index, value in enumerate(row))


def _orders(canaries: Canaries) -> Iterator[Row]:
    for number in range(1, OWN_ORDERS + 1):
        customer = number % (OWN_CUSTOMERS + 3) or None
        placed = date(2024, 1, 1) + timedelta(days=number * 11 % 600)
        total = Decimal(number * 37 % 500) + Decimal("0.50")
        yield (number, 1, customer, _STATES[number % 4], placed, total, f"memo {number % 5}" if number % 3 else None)
    for number in range(HIDDEN_ORDERS):
        label = f"hidden order {number}"
        day = canaries.day(f"{label} day", 2130, 3)
        key, customer = canaries.number(f"{label} id"), number % OWN_CUSTOMERS + 1
        yield (key, 2, customer, "paid", day, canaries.amount(f"{label} total"), canaries.text(f"{label} memo"))


def _items(canaries: Canaries) -> Iterator[Row]:
    for order in range(1, OWN_ORDERS + 1):
        for line in range(1, order % 3 + 2):
            product = (order * line) % PRODUCTS + 1
            yield (order, line, product, line + order % 4, Decimal(product * 5) + Decimal("0.25"), f"item {line}")
    for number in range(HIDDEN_ORDERS):
        label = f"hidden item {number}"
        order = canaries.number(f"hidden order of item {number}")
        yield (order, 1, number % PRODUCTS + 1, 1, canaries.amount(f"{label} price"), canaries.text(f"{label} remark"))


def _products(canaries: Canaries) -> Iterator[Row]:
    for number in range(1, PRODUCTS + 1):
        attributes = {"color": ["red", "blue"][number % 2], "weight": number * 10, "parts": [{"n": number}, {"n": 0}]}
        yield (
            number,
            f"Product {number % 9}",
            Decimal(number * 5) + Decimal("0.25"),
            canaries.amount(f"product {number} cost"),
            [f"label {number % 3}", "sale"][: number % 3],
            [number, number * 2, 3],
            json.dumps(attributes),
        )


def _payments(canaries: Canaries) -> Iterator[Row]:
    for number in range(1, OWN_ORDERS + 1, 2):
        card = canaries.text(f"own payment {number} card")
        paid = datetime(2024, 2, 1, 12) + timedelta(hours=number * 7)
        yield (number, 1, number, Decimal(number * 3), card, ["card", "cash"][number % 2], paid)
    for number in range(8):
        label = f"hidden payment {number}"
        values = (canaries.amount(f"{label} amount"), canaries.text(f"{label} card"), canaries.text(f"{label} method"))
        yield (canaries.number(f"{label} id"), 2, number + 1, *values, canaries.moment(f"{label} paid", 2134, 2))


def _salaries(canaries: Canaries) -> Iterator[Row]:
    for number in range(5):
        label = f"salary {number}"
        person, amount = canaries.text(f"{label} person"), canaries.number(f"{label} amount")
        yield (canaries.number(f"{label} id"), person, amount, canaries.day(f"{label} since", 2137, 2))


def _events(canaries: Canaries) -> Iterator[Row]:
    for number in range(1, 21):
        day = date(2124 + number % 2, number % 12 + 1, 1)
        yield (
            day,
            1,
            number,
            canaries.text(f"own event {number} actor"),
            json.dumps({"kind": f"k{number % 3}", "n": number}),
        )
    for number in range(6):
        label = f"hidden event {number}"
        day = canaries.day(f"{label} day", 2124 + number % 2, 1)
        payload = json.dumps({"kind": canaries.text(f"{label} kind")})
        yield (day, 2, canaries.number(f"{label} id"), canaries.text(f"{label} actor"), payload)


def _memos(canaries: Canaries, kind: str, count: int, first: int = 1) -> Iterator[Row]:
    for number in range(first, first + count):
        yield (number, 1, f"{kind} {number}")
    yield (canaries.number(f"hidden {kind} id"), 2, canaries.text(f"hidden {kind} body"))
