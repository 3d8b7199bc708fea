"""Records calls to the admin port. Whoever reaches it can make them, so only some a minute are kept one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from admin.calls import Call
from audit.record import Verdict
from proxy.chronicle import Chronicle

_MOST: Final = 60
_MINUTE_S: Final = 60.0
_REFUSED: Final = 400


class AdminCalls:
    """`monotonic`: seconds."""

    def __init__(self, chronicle: Chronicle, monotonic: Callable[[], float]) -> None:
        self._chronicle = chronicle
        self._monotonic = monotonic
        self._began = monotonic()
        self._count = 0

    def note(self, call: Call) -> None:
        now = self._monotonic()
        if now - self._began >= _MINUTE_S:
            self._tell_rest()
            self._began, self._count = now, 0
        self._count += 1
        if self._count <= _MOST:
            verdict = Verdict.ALLOW if call.status < _REFUSED else Verdict.DENY
            text = f"{call.method} {call.path} was answered with {call.status}"
            self._chronicle.note("admin_call", text, verdict, client_address=call.client)

    def _tell_rest(self) -> None:
        if self._count > _MOST:
            text = f"{self._count - _MOST} more calls within a minute"
            self._chronicle.note("admin_call", text, Verdict.DENY)
