"""Which settings a client may bring with its startup packet, and how search_path texts are read.

What isn't on the list is refused by name: a setting that we don't know may change what a statement means.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

_PLAIN: Final = {
    name.lower(): name
    for name in (
        "application_name",
        "TimeZone",
        "extra_float_digits",
        "IntervalStyle",
        "search_path",
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
    )
}
_ENCODINGS: Final = frozenset({"utf8", "sqlascii", "unicode"})
_DATE_STYLE: Final = re.compile(r"\s*iso\s*(,\s*(mdy|dmy|ymd|us|euro(pean)?|noneuropean)\s*)?", re.IGNORECASE)
PINNED: Final = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}
_PATH_ITEM: Final = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",\s]+))\s*(,|$)')


class SettingRefused(Exception):
    """A startup parameter that can't be let through. The texts are for the client."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Startup:
    """A StartupMessage's parameters, read. `settings` go upstream; `unknown_options` are protocol options."""

    user: str
    database: str
    settings: Mapping[str, str]
    unknown_options: tuple[bytes, ...] = ()


def read_startup(parameters: Mapping[bytes, bytes]) -> Startup:
    """Raises SettingRefused. The database defaults to the user (manual, "StartupMessage")."""
    texts: dict[str, str] = {}
    options: list[bytes] = []
    for raw_name, raw_value in parameters.items():
        if raw_name.startswith(b"_pq_."):
            options.append(raw_name)
        else:
            texts[_text(raw_name)] = _text(raw_value)
    user = texts.pop("user", "")
    if not user:
        raise SettingRefused("no PostgreSQL user name specified in startup packet")
    database = texts.pop("database", "") or user
    command_line = _read_options(texts.pop("options", ""))
    settings: dict[str, str] = {}
    for name, value in [*command_line, *texts.items()]:
        settings.update(_setting(name, value))
    return Startup(user, database, settings | PINNED, tuple(options))


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise SettingRefused("startup parameters must be valid UTF-8") from None


def _setting(name: str, value: str) -> dict[str, str]:
    folded = name.lower()
    if folded == "client_encoding":
        return _encoding(value)
    if folded == "datestyle":
        if _DATE_STYLE.fullmatch(value) is None:
            raise SettingRefused(f'the setting "{name}" must be ISO', "Use DateStyle ISO.")
        return {"DateStyle": value}
    if folded == "standard_conforming_strings" and value.lower() in ("on", "true", "1", "yes"):
        return {}
    if folded not in _PLAIN:
        raise SettingRefused(
            f'the setting "{name}" can\'t be set at startup through pgwarden',
            f"Allowed are client_encoding, DateStyle, {', '.join(_PLAIN.values())}.",
        )
    return {_PLAIN[folded]: value}


def _encoding(value: str) -> dict[str, str]:
    # PostgreSQL ignores case and punctuation in encoding names; libpq's quotes come along from some clients.
    folded = re.sub(r"[^a-z0-9]", "", value.lower())
    if folded not in _ENCODINGS:
        raise SettingRefused(
            f'client_encoding "{value}" is not supported', "Set client_encoding to UTF8 (PGCLIENTENCODING=UTF8)."
        )
    return {}


def _read_options(text: str) -> list[tuple[str, str]]:
    """``-c name=value`` and ``--name=value``, with backslash escapes as in pg_split_opts."""
    found: list[tuple[str, str]] = []
    words = iter(_split_options(text))
    for word in words:
        if word == "-c":
            assignment = next(words, "")
        elif word.startswith(("--", "-c")):
            assignment = word[2:]
        else:
            raise SettingRefused(f'the command-line option "{word}" can\'t be used through pgwarden')
        name, equals, value = assignment.partition("=")
        if not equals:
            raise SettingRefused(f'the command-line option "{word}" needs name=value')
        found.append((name.replace("-", "_"), value))
    return found


def _split_options(text: str) -> list[str]:
    return [re.sub(r"\\(.)", r"\1", word) for word in re.findall(r"(?:\\.|[^\s\\])+", text)]


def read_search_path(text: str, user: str, schemas: Collection[str]) -> tuple[str, ...]:
    """The schemas that a search_path's text means: as current_schemas(false), ``$user`` being the gateway's."""
    found: list[str] = []
    at = 0
    while at < len(text) and (item := _PATH_ITEM.match(text, at)):
        quoted, bare, _ = item.groups()
        name = quoted.replace('""', '"') if quoted is not None else _fold(bare)
        name = user if name == "$user" else name
        if name in schemas and name not in found:
            found.append(name)
        at = item.end()
    return tuple(found)


def _fold(name: str) -> str:
    # ASCII only: PostgreSQL leaves other letters alone in multi-byte encodings.
    return "".join(c.lower() if c.isascii() else c for c in name)
