"""Names of cursors and prepared statements: the session follows them, so they must mean the same to the server.

The server folds and truncates names in its own encoding. Where that isn't UTF-8, a name may come out otherwise than
here, and then be the name of a portal whose columns are raw.
"""

from __future__ import annotations

from policies.compile.statements import Request

# The server keeps 63 bytes. A name that is cut ends at a whole character, up to 3 bytes earlier.
_NEVER_CUT_BYTES = 59


def session_name(request: Request, name: str) -> str:
    """`name` itself. Raises Refused when another encoding could fold or cut it otherwise."""
    text = request.text[request.statement.start : request.statement.end]
    if text.isascii() or (name == name.lower() and len(name.encode()) <= _NEVER_CUT_BYTES):
        return name
    raise request.refuse(
        "0A000",
        "pgwarden/names",
        "this name may mean another one in the server's encoding",
        hint=f"Use a name in lower case of at most {_NEVER_CUT_BYTES} bytes.",
    )
