"""What a statement's own comments say of where it comes from: the tool, the job or page in it, the end user, the trace.

Tools put such comments first or last: sqlcommenter, dbt, Metabase, Looker, Redash. Whoever writes the statement writes
the comment, so nothing here is proof of anything: it names work for those who look at costs and records. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

_LONGEST: Final = 200  # characters of a name
_LONGEST_COMMENT: Final = 8192
_MOST_PAIRS: Final = 64
_KEPT: Final = 256  # comments whose meaning is remembered
_LONGEST_KEPT: Final = 2048
_PAIR: Final = re.compile(r"\s*([^\s=,'\"]+)\s*=\s*'((?:[^'\\]|\\.)*)'\s*(?:,|$)", re.DOTALL)
_TRACEPARENT: Final = "traceparent='"
_TRACE: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_TRACE_CHARACTERS: Final = 55
# Clients write these texts: no pattern may try a text's every part again from its every place.
_METABASE: Final = re.compile(r"Metabase::(.*)", re.DOTALL)
_LOOKER: Final = re.compile(r"Looker Query Context\s*'(\{.*\})'", re.DOTALL)
_REDASH: Final = re.compile(r"Username:([^,]*), ?(?:Query ID|query_id):([^,]*)", re.IGNORECASE)
_WORD: Final = re.compile(r"\b(\w+): ?(\S+)")
_USERS: Final = ("enduser.id", "enduser", "end_user", "user")


@dataclass(frozen=True, slots=True)
class Origin:
    """Each part is empty where no comment says it. `workload`: the tool and what ran in it, such as
    ``dbt model.shop.orders``. `trace_id`: 32 hex digits of W3C trace context.
    """

    workload: str = ""
    end_user: str = ""
    trace_id: str = ""


NOWHERE: Final = Origin()


@dataclass(frozen=True, slots=True)
class _Said:
    """`lacks_trace`: sqlcommenter's pairs with an empty traceparent among them."""

    origin: Origin = NOWHERE
    lacks_trace: bool = False


def origin_of(comments: Iterable[str]) -> Origin:
    """`comments` with their marks; the first that says a part counts."""
    found = NOWHERE
    for comment in comments:
        one = _read(comment)
        found = one if found == NOWHERE else _joined(found, one)
    return found


def _joined(first: Origin, second: Origin) -> Origin:
    if second == NOWHERE:
        return first
    return Origin(
        first.workload or second.workload, first.end_user or second.end_user, first.trace_id or second.trace_id
    )


def _read(comment: str) -> Origin:
    """Each request has another trace id, and says the same beside it: that is read once."""
    if len(comment) > _LONGEST_COMMENT:
        return NOWHERE
    at = comment.find(_TRACEPARENT) + len(_TRACEPARENT)
    trace = _TRACE.fullmatch(comment, at, at + _TRACE_CHARACTERS) if at >= len(_TRACEPARENT) else None
    if trace is None:
        return _said(comment).origin
    rest = _said(comment[:at] + comment[trace.end() :])
    return replace(rest.origin, trace_id=trace[1]) if rest.lacks_trace else rest.origin


def _said(comment: str) -> _Said:
    return _kept_said(comment) if len(comment) <= _LONGEST_KEPT else _read_comment(comment)


@lru_cache(_KEPT)
def _kept_said(comment: str) -> _Said:
    return _read_comment(comment)


def _read_comment(comment: str) -> _Said:
    text = (comment[2:] if comment.startswith("--") else comment[2:-2]).strip()
    if text.startswith("{"):
        return _Said(_of_json(text))
    if match := _METABASE.match(text):
        words = dict(_WORD.findall(match[1]))
        return _Said(_origin("metabase", words.get("queryHash", "")[:12], words.get("userID", "")))
    if match := _LOOKER.match(text):
        context = _json(match[1])
        return _Said(_origin("looker", context.get("history_slug"), context.get("user_id")))
    if match := _REDASH.match(text):
        return _Said(_origin("redash", match[2], match[1]))
    return _of_pairs(_pairs(text))


def _of_json(text: str) -> Origin:
    """dbt's, and whoever writes ``{"app": ...}``."""
    words = _json(text)
    part = words.get("node_id") or words.get("profile_name") or words.get("job") or ""
    return _origin(words.get("app"), part, words.get("user"))


def _of_pairs(words: Mapping[str, str]) -> _Said:
    """sqlcommenter: ``route='%2Fpolls',traceparent='00-...-01'``, all of the comment."""
    if not words:
        return _Said()
    tool = words.get("application") or words.get("app") or words.get("framework") or words.get("db_driver") or ""
    action = "#".join(filter(None, (words.get("controller"), words.get("action"))))
    named = _origin(tool, words.get("route") or words.get("job") or action, _first(words, _USERS))
    trace = _TRACE.fullmatch(words.get("traceparent", ""))
    return _Said(replace(named, trace_id=trace[1] if trace else ""), words.get("traceparent") == "")


def _pairs(text: str) -> dict[str, str]:
    """None of them where any of it is something else."""
    words: dict[str, str] = {}
    at = 0
    for _ in range(_MOST_PAIRS):
        match = _PAIR.match(text, at)
        if match is None:
            return {}
        words[unquote(match[1])] = unquote(match[2].replace("\\'", "'"))
        at = match.end()
        if at == len(text):
            return words
    return {}


def _origin(tool: object, part: object, user: object) -> Origin:
    name = " ".join(filter(None, (_plain(tool), _plain(part)))) if _plain(tool) else ""
    return Origin(name[:_LONGEST], _plain(user))


def _first(words: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((words[name] for name in names if words.get(name)), "")


def _json(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _plain(value: object) -> str:
    """A name for people: one line, no control characters, not too long; empty for anything but texts and numbers."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    text = "".join(char if char.isprintable() else " " for char in str(value)[: 4 * _LONGEST])
    return " ".join(text.split())[:_LONGEST]
