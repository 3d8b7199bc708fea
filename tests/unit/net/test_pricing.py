"""Prices of now: by the clock, by the database, with an operator's function."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path

import pytest

from audit.cost import PriceList
from audit.price_functions import Measured
from policies.errors import PolicyFileError
from proxy.net.pricing import Pricing, price_function
from tests.unit.net.test_policy_holder import Clock, held

TEXT = """
principals: [{user: ada}]
prices:
  - {name: morning, until: "2026-07-01T12:00:00", per_second: 1}
  - {name: evening, from: "2026-07-01T12:00:00", per_second: 2}
  - {name: own, databases: [shop], per_second: 3}
"""


def test_other_prices_hold_from_their_moment_on_and_the_epoch_says_so(tmp_path: Path) -> None:
    clock = Clock("11:59:59.900")
    holder = held(tmp_path, clock, TEXT)
    pricing = Pricing(holder, clock, price_function)
    morning, own = pricing.of("blog"), pricing.of("shop")
    assert (morning.per_second, own.per_second) == (1, 3)
    before = holder.epoch.number
    pricing.look()
    assert (pricing.of("blog") is morning, holder.epoch.number) == (True, before)
    clock.now_s += 0.1
    assert pricing.of("blog") is morning, "until the epoch rises"
    pricing.look()
    assert (pricing.of("blog").per_second, pricing.of("shop") is own) == (2, True)
    assert holder.epoch.number == before + 1
    clock.now_s -= 3600
    pricing.look()
    assert pricing.of("blog").per_second == 1, "a clock that is set back"


def test_databases_without_a_list_cost_nothing(tmp_path: Path) -> None:
    holder = held(tmp_path, Clock("12:00"), TEXT.replace("  - {name: morning", "#").replace("  - {name: evening", "#"))
    assert Pricing(holder, Clock("12:00"), price_function).of("blog") == PriceList(currency="USD")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of an operator with a price function."""
    site = tmp_path / "site"
    info = site / "pricing_of_acme-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pricing-of-acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pgwarden.prices]\nacme = pricing_of_acme:price\ngone = nowhere:price\n")
    (site / "pricing_of_acme.py").write_text("def price(measured):\n    return 2 * measured.standard\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "pricing_of_acme", raising=False)


@pytest.mark.usefixtures("installed")
def test_a_price_function_is_an_entry_point(tmp_path: Path) -> None:
    text = "principals: [{user: ada}]\nprices: {per_second: 1, function: acme}\n"
    pricing = Pricing(held(tmp_path, Clock("12:00"), text), Clock("12:00"), price_function)
    function = pricing.of("shop").function
    assert function is not None
    assert function(measured(Decimal(4))) == 8


@pytest.mark.usefixtures("installed")
def test_a_function_that_does_not_load_leaves_the_amounts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "principals: [{user: ada}]\nprices: {per_second: 1, function: gone}\n"
    pricing = Pricing(held(tmp_path, Clock("12:00"), text), Clock("12:00"), price_function)
    assert pricing.of("shop").function is None
    assert "can't be loaded" in caplog.text


@pytest.mark.usefixtures("installed")
def test_an_unknown_function_is_a_load_error_that_says_which_there_are(tmp_path: Path) -> None:
    text = "principals: [{user: ada}]\nprices: {per_second: 1, function: acmee}\n"
    with pytest.raises(
        PolicyFileError, match=r"no price function 'acmee'; did you mean 'acme'\? \(known: acme, gone\)"
    ):
        held(tmp_path, Clock("12:00"), text)


def measured(standard: Decimal) -> Measured:
    return Measured("", "", "ada", "", "shop", "", "", (), 0, 0, 0, 0, "", "USD", standard)
