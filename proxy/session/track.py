"""What unqualified names mean at the server, through transactions, savepoints and errors.

The rules are PostgreSQL's: SET counts from its statement on and is undone with its transaction or savepoint, SET
LOCAL ends with the transaction, a statement outside of a block shares one implicit transaction with its neighbours
up to ReadyForQuery. It must not know messages: it is told what succeeded, what failed and where a stretch ends.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final

from policies.catalog import Namespace
from policies.decision import ALL_NAMES, NO_EFFECT, Effect, Leaves, Plan

_CONTROL: Final = frozenset({"begin", "commit", "rollback", "savepoint", "release", "rollback to"})
_ENDING: Final = frozenset({"commit", "rollback", "rollback to"})
_ROLLED_BACK: Final = b"ROLLBACK"
# Names in order, each with the SQL that sets it so again.
Settings = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Values:
    """`kept_path` is what a commit leaves, `fleeting` which temporary relations it takes along."""

    path: tuple[str, ...]
    kept_path: tuple[str, ...]
    temporary: frozenset[str] = frozenset()
    fleeting: frozenset[str] = frozenset()
    made: frozenset[tuple[str, str]] = frozenset()
    # Of the server's session, for links that sessions share. What names mean hangs on the path alone.
    settings: Settings = field(default=(), compare=False)


class Track:
    def __init__(self, path: tuple[str, ...], user: str) -> None:
        self._user = user
        self._reset_path = path
        self._values = Values(path, path)
        # Values to go back to: those before the transaction, under the name "", then those of each savepoint.
        self._levels: list[tuple[str, Values]] = []
        self._is_block = False
        self._is_failed = False

    def copy(self) -> Track:
        other = Track(self._reset_path, self._user)
        other._values = self._values
        other._levels = list(self._levels)
        other._is_block, other._is_failed = self._is_block, self._is_failed
        return other

    @property
    def namespace(self) -> Namespace:
        values = self._values
        return Namespace(values.path, self._reset_path, values.temporary, values.made, self._is_dirty)

    def moves(self, plan: Plan) -> bool:
        """Whether names mean something else behind this statement than if it, or one before it, failed."""
        effect = plan.effect
        if plan.command in _ENDING:
            return self._is_dirty
        return plan.is_ddl or (effect is not NO_EFFECT and _changes(effect))

    @property
    def _is_dirty(self) -> bool:
        values = self._values
        is_local = values.path != values.kept_path or bool(values.fleeting) or bool(values.made)
        return is_local or any(saved != values for _, saved in self._levels)

    @property
    def settings(self) -> Settings:
        """What isn't here has its default."""
        return self._values.settings

    def begin_with(self, settings: Settings) -> None:
        """Between transactions: what another server's session has been given."""
        self._values = replace(self._values, settings=settings)

    # what happened

    def run(self, plan: Plan, tag: bytes = b"") -> None:
        """A statement succeeded; `tag` is its CommandComplete, empty where success is only expected."""
        if not self._levels:
            self._levels.append(("", self._values))
        if plan.command in _CONTROL:
            self._control(plan, tag)
        elif not self._is_failed:
            self._take(plan.effect)
            if plan.leaves.settings:
                self._values = replace(self._values, settings=_changed(self._values.settings, plan.leaves))

    def _control(self, plan: Plan, tag: bytes) -> None:
        effect = plan.effect
        match plan.command:
            case "begin":
                self._is_block = True
            case "commit" if not self._is_failed and not tag.startswith(_ROLLED_BACK):
                self._commit(effect.is_chained)
            case "commit" | "rollback":
                self._roll_back(effect.is_chained)
            case "savepoint" if not self._is_failed:
                self._levels.append((effect.savepoint, self._values))
            case "release" if not self._is_failed:
                self._cut_levels(effect.savepoint)
            case "rollback to":
                self._roll_back_to(effect.savepoint)

    def _take(self, effect: Effect) -> None:
        if effect is NO_EFFECT:
            return
        values = self._values
        path = self._reset_path if effect.resets_search_path else effect.search_path
        if path is not None:
            path = tuple(self._user if name == "$user" else name for name in path)
            values = replace(values, path=path, kept_path=values.kept_path if effect.is_local else path)
        if effect.discards_temporary:
            values = replace(values, temporary=frozenset(), fleeting=frozenset())
        dropped = set(effect.drops_temporary)
        temporary = values.temporary.union(effect.makes_temporary) - dropped
        fleeting = values.fleeting.union(effect.makes_temporary if effect.is_until_commit else ()) - dropped
        made = values.made.union(effect.makes_relations) - set(effect.drops_relations)
        self._values = replace(values, temporary=temporary, fleeting=fleeting, made=made)
        if effect.discards:
            self._levels.clear()  # DISCARD ALL runs in a transaction of its own

    def fail(self) -> None:
        """A statement failed."""
        if self._is_block:
            self._is_failed = True
        else:
            self._roll_back(is_chained=False)

    @property
    def is_block(self) -> bool:
        return self._is_block

    @property
    def is_failed(self) -> bool:
        """Whether the server refuses all but the end of the transaction."""
        return self._is_failed

    def ready(self, status: bytes = b"") -> bool:
        """ReadyForQuery, with its status, or where one is expected: an implicit transaction has ended.

        False: the transaction isn't where it was expected to be.
        """
        is_block = status in (b"T", b"E") if status else self._is_block
        is_failed = status == b"E" if status else self._is_failed
        is_expected = (is_block, is_failed) == (self._is_block, self._is_failed)
        if not is_block:
            if self._is_failed:
                self._roll_back(is_chained=False)  # COMMIT itself failed: a deferred constraint
            else:
                self._commit(is_chained=False)
            if self._values.made:
                self._values = replace(self._values, made=frozenset())
        elif not self._levels:
            self._levels.append(("", self._values))
        self._is_block = is_block
        self._is_failed = is_failed
        return is_expected

    def correct(self, path: tuple[str, ...], schemas: Collection[str]) -> bool:
        """What the server itself reports of its search_path, as far as such schemas are known. True: it was news."""
        if path == tuple(dict.fromkeys(name for name in self._values.path if name in schemas)):
            return False
        kept = self._values.kept_path if self._is_block else path
        self._values = replace(self._values, path=path, kept_path=kept)
        return True

    # ends

    def _commit(self, is_chained: bool) -> None:
        values = self._values
        if values.path is not values.kept_path or values.fleeting:
            # What was made stays until ReadyForQuery: the snapshot is read again then.
            left = values.temporary - values.fleeting
            self._values = Values(values.kept_path, values.kept_path, left, made=values.made, settings=values.settings)
        self._end(is_chained)

    def _roll_back(self, is_chained: bool) -> None:
        if self._levels:
            self._values = self._levels[0][1]
        self._end(is_chained)

    def _end(self, is_chained: bool) -> None:
        self._levels = [("", self._values)] if is_chained and self._is_block else []
        self._is_block = is_chained and self._is_block
        self._is_failed = False

    def _cut_levels(self, name: str) -> Values | None:
        """Takes the newest savepoint of this name away, and those behind it; what counted at its beginning."""
        for at in range(len(self._levels) - 1, 0, -1):
            if self._levels[at][0] == name:
                saved = self._levels[at][1]
                del self._levels[at:]
                return saved
        return None

    def _roll_back_to(self, name: str) -> None:
        saved = self._cut_levels(name)
        if saved is not None:
            self._values = saved
            self._levels.append((name, saved))
            self._is_failed = False


def _changes(effect: Effect) -> bool:
    return (
        effect.search_path is not None
        or effect.resets_search_path
        or effect.discards_temporary
        or bool(effect.makes_temporary or effect.drops_temporary)
        or bool(effect.makes_relations or effect.drops_relations)
    )


def _changed(settings: Settings, leaves: Leaves) -> Settings:
    changed = dict(settings)
    for name, text in leaves.settings:
        if name == ALL_NAMES:
            changed.clear()
        elif text is None:
            changed.pop(name, None)
        else:
            changed[name] = text
    return tuple(sorted(changed.items()))
