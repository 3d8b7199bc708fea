from decimal import Decimal

from audit.cost import MOST, cost_of, price_list
from audit.tariff import tariff_of


def test_each_price_counts_its_own_unit() -> None:
    assert cost_of(price_list(per_second=0.0005), server_time_us=2_000_000, bytes_out=0) == Decimal("0.001")
    assert cost_of(price_list(per_gib_out=0.05), server_time_us=0, bytes_out=1 << 31) == Decimal("0.1")
    prices = price_list(per_million_plan_units=0.01)
    assert cost_of(prices, server_time_us=0, bytes_out=0, plan_units=2_500_000.5) == Decimal("0.025000005")


def test_prices_add_up_without_binary_dust() -> None:
    prices = price_list(0.1, 0.2, 0.3, "EUR")
    cost = cost_of(prices, server_time_us=1_000_000, bytes_out=1 << 30, plan_units=1_000_000)
    assert str(cost) == "0.600000000"


def test_costs_have_nine_places() -> None:
    cost = cost_of(price_list(per_second=1), server_time_us=1, bytes_out=0)
    assert str(cost) == "0.000001000"
    assert cost_of(price_list(per_gib_out=1), server_time_us=0, bytes_out=1) == Decimal("0.000000001")  # 0.931e-9


def test_without_prices_nothing_costs() -> None:
    assert cost_of(price_list(), server_time_us=10**9, bytes_out=10**12, plan_units=10**6) == 0


def test_there_is_a_most_that_a_statement_can_cost() -> None:
    """The planner's estimate of a careless join has no end, and a price may lack its point."""
    dear = price_list(per_second=1e30, per_million_plan_units=1e20)
    assert cost_of(dear, server_time_us=10**12, bytes_out=0, plan_units=2**63 - 1) == MOST
    assert tariff_of(dear, 2**63 - 1).packed_text(10**12, 0).endswith(b"1000000000.000000000")
    assert tariff_of(price_list(per_second=2), 0).packed_text(10**15, 0).endswith(b"1000000000.000000000")
