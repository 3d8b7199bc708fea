"""How a refusal travels: as a statement that can't parse, so that the server itself fails and skips to Sync.

Its error is replaced by the reason. This module knows how to send one, not why.
"""

from __future__ import annotations

from typing import Final

from proxy.session.conversation import Conversation
from proxy.session.queue import Item, Kind
from proxy.wire import messages as m
from proxy.wire.codec import encode

# Can't be parsed, by any version. The name keeps the unnamed statement alive.
_TEXT: Final = b"refused by pgwarden"
POISON_QUERY: Final = encode(m.Query(_TEXT))
_PARSE: Final = encode(m.Parse(b"pgwarden_refused", _TEXT))
_UNNAMED_PARSE: Final = encode(m.Parse(b"", _TEXT))
# Never a name that a client can send.
_NAMELESS: Final = b"\0"


def poison_query(c: Conversation, answer: bytes, yields_to_abort: bool = False) -> None:
    """In place of a Query or a FunctionCall."""
    c.send_server(POISON_QUERY)
    c.expect(Item(Kind.QUERY, answer=answer, yields_to_abort=yields_to_abort))


def poison(c: Conversation, answer: bytes, drops_unnamed: bool = False) -> None:
    """In place of a message of the extended protocol."""
    c.send_server(_UNNAMED_PARSE if drops_unnamed else _PARSE)
    c.expect(Item(Kind.REFUSED, b"" if drops_unnamed else _NAMELESS, answer=answer))
    c.is_skipping = True  # as the server will: what follows needs no decision and no record
    if drops_unnamed:
        c.sent.names.close(b"", is_statement=True)
