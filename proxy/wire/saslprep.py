"""SASLprep (RFC 4013) as PostgreSQL applies it to passwords. Knows text, nothing of protocols.

PostgreSQL (src/common/saslprep.c) doesn't refuse a password that SASLprep prohibits, it takes its bytes as they
are; ASCII is taken as it is without looking. Both ends must do the same, or the keys differ.
"""

import stringprep
import unicodedata
from collections.abc import Callable
from typing import Final

_PROHIBITED: Final[tuple[Callable[[str], bool], ...]] = (
    stringprep.in_table_a1,  # unassigned: a later Unicode could normalize it otherwise
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str) -> str | None:
    """`text` prepared; None if SASLprep prohibits it or nothing is left of it."""
    prepared = unicodedata.normalize("NFKC", "".join(map(_mapped, text)))
    if not prepared or any(is_in(char) for char in prepared for is_in in _PROHIBITED):
        return None
    return prepared if _is_one_direction(prepared) else None


def prepare_password(password: str) -> bytes:
    """The bytes that go into PBKDF2 for `password`."""
    raw = password.encode("utf-8", "surrogateescape")
    if password.isascii():
        return raw
    prepared = saslprep(password)
    return raw if prepared is None else prepared.encode()


def _mapped(char: str) -> str:
    # C.1.2 first: U+200B is in both tables, and PostgreSQL makes it a space.
    if stringprep.in_table_c12(char):
        return " "
    return "" if stringprep.in_table_b1(char) else char


def _is_one_direction(text: str) -> bool:
    # RFC 3454, section 6: right-to-left text has no left-to-right letter and starts and ends right-to-left.
    if not any(map(stringprep.in_table_d1, text)):
        return True
    if any(map(stringprep.in_table_d2, text)):
        return False
    return stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
