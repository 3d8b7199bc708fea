"""Which policy a session gets by the clock and its address, and how seldom that is worked out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest

from policies.catalog import Catalog
from policies.model import EffectivePolicy
from proxy.net import policies as module
from proxy.net.policies import PolicyHolder

TEXT = """
principals: [{user: ada}, {user: bob}]
policies:
  - {name: desk, subjects: {users: [ada]}, when: {hours: "07:00-20:00", cidr: 10.0.0.0/8}, tables: {allow: ["*.*"]}}
  - {name: base, subjects: {any: true}, statements: [select]}
"""


def no_catalogs() -> Mapping[str, Catalog]:
    return {}


class Clock:
    def __init__(self, text: str) -> None:
        self.now_s = datetime.fromisoformat(f"2026-07-01T{text}+00:00").timestamp()

    def __call__(self) -> float:
        return self.now_s


def held(folder: Path, clock: Clock, text: str = TEXT) -> PolicyHolder:
    (folder / "p.yaml").write_text(text)
    holder = PolicyHolder(folder, {}, ["shop"], no_catalogs, lambda _ok, _text: None, clock)
    asyncio.run(holder.load())
    return holder


def names(policy: EffectivePolicy | None) -> list[str]:
    assert policy is not None
    return [part.name for part in policy.policies]


def test_the_clock_opens_and_closes(tmp_path: Path) -> None:
    clock = Clock("06:59:59.900")
    holder = held(tmp_path, clock)
    assert names(holder.effective("ada", "shop", "10.0.0.1")) == ["base"]
    clock.now_s += 0.1
    assert names(holder.effective("ada", "shop", "10.0.0.1")) == ["desk", "base"]
    clock.now_s += 13 * 3600
    assert names(holder.effective("ada", "shop", "10.0.0.1")) == ["base"]
    clock.now_s -= 1
    assert names(holder.effective("ada", "shop", "10.0.0.1")) == ["desk", "base"], "a clock that is set back"


def test_each_address_has_its_own(tmp_path: Path) -> None:
    holder = held(tmp_path, Clock("12:00"))
    asked = ["10.0.0.1", "192.0.2.1", "::ffff:10.0.0.1", "", "local", "10.0.0.1"]
    counts = [len(names(holder.effective("ada", "shop", address))) for address in asked]
    assert counts == [2, 1, 2, 1, 1, 2]


def test_is_worked_out_once_for_each_set_of_policies_that_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock("12:00:00")
    holder = held(tmp_path, clock)
    calls: list[str] = []
    real = module.resolve

    def counted(*arguments: object) -> object:
        calls.append("resolve")
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "resolve", counted)
    found = [holder.effective("ada", "shop", "10.0.0.1") for _ in range(100)]
    assert len(calls) == 1
    clock.now_s += 60
    assert holder.effective("ada", "shop", "10.0.0.1") is found[0]
    assert holder.effective("ada", "shop", "10.0.0.2") is found[0]
    assert len(calls) == 1, "the same policies hold"
    assert holder.effective("ada", "shop", "192.0.2.1") is not found[0]
    clock.now_s += 9 * 3600
    assert holder.effective("ada", "shop", "10.0.0.1") is holder.effective("ada", "shop", "192.0.2.1")
    assert len(calls) == 2


def test_nobody_asks_the_clock_for_those_without_a_when(tmp_path: Path) -> None:
    clock = Clock("12:00")
    holder = held(tmp_path, clock)
    first = holder.effective("bob", "shop", "10.0.0.1")
    clock.now_s = float("nan")  # nothing can be made of this moment
    assert holder.effective("bob", "shop", "192.0.2.1") is first


def test_many_addresses_dont_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_TIMED", 10)
    holder = held(tmp_path, Clock("12:00"))
    for i in range(25):
        assert len(names(holder.effective("ada", "shop", f"10.0.0.{i}"))) == 2
    assert len(holder._timed) <= 10


def test_a_reload_forgets_what_was_known(tmp_path: Path) -> None:
    holder = held(tmp_path, Clock("12:00"))
    assert len(names(holder.effective("ada", "shop", "10.0.0.1"))) == 2
    (tmp_path / "p.yaml").write_text(TEXT.replace("07:00-20:00", "07:00-08:00"))
    asyncio.run(holder.load())
    assert len(names(holder.effective("ada", "shop", "10.0.0.1"))) == 1


def test_unknown_users_have_none(tmp_path: Path) -> None:
    assert held(tmp_path, Clock("12:00")).effective("eve", "shop", "10.0.0.1") is None
