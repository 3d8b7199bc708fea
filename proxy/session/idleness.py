"""How long a session may do nothing, as the server's own idle time-outs count it: from ReadyForQuery on."""

from __future__ import annotations

from typing import Final

from proxy.session.conversation import Conversation, SessionEnds
from proxy.session.ports import Rules, StartTimer, StopTimer

_IDLE: Final = "terminating connection due to idle-session timeout"
_IDLE_IN_TRANSACTION: Final = "terminating connection due to idle-in-transaction timeout"


class Idleness:
    """`watch` after every event. Its timers have negative tokens; those of statements are positive."""

    def __init__(self, conversation: Conversation, rules: Rules) -> None:
        self._c = conversation
        self._rules = rules
        self._token = 0
        self._is_running = False

    def watch(self) -> None:
        c = self._c
        seconds = self._limit() if c.is_idle and not c.is_ended else None
        if self._is_running == (seconds is not None):
            return
        if seconds is None:
            c.outbox.commands.append(StopTimer(self._token))
        else:
            self._token -= 1
            c.outbox.commands.append(StartTimer(self._token, seconds))
        self._is_running = seconds is not None

    def _limit(self) -> float | None:
        return self._rules.idle_s if self._c.status == b"I" else self._rules.idle_in_transaction_s

    def fired(self, token: int) -> None:
        """Raises SessionEnds if the session is still idle: the timer may fire while a message arrives."""
        if not self._is_running or token != self._token:
            return
        self._is_running = False
        if self._c.status == b"I":
            raise SessionEnds("57P05", _IDLE)
        raise SessionEnds("25P03", _IDLE_IN_TRANSACTION)
