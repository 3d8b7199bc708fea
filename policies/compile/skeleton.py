"""A text's skeleton: the text itself, with a mark in place of each plain literal and each comment. One pass, compiled
where it can be.

It answers only for what it reads as PostgreSQL's scanner certainly does, and gives None for the rest: nested comments
and those before a quote, strings with a backslash, a quote or a prefix, numbers that aren't plain digits, dollar
quotes, bytes beyond ASCII outside of strings and comments. Two texts with one skeleton have the same tokens but for the
values of their literals, class by class, so the grammar makes the same tree of them. Comments are exchanged like
literals, as tools put another one into each text; the two kinds of them have a mark each, since what is put behind one
kind is part of it. It knows neither trees nor policies.
"""

from __future__ import annotations

from typing import Final

MAX_BYTES: Final = 65_536
MAX_LITERALS: Final = 2_500

# No byte of a text that is answered for is below a blank, but for line ends and tabs.
INT4: Final = b"\x01"
INT8: Final = b"\x02"
NUMERIC: Final = b"\x03"
STRING: Final = b"\x04"
LINE_COMMENT: Final = b"\x06"  # up to a line's or the text's end, without the blanks before that
BLOCK_COMMENT: Final = b"\x07"

_LONGEST_NUMBER: Final = 100  # the server takes far longer ones, and fails on the longest
_GREATEST_INT4: Final = b"2147483647"
_GREATEST_INT8: Final = b"9223372036854775807"

_OTHER: Final = 0  # refused
_PLAIN: Final = 1  # blanks, brackets, most operators
_LETTER: Final = 2
_DIGIT: Final = 3
_QUOTE: Final = 4
_DOUBLE_QUOTE: Final = 5
_DASH: Final = 6
_SLASH: Final = 7
_DOLLAR: Final = 8
_DOT: Final = 9
_AND: Final = 10

_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
_KIND_OF: Final = {
    **dict.fromkeys(b" \t\n\r()[]{},;:=<>+*%^|~!@#?`", _PLAIN),
    **dict.fromkeys(_LETTERS, _LETTER),
    **dict.fromkeys(b"0123456789", _DIGIT),
    ord("'"): _QUOTE,
    ord('"'): _DOUBLE_QUOTE,
    ord("-"): _DASH,
    ord("/"): _SLASH,
    ord("$"): _DOLLAR,
    ord("."): _DOT,
    ord("&"): _AND,
}
_KINDS: Final = bytes(_KIND_OF.get(byte, _OTHER) for byte in range(256))


class Skeleton:
    """`key`: the text with marks; `offsets`: start and end in bytes of each literal and comment, in their order."""

    def __init__(self, key: bytes, offsets: list[int]) -> None:
        self.key = key
        self.offsets = offsets


def skeleton(raw: bytes) -> Skeleton | None:
    """None for a text that isn't plain, or has neither literal nor comment."""
    size = len(raw)
    if size > MAX_BYTES:
        return None
    text = raw
    kinds = _KINDS
    parts: list[bytes] = []
    offsets: list[int] = []
    at = done = 0
    while at < size:
        kind = kinds[text[at]]
        if kind == 1:
            at += 1
        elif kind == 2:
            at = _end_of_word(text, at, size)
            if at < size and text[at] == 39:  # E'', B'', X'', N''
                return None
        elif kind == 3 or kind == 4:
            start = at
            at = _end_of_number(text, start, size) if kind == 3 else _end_of_string(text, start, size)
            if at == 0:
                return None
            parts.append(raw[done:start])
            parts.append(STRING if kind == 4 else _class_of(raw, start, at))
            offsets.append(start)
            offsets.append(at)
            done = at
        elif (kind == 6 or kind == 7) and _begins_comment(text, at, size):
            start = at
            at = _end_of_line(text, start, size) if kind == 6 else _end_of_block(text, start, size)
            if at == 0 or _is_before_quote(text, at, size):
                return None
            parts.append(raw[done:start])
            parts.append(LINE_COMMENT if kind == 6 else BLOCK_COMMENT)
            offsets.append(start)
            offsets.append(at)
            done = at
        else:
            at = _end_of_other(text, at, size, kind)
            if at == 0:
                return None
    if done == 0 or len(offsets) > 2 * MAX_LITERALS or not (raw.isascii() or _is_utf8(raw)):
        return None
    parts.append(raw[done:])
    return Skeleton(b"".join(parts), offsets)


def _begins_comment(text: bytes, at: int, size: int) -> bool:
    """Two dashes, or a slash and a star; the server looks for them inside of operators too."""
    return at + 1 < size and text[at + 1] == (45 if text[at] == 45 else 42)


def _end_of_line(text: bytes, at: int, size: int) -> int:
    """Behind the last visible byte of a comment that ends with its line; 0 where that isn't plain.

    A statement's text is stripped of all that Python takes for blanks, so the last byte must be certain to stay.
    """
    start = at + 2
    at = start
    while at < size and text[at] != 10 and text[at] != 13:
        if text[at] == 0:
            return 0
        at += 1
    while at > start and (text[at - 1] == 32 or text[at - 1] == 9):
        at -= 1
    return at if 32 < text[at - 1] < 127 else 0


def _end_of_block(text: bytes, at: int, size: int) -> int:
    """Behind a comment in slashes and stars; 0 for one without an end or with another one inside."""
    at += 2
    while at + 1 < size:
        byte = text[at]
        if byte == 0:
            return 0
        if byte == 42 and text[at + 1] == 47:
            return at + 2
        if byte == 47 and text[at + 1] == 42:
            return 0
        at += 1
    return 0


def _is_before_quote(text: bytes, at: int, size: int) -> bool:
    """Whether a string follows: behind another one and a line end, comments between or not, it is a part of that."""
    while at < size and (text[at] == 32 or text[at] == 10 or text[at] == 13 or text[at] == 9):
        at += 1
    return at < size and text[at] == 39


def _end_of_word(text: bytes, at: int, size: int) -> int:
    """Behind an identifier or keyword: letters, digits, ``_`` and ``$``."""
    kinds = _KINDS
    at += 1
    while at < size:
        kind = kinds[text[at]]
        if kind != 2 and kind != 3 and kind != 8:
            break
        at += 1
    return at


def _end_of_number(text: bytes, at: int, size: int) -> int:
    """Behind digits, or digits with a point between; 0 for all other forms and for what hangs on to a number."""
    kinds = _KINDS
    start = at
    while at < size and kinds[text[at]] == 3:
        at += 1
    if text[start] == 48 and at - start > 1:
        return 0
    if at < size and text[at] == 46:
        at += 1
        point = at
        while at < size and kinds[text[at]] == 3:
            at += 1
        if at == point:
            return 0
    if at < size:
        kind = kinds[text[at]]
        if kind == 2 or kind == 8 or kind == 9 or kind == 0:
            return 0
    return at if at - start <= _LONGEST_NUMBER else 0


def _class_of(raw: bytes, start: int, end: int) -> bytes:
    """The mark of a number's class, as the server's scanner and make_const tell them apart."""
    size = end - start
    if size < 10:
        return NUMERIC if raw.find(b".", start, end) >= 0 else INT4
    number = raw[start:end]
    if b"." in number:
        return NUMERIC
    if size == 10:
        return INT4 if number <= _GREATEST_INT4 else INT8
    return INT8 if size < 19 or (size == 19 and number <= _GREATEST_INT8) else NUMERIC


def _end_of_string(text: bytes, at: int, size: int) -> int:
    """Behind a string's closing quote; 0 for all but a plain one.

    Two strings with a line end between them are one to the server.
    """
    at += 1
    while True:
        if at >= size:
            return 0
        byte = text[at]
        if byte == 39:
            break
        if byte == 92 or byte == 0:
            return 0
        at += 1
    at += 1
    end = at
    while at < size and (text[at] == 32 or text[at] == 10 or text[at] == 13 or text[at] == 9):
        at += 1
    if at < size and text[at] == 39:
        return 0
    return end


def _end_of_other(text: bytes, at: int, size: int, kind: int) -> int:
    """Behind a quoted name, a parameter or an operator; 0 for what isn't plain."""
    kinds = _KINDS
    following = text[at + 1] if at + 1 < size else 0
    if kind == 5:
        return _end_of_name(text, at, size)
    if kind == 6 or kind == 7:
        return at + 1
    if kind == 8:
        return _end_of_parameter(text, at, size)
    if kind == 9:
        return 0 if kinds[following] == 3 else at + 1  # .5
    if kind == 10:
        return 0 if following == 39 or following == 34 else at + 1  # U&''
    return 0


def _end_of_name(text: bytes, at: int, size: int) -> int:
    """Behind a quoted name; a doubled quote in it ends one and begins another, which is the same here."""
    at += 1
    while at < size:
        byte = text[at]
        if byte == 34:
            return at + 1
        if byte < 32 or byte >= 127:
            return 0
        at += 1
    return 0


def _end_of_parameter(text: bytes, at: int, size: int) -> int:
    """Behind ``$1``; a dollar that begins anything else begins a string."""
    kinds = _KINDS
    at += 1
    start = at
    while at < size and kinds[text[at]] == 3:
        at += 1
    if at == start:
        return 0
    if at < size:
        kind = kinds[text[at]]
        if kind == 2 or kind == 8 or kind == 0:
            return 0
    return at


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
