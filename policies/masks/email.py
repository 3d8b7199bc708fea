"""What counts as an e-mail address to the email mask, in octets and in SQL.

Only a domain of ASCII letters, digits, points and hyphens after exactly one ``@`` may be shown; anything else
could be text that merely contains an ``@``.
"""

from __future__ import annotations

DOMAIN_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-"
_OCTETS = DOMAIN_CHARACTERS.encode("ascii")


def is_domain(octets: bytes) -> bool:
    """Whether all of it may be shown after the ``@``; the empty text may not."""
    return bool(octets) and not octets.translate(None, _OCTETS)


def domain_sql(domain: str) -> str:
    """The same test on an SQL expression of type text."""
    rest = f"pg_catalog.translate({domain}, '{DOMAIN_CHARACTERS}', '')"
    return (
        f"pg_catalog.char_length({domain}) OPERATOR(pg_catalog.>) 0"
        f" AND pg_catalog.char_length({rest}) OPERATOR(pg_catalog.=) 0"
    )
