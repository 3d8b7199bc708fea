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
        self._begun_us = 0

    @property
    def is_wanted(self) -> bool:
        return self._rules.idle_s is not None or self._rules.idle_in_transaction_s is not None

    def watch(self) -> None:
        c = self._c
        seconds = self._limit() if c.is_idle and not c.is_ended else None
        if self._is_running == (seconds is not None):
            return
        if seconds is None:
            c.outbox.commands.append(StopTimer(self._token))
        else:
            self._token -= 1
            self._begun_us = c.services.now_us()
            c.outbox.commands.append(StartTimer(self._token, seconds))
        self._is_running = seconds is not None

    def _limit(self) -> float | None:
        return self._rules.idle_s if self._c.status == b"I" else self._rules.idle_in_transaction_s

    def fired(self, token: int) -> None:
        """Raises SessionEnds if the session is still idle: the timer may fire while a message arrives."""
        if not self._is_running or token != self._token or not self._c.is_idle:
            return
        left_s = self._left_s()
        if left_s > 0:
            self._token -= 1
            self._c.outbox.commands.append(StartTimer(self._token, left_s))
            return
        self._is_running = False
        if self._c.status == b"I":
            raise SessionEnds("57P05", _IDLE)
        raise SessionEnds("25P03", _IDLE_IN_TRANSACTION)

    def _left_s(self) -> float:
        """The lane leaves the timer alone: what it has done since the timer's start counts when the timer fires."""
        c = self._c
        limit_s = self._limit()
        if c.active_us <= self._begun_us or limit_s is None:
            return 0.0
        return limit_s - (c.services.now_us() - c.active_us) / 1e6
