"""Which settings a client may bring with its startup packet, and how search_path texts are read.

What isn't on the list is refused by name: a setting that we don't know may change what a statement means. Only
where nothing is guarded, under the allow-everything policy, may a client set what it likes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from policies.compile.builtins import SETTINGS_SETTABLE
from policies.compile.rules.settings import followed_path, identifiers_of

_ENCODINGS: Final = frozenset({"utf8", "sqlascii", "unicode"})
PINNED: Final = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}
# Unless the client says otherwise. The planner holds guards of catalogs for far dearer than they are, and the server
# would compile each look-up of psql's and of drivers': measured on 15, 3 to 5 s instead of 0.15 s for psql's \dT+.
PREFERRED: Final = {"jit": "off"}
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_WORD: Final = re.compile(r"(?:\\.|[^\\ \t\n\v\f\r])+", re.DOTALL)  # isspace() of the C locale, not Unicode's
_PROTOCOL_OPTION: Final = b"_pq_."
_BOOLEANS: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


class SettingRefused(Exception):
    """A startup parameter that can't be let through. The texts are for the client."""

    def __init__(self, message: str, hint: str = "", sqlstate: str = "0A000") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.sqlstate = sqlstate


@dataclass(frozen=True, slots=True)
class Startup:
    """A StartupMessage's parameters, read. `settings` are the client's, as they came.

    `replication` is the server's word for what the client asked for: "true", "database", or "" for neither.
    """

    user: str
    database: str
    settings: Mapping[bytes, bytes]
    replication: str = ""
    unknown_options: tuple[bytes, ...] = ()
    is_long_keyed: bool = False  # protocol 3.2: cancel keys may be longer than four bytes

    @property
    def application(self) -> str:
        return self.settings.get(b"application_name", b"").decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Admitted:
    """What goes upstream of a client's settings. `is_untracked`: something that only allow-everything may set.

    `listed`: the same by their proper names, one by one, where they are tracked.
    """

    settings: Mapping[bytes, bytes]
    search_path: str | None = None
    is_untracked: bool = False
    is_open: bool = False  # under the allow-everything policy
    listed: Mapping[str, str] = field(default_factory=dict)


def read_startup(parameters: Mapping[bytes, bytes]) -> Startup:
    """Raises SettingRefused. The database defaults to the user (manual, "StartupMessage")."""
    settings = {name: value for name, value in parameters.items() if not name.startswith(_PROTOCOL_OPTION)}
    # No option of the protocol is known to PostgreSQL 18 either.
    options = tuple(name for name in parameters if name.startswith(_PROTOCOL_OPTION))
    user = _text(settings.pop(b"user", b""))
    if not user:
        raise SettingRefused("no PostgreSQL user name specified in startup packet", sqlstate="28000")
    database = _text(settings.pop(b"database", b"")) or user
    given = settings.pop(b"replication", None)
    replication = _replication(None if given is None else _text(given))
    return Startup(user, database, settings, replication, options)


def admit(startup: Startup, is_everything: bool) -> Admitted:
    """The settings under the policy of the one who logged in. Raises SettingRefused.

    Under the allow-everything policy all pass as they came; what isn't on the list is remembered as untracked.
    """
    try:
        listed = _listed(startup.settings)
    except SettingRefused:
        if not is_everything:
            raise
        return Admitted(startup.settings, is_untracked=True, is_open=True)
    path = listed.get("search_path")
    if is_everything:
        encoding = {name: value for name, value in PINNED.items() if name == "client_encoding" and _names_it(startup)}
        return Admitted(startup.settings, path, is_open=True, listed=listed | encoding)
    pinned = PREFERRED | listed | PINNED
    return Admitted({name.encode(): value.encode() for name, value in pinned.items()}, path, listed=pinned)


def _names_it(startup: Startup) -> bool:
    """Whether an encoding was asked for, which is UTF-8 then, by the command line too."""
    return any(b"client_encoding" in text.lower() for pair in startup.settings.items() for text in pair)


def _listed(settings: Mapping[bytes, bytes]) -> dict[str, str]:
    """All settings by their proper names, those on the command line first, as the server takes them."""
    texts = {_text(name): _text(value) for name, value in settings.items()}
    command_line = _read_options(texts.pop("options", ""))
    listed: dict[str, str] = {}
    for name, value in [*command_line, *texts.items()]:
        listed.update(_setting(name, value))
    return listed


def _replication(value: str | None) -> str:
    """As the server reads it: a boolean in any of its spellings, or "database"."""
    if value is None or value == "database":
        return value or ""
    found = {is_on for word, is_on in _BOOLEANS.items() if value and word.startswith(value.lower())}
    if len(found) != 1:
        raise SettingRefused('invalid value for parameter "replication"', sqlstate="22023")
    return "true" if found.pop() else ""


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise SettingRefused("startup parameters must be valid UTF-8") from None


def _setting(name: str, value: str) -> dict[str, str]:
    """Under the name in lower case: the same list and values as SET's."""
    folded = _fold(name)
    if folded == "client_encoding":
        return _encoding(value)
    if folded == "search_path":
        is_allowed = followed_path(value) is not None
    elif folded in SETTINGS_SETTABLE:
        is_allowed = SETTINGS_SETTABLE[folded](value)
    else:
        known = ", ".join(sorted({*SETTINGS_SETTABLE, "search_path"}))
        message = f'the setting "{name}" can\'t be set at startup through pgwarden'
        raise SettingRefused(message, f"Allowed are {known}.")
    if not is_allowed:
        raise SettingRefused(f'the setting "{name}" can\'t have this value under a policy')
    return {folded: value}


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
    return [_ESCAPED.sub(r"\1", word) for word in _WORD.findall(text)]


def read_search_path(text: str, user: str, schemas: Collection[str]) -> tuple[str, ...]:
    """The schemas that a search_path's text means: as current_schemas(false), ``$user`` being the gateway's."""
    names = [user if name == "$user" else name for name in identifiers_of(text) or ()]
    return tuple(dict.fromkeys(name for name in names if name in schemas))


def _fold(name: str) -> str:
    # ASCII only: PostgreSQL leaves other letters alone in multi-byte encodings.
    return "".join(c.lower() if c.isascii() else c for c in name)
