"""How pgwarden's own log looks: lines for people, or one JSON object a line. It must not quote data.

Call sites log a constant message and give numbers and names as ``extra={"fields": {...}}``. Of an exception
only its type and its frames are shown: a driver's message can hold a row.
"""

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TextIO

import msgspec

ROOT: Final = "pgwarden"
_OTHERS: Final = ("uvicorn", "asyncio", "watchfiles")


class LogFormat(StrEnum):
    HUMAN = "human"
    JSON = "json"


def set_up(kind: LogFormat, stream: TextIO, level: int = logging.INFO, worker: int | None = None) -> None:
    """Sends all of ``pgwarden`` to `stream`; of the libraries only warnings. Calling it again replaces.

    `worker`: the number that each entry of this process bears.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines(worker) if kind is LogFormat.JSON else HumanLines(worker))
    for name, threshold in ((ROOT, level), *((other, logging.WARNING) for other in _OTHERS)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(threshold)
        logger.propagate = False


class _Lines(logging.Formatter):
    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._own = {} if worker is None else {"worker": worker}

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        fields = getattr(record, "fields", None)
        return self._own | fields if isinstance(fields, dict) else self._own


class HumanLines(_Lines):
    """``04:45:01 warning  policies: kept the last good set (worker=1, problems=2)``"""

    def format(self, record: logging.LogRecord) -> str:
        at = _at(record).astimezone().strftime("%H:%M:%S")
        fields = ", ".join(f"{key}={value}" for key, value in self._fields(record).items())
        line = f"{at} {record.levelname.lower():8} {_where(record)}{record.getMessage()}"
        line += f" ({fields})" if fields else ""
        return "\n".join([_one_line(line), *(f"    {frame}" for frame in _frames(record))])


class JsonLines(_Lines):
    """One object a line: at (ISO 8601, UTC), level, logger, message, the call's fields, error's frames."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "at": _at(record).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {key: value for key, value in self._fields(record).items() if key not in entry}
        if frames := _frames(record):
            entry["error"] = frames
        return msgspec.json.encode(entry, enc_hook=str).decode()


def _at(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _where(record: logging.LogRecord) -> str:
    name = record.name.removeprefix(f"{ROOT}.")
    return "" if name == ROOT else f"{name}: "


def _frames(record: logging.LogRecord) -> list[str]:
    if not record.exc_info or record.exc_info[1] is None:
        return []
    error = record.exc_info[1]
    frames = traceback.extract_tb(error.__traceback__)
    return [type(error).__name__, *(f"{f.filename}:{f.lineno} in {f.name}" for f in frames)]


def _one_line(text: str) -> str:
    # A name with a line break in it must not be able to forge a second entry.
    return "".join(c if c.isprintable() else "?" for c in text)
