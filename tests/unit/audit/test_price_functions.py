from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from audit_samples import intent, outcome

from audit.cost import MOST, price_list
from audit.lines import Lines
from audit.price_functions import Measured, SafePrice, price_of
from audit.record import Record, body_of, completed

ID = "0" * 32


def prices(function: Callable[[Measured], Any]) -> Any:
    return price_list(1, 0, 0, "USD", SafePrice("test", function))


def test_a_price_function_has_the_last_word() -> None:
    seen: list[Measured] = []

    def half(measured: Measured) -> Decimal:
        seen.append(measured)
        return measured.standard / 2

    record = outcome("s1", duration_us=3_000_000, rows=7, tables=("shop.customers",), team="finance")
    assert price_of(prices(half), record, 5) == Decimal("1.5")
    (measured,) = seen
    assert (measured.rows, measured.tables, measured.team, measured.plan_units) == (
        7,
        ("shop.customers",),
        "finance",
        5,
    )
    assert (measured.standard, measured.currency, measured.server_time_us) == (3, "USD", 3_000_000)


@pytest.mark.parametrize(
    "answer", [None, "1", 1.5, True, Decimal("NaN"), Decimal("-1"), Decimal("Infinity"), MOST + 1, 10**40]
)
def test_an_answer_that_is_no_price_costs_the_standard(answer: object) -> None:
    assert price_of(prices(lambda _: answer), outcome("s1", duration_us=1_000_000), 0) == 1


def test_what_fails_is_told_once_and_costs_the_standard(caplog: pytest.LogCaptureFixture) -> None:
    def fails(measured: Measured) -> Decimal:
        raise ZeroDivisionError

    priced = prices(fails)
    for _ in range(3):
        assert price_of(priced, outcome("s1", duration_us=1_000_000), 0) == 1
    assert len(caplog.records) == 1


def test_templates_ask_the_function_too() -> None:
    lines = Lines(intent(), outcome(""), prices(lambda measured: Decimal(measured.rows)))
    into = memoryview(bytearray(1000))
    assert lines.put_outcome(into, 0, 1000, ID.encode(), ID.encode(), 5, 42, 0, 0) < 0
    body = lines.outcome_body(ID.encode(), ID.encode(), 5, 42, 10, 20, "")
    expected = completed(
        msgspec.structs.replace(
            outcome(ID), rows=42, bytes_out=10, duration_us=20, cost=Decimal(42), currency="USD", at=5
        ),
        ID,
        5,
    )
    assert body == body_of(expected)
    assert msgspec.msgpack.decode(body, type=Record, strict=False).cost == 42
