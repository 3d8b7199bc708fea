"""Events of commands: what somebody did from a terminal with what pgwarden keeps stands in the records, too."""

from __future__ import annotations

import getpass
import os
import socket
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from audit.errors import AuditError
from audit.record import Verdict
from audit.shipper import Shipper
from audit.store import Store
from proxy.chronicle import COMMANDS, Chronicle
from proxy.commands.outcome import CommandError
from proxy.config import Audit
from proxy.key_source import read_key


async def note(audit: Audit, store: Store, shape: str, text: str, **fields: Any) -> None:
    """Records an event in the journal of commands, then sends it on. It names the login on this machine as its user.

    A store that is away gets it from the next command, or from the sidecar's next start. Raises CommandError when it
    can't be recorded, JournalError when the journal can't be opened: what was to be told may not be done then.
    """
    journal, key = audit.directory, read_key(audit.signing_key, os.environ)
    chronicle = await Chronicle.open(journal, COMMANDS, key)
    try:
        who = {"user": _login(), "client_address": "", "application": f"pgwarden on {socket.gethostname()}"}
        is_noted = chronicle.note(shape, text, Verdict.ALLOW, **who | fields)
    finally:
        await chronicle.close()
    if not is_noted:
        raise CommandError(f"{shape} can't be recorded in {journal}, so it isn't done")
    with suppress(AuditError, OSError):
        await _ship(journal, store, key)


async def _ship(journal: Path, store: Store, key: bytes | None) -> None:
    with closing(Shipper(journal, COMMANDS, store, written_position=lambda: 0, signing_key=key)) as shipper:
        await shipper.ship_available()


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return "unknown"
