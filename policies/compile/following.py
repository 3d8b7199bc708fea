"""What names mean from statement to statement of one text: what one changes counts for those behind it.

They run only if it succeeds, so nothing here has to know of failures. Transactions are followed as the server runs
them: ROLLBACK takes SET back, also one that stood before BEGIN in the same text, and COMMIT ends SET LOCAL.
"""

from __future__ import annotations

from dataclasses import replace

from policies.catalog import Namespace
from policies.compile.draft import Refused
from policies.decision import Effect, Plan, Refusal

NO_NAMES = Namespace(())


class Following:
    def __init__(self, namespace: Namespace) -> None:
        self._namespace: Namespace | None = namespace
        self._kept_path = namespace.search_path  # what COMMIT leaves
        # What ROLLBACK goes back to, None when it was said in earlier texts; and savepoints of this text likewise.
        self._before: Namespace | None = None if namespace.is_dirty else namespace
        self._savepoints: list[tuple[str, Namespace, tuple[str, ...]]] = []
        self._is_commit_known = not namespace.is_dirty

    @property
    def namespace(self) -> Namespace:
        """Of the next statement. Raises Refused when only the server can know."""
        if self._namespace is None:
            raise Refused(
                Refusal(
                    "0A000",
                    "pgwarden/search_path",
                    "what names mean behind the end of this transaction can't be followed within one text",
                    hint="Send what stands behind COMMIT or ROLLBACK as a text of its own.",
                )
            )
        return self._namespace

    def run(self, plan: Plan) -> None:
        """The statement succeeded."""
        match plan.command:
            case "commit":
                self._commit()
            case "rollback":
                self._go_back(self._before, self._before.search_path if self._before else ())
                self._savepoints.clear()
            case "rollback to":
                self._roll_back_to(plan.effect.savepoint)
            case "savepoint" if self._namespace is not None:
                self._savepoints.append((plan.effect.savepoint, self._namespace, self._kept_path))
            case _ if self._namespace is not None:
                self._namespace = self._changed(self._namespace, plan.effect)

    def _changed(self, namespace: Namespace, effect: Effect) -> Namespace:
        path = namespace.reset_path if effect.resets_search_path else effect.search_path
        if path is not None:
            namespace = replace(namespace, search_path=path)
            self._kept_path = self._kept_path if effect.is_local else path
        temporary = frozenset() if effect.discards_temporary else namespace.temporary
        temporary = (temporary | set(effect.makes_temporary)) - set(effect.drops_temporary)
        made = (namespace.made | set(effect.makes_relations)) - set(effect.drops_relations)
        return replace(namespace, temporary=temporary, made=made)

    def _commit(self) -> None:
        self._savepoints.clear()
        if self._namespace is None or not self._is_commit_known:
            self._go_back(None, ())
            return
        self._go_back(replace(self._namespace, search_path=self._kept_path), self._kept_path)
        self._before = self._namespace

    def _go_back(self, namespace: Namespace | None, kept_path: tuple[str, ...]) -> None:
        self._namespace, self._kept_path = namespace, kept_path
        self._is_commit_known = namespace is not None

    def _roll_back_to(self, name: str) -> None:
        while self._savepoints:
            found, namespace, kept_path = self._savepoints[-1]
            if found == name:
                self._go_back(namespace, kept_path)
                return
            self._savepoints.pop()
        # A savepoint of an earlier text: nothing had changed since the transaction began, or it isn't known.
        self._go_back(self._before, self._before.search_path if self._before else ())
