"""What a worker knows of keys: whose, how long, and nothing once it is too old."""

from __future__ import annotations

from datetime import date

import pytest

from audit.api_keys import StoredKey, id_in, make_key
from policies.tiers import Uses
from proxy.key_ring import KeyRing
from proxy.session.ports import KeyFound


class Clock:
    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def ring_of(*keys: StoredKey) -> tuple[KeyRing, Clock, Clock]:
    steady, wall = Clock(50.0), Clock(1_000.0)
    ring = KeyRing(10.0, steady, wall)
    ring.replace(keys)
    return ring, steady, wall


CI = StoredKey("pgw_aaaaaaaa", "d1", "ci", "pro", expires_s=2_000.0)
LOST = StoredKey("pgw_bbbbbbbb", "d2", "ci", "pro", is_revoked=True)


def test_a_key_is_found_by_its_digest_and_only_for_its_user() -> None:
    ring, _, wall = ring_of(CI, LOST)
    ring.confirm(0.0)
    assert ring.find("ci", "d1") == KeyFound("pgw_aaaaaaaa")
    assert [ring.find("etl", "d1"), ring.find("ci", "d3"), ring.find("ci", "")] == [None] * 3
    assert ring.find("ci", "d2") == KeyFound("pgw_bbbbbbbb", "has been revoked")
    wall.at = 2_000.0
    assert ring.find("ci", "d1") == KeyFound("pgw_aaaaaaaa", "has expired")
    assert ring.flaw_of("pgw_aaaaaaaa", "ci") == "has expired"


def test_sessions_learn_of_revocation_of_another_owner_and_of_a_key_that_is_gone() -> None:
    ring, *_ = ring_of(CI, LOST)
    ring.confirm(0.0)
    assert ring.flaw_of("pgw_aaaaaaaa", "ci") == ""
    assert ring.flaw_of("pgw_aaaaaaaa", "etl") == "is unknown"
    assert ring.flaw_of("pgw_bbbbbbbb", "ci") == "has been revoked"
    ring.replace([])
    assert ring.flaw_of("pgw_aaaaaaaa", "ci") == "is unknown"


def test_what_is_too_old_vouches_for_nobody() -> None:
    ring, steady, _ = ring_of(CI)
    assert ring.find("ci", "d1") == KeyFound("", "can't be checked now")
    ring.confirm(9.0)
    assert ring.find("ci", "d1") == KeyFound("pgw_aaaaaaaa")
    steady.at += 1.5
    assert ring.find("ci", "d1") == KeyFound("", "can't be checked now")
    assert ring.flaw_of("pgw_aaaaaaaa", "ci") == "can't be checked any more"
    ring.confirm(None)
    assert ring.find("ci", "none") == KeyFound("", "can't be checked now")


def test_what_others_counted_is_of_one_month() -> None:
    ring, *_ = ring_of(CI)
    ring.set_elsewhere(date(2026, 11, 1), {CI.id: (4, 7)})
    assert ring.elsewhere(CI.id, date(2026, 11, 1)) == Uses(4, 7)
    assert ring.elsewhere(CI.id, date(2026, 12, 1)) == ring.elsewhere("x", date(2026, 11, 1)) == Uses()


def test_a_new_keys_id_stands_at_its_beginning_and_its_secret_behind() -> None:
    new = make_key(lambda count: bytes(range(count)))
    assert new.text.startswith(f"{new.id}_")
    assert len(new.text) == len(new.id) + 1 + 64
    assert repr(new) == f"NewKey(id='{new.id}')"
    assert id_in(new.text) == id_in(new.id) == new.id


@pytest.mark.parametrize("text", ["", "pgw_", "pgw_ABCDEFGH", "pgw_aaaaaaaax", "xgw_aaaaaaaa", "pgw_aaaaaaa'"])
def test_what_is_no_id(text: str) -> None:
    assert id_in(text) is None
