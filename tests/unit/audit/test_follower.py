from collections.abc import Mapping

from audit_samples import intent

from audit.follower import Follower
from audit.store_rows import ChainedRecord


class Records:
    """A source with these records of each chain, by number: the time of each."""

    def __init__(self) -> None:
        self.chains: dict[str, dict[int, int]] = {}

    async def behind(self, positions: Mapping[str, int], limit: int) -> dict[str, list[ChainedRecord]]:
        return {
            chain: [
                ChainedRecord(chain, number, intent(f"{chain}{number}", at=at))
                for number, at in sorted(numbers.items())
                if number > positions.get(chain, 0)
            ][:limit]
            for chain, numbers in self.chains.items()
        }


def made(now: list[float], positions: dict[str, int] | None = None) -> tuple[Records, Follower]:
    source = Records()
    return source, Follower(source, positions or {}, lambda: now[0], gap_s=60)


async def given(follower: Follower, limit: int = 100) -> list[str]:
    return [one.record.statement_id for one in await follower.next(limit)]


async def test_each_record_comes_once_in_order_of_time() -> None:
    source, follower = made([0.0])
    source.chains = {"a": {1: 10, 2: 30}, "b": {1: 20}}
    assert await given(follower) == ["a1", "b1", "a2"]
    assert await given(follower) == []
    assert follower.positions == {"a": 2, "b": 1}


async def test_a_late_record_comes_whatever_its_time() -> None:
    source, follower = made([0.0], {"a": 2, "b": 1})
    source.chains = {"a": {1: 10, 2: 30, 3: 40}, "b": {1: 20, 2: 21}, "c": {1: 5}}
    assert await given(follower) == ["c1", "b2", "a3"]


async def test_a_gap_is_waited_for_and_then_passed() -> None:
    now = [0.0]
    source, follower = made(now)
    source.chains = {"a": {1: 10, 2: 20, 4: 40, 5: 50, 7: 70}}
    assert await given(follower) == ["a1", "a2"]
    now[0] = 59.0
    assert await given(follower) == []
    source.chains["a"][3] = 30  # committed out of order
    assert await given(follower) == ["a3", "a4", "a5"]
    now[0] = 119.0
    assert await given(follower) == ["a7"], "the gap was first seen at 59"
    source.chains["a"][6] = 60  # never comes again: the place is behind it
    assert await given(follower) == []


async def test_what_is_more_than_asked_for_comes_the_next_time() -> None:
    source, follower = made([0.0])
    source.chains = {"a": {number: number for number in range(1, 8)}}
    assert [await given(follower, 3) for _ in range(3)] == [["a1", "a2", "a3"], ["a4", "a5", "a6"], ["a7"]]
