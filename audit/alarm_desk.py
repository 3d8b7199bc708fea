"""One receiver of alarms: what it is told of, and up to where in each journal it has been told. Knows no files."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from audit.alarm import Choice, alarm_of, is_wanted, level_of
from audit.alarm_post import Post
from audit.journal_tail import Place
from audit.record import Record


@dataclass(slots=True)
class Desk:
    """`has_sql_text`: with the texts of statements. `told`: by journal, the place before which its receiver has, or has
    lost, everything.
    """

    post: Post
    choices: tuple[Choice, ...]
    has_sql_text: bool = False
    told: dict[str, Place] = field(default_factory=dict)
    _under_way: deque[tuple[int, str, Place]] = field(default_factory=deque)
    _begun: dict[str, Place] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The same from start to start."""
        return f"{self.post.name} {','.join(self.choices)}"

    def begin(self, told: Mapping[str, Place]) -> None:
        """As far as it had been told when the program ended."""
        self.told, self._begun = dict(told), dict(told)

    def take(self, journal: str, behind: Place, records: Sequence[tuple[Place, Record]]) -> None:
        """All marked records of a journal up to the place `behind`, in order from call to call."""
        begun = self._begun.get(journal, Place())
        for place, record in records:
            level = level_of(record)
            if level is not None and is_wanted(level, self.choices) and not is_before(place, begun):
                self.post.offer(alarm_of(record, level, has_sql_text=self.has_sql_text))
        if not is_before(behind, begun):
            self._under_way.append((self.post.offered, journal, behind))

    def look(self) -> dict[str, Place]:
        """Where it has been told to by now."""
        gone = self.post.offered - self.post.waiting
        while self._under_way and self._under_way[0][0] <= gone:
            _, journal, place = self._under_way.popleft()
            self.told[journal] = place
        return self.told


def is_before(place: Place, other: Place) -> bool:
    """Or the same."""
    return (place.sequence, place.offset) <= (other.sequence, other.offset)


def furthest(places: Sequence[Mapping[str, Place]]) -> dict[str, Place]:
    """Of each journal the last place."""
    return _chosen(places, last=True)


def earliest(places: Sequence[Mapping[str, Place]]) -> dict[str, Place]:
    """Of each journal the first place; one that somebody knows nothing of is told from its beginning."""
    return _chosen(places, last=False)


def _chosen(places: Sequence[Mapping[str, Place]], *, last: bool) -> dict[str, Place]:
    names = {name for each in places for name in each}
    choose = max if last else min
    return {
        name: choose((each.get(name, Place()) for each in places), key=lambda one: (one.sequence, one.offset))
        for name in names
    }
