"""Names of cursors and prepared statements: the session follows them, so they must mean the same to the server.

The server folds and truncates names in its own encoding. Where that isn't UTF-8, a name may come out otherwise than
here, and then be the name of a portal whose columns are raw.
"""

from __future__ import annotations

from policies.compile.effects import effect_of
from policies.compile.statements import Request
from policies.decision import Effect

# The server keeps 63 bytes. A name that is cut ends at a whole character, up to 3 bytes earlier.
_NEVER_CUT_BYTES = 59


def naming_effect(request: Request) -> Effect:
    """The statement's effect. Raises Refused when another encoding could fold or cut its name otherwise."""
    effect = effect_of(request.statement)
    names = (effect.opens_cursor, effect.reads_cursor, effect.closes_cursor, effect.prepares)
    for name in (*names, effect.executes, effect.forgets_prepared):
        _require_certain(request, name)
    return effect


def _require_certain(request: Request, name: str) -> None:
    text = request.text[request.statement.start : request.statement.end]
    is_folded = name.isascii() or name == name.lower()
    if text.isascii() or (is_folded and len(name.encode()) <= _NEVER_CUT_BYTES):
        return
    raise request.refuse(
        "0A000",
        "pgwarden/names",
        "this name may mean another one in the server's encoding",
        hint=f"Use a name in lower case of at most {_NEVER_CUT_BYTES} bytes.",
    )
