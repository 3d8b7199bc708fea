"""The log's two shapes, and what must never be in them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from proxy.logs import LogFormat, set_up

NAMES = ("pgwarden", "uvicorn", "asyncio", "watchfiles")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(logger.handlers, logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers, logger.level, logger.propagate = handlers, level, propagate


def written(kind: LogFormat) -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    set_up(kind, stream)
    return logging.getLogger("pgwarden.test"), stream


def test_json_is_one_object_a_line_with_the_fields() -> None:
    log, stream = written(LogFormat.JSON)
    log.info("policies loaded", extra={"fields": {"principals": 3, "message": "not this"}})
    log.warning("two\nlines")
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (first["message"], first["level"], first["logger"], first["principals"]) == (
        "policies loaded",
        "info",
        "pgwarden.test",
        3,
    )
    assert first["at"].endswith("+00:00")
    assert second["message"] == "two\nlines"


def test_human_lines_name_the_part_and_the_fields() -> None:
    log, stream = written(LogFormat.HUMAN)
    log.info("loaded", extra={"fields": {"principals": 3}})
    assert stream.getvalue().endswith("info     test: loaded (principals=3)\n")


def test_a_name_with_a_line_break_forges_no_second_entry() -> None:
    log, stream = written(LogFormat.HUMAN)
    log.info("login", extra={"fields": {"user": "x\n04:00:00 info forged\x1b[31m"}})
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("kind", list(LogFormat))
def test_an_exception_shows_its_type_and_place_but_not_its_text(kind: LogFormat) -> None:
    log, stream = written(kind)
    try:
        raise ValueError("Key (email)=(canary@example.com) already exists")
    except ValueError:
        log.exception("a session ended")
    assert "ValueError" in stream.getvalue()
    assert "test_logs.py" in stream.getvalue()
    assert "canary" not in stream.getvalue()


def test_libraries_are_heard_from_warnings_on() -> None:
    _, stream = written(LogFormat.HUMAN)
    logging.getLogger("uvicorn.error").info("chatter")
    logging.getLogger("uvicorn.error").warning("trouble")
    assert "chatter" not in stream.getvalue()
    assert "trouble" in stream.getvalue()
