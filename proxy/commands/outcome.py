"""How a command ends: exit codes that scripts can use, and errors as one clear text."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from enum import IntEnum
from typing import Final

import typer

from audit.errors import AuditError, FilterError
from policies.errors import PoliciesError, PolicyFileError
from proxy.config import ConfigError
from proxy.installation import EmbeddedError

PIPE_COLUMNS: Final = 200  # of tables that no terminal shows: nothing is folded for want of room


class ExitCode(IntEnum):
    """`FINDINGS`: the command did its work and found something wrong with what it was asked to look at."""

    OK = 0
    FAILED = 1
    USAGE = 2
    FINDINGS = 3


class CommandError(Exception):
    """The command can't go on; the text is for the person who typed it."""


@contextmanager
def clear_errors() -> Generator[None, None, None]:
    """Turns the errors that people can do something about into their text and an exit code."""
    try:
        yield
    except (ConfigError, FilterError) as error:
        raise _ended(error, ExitCode.USAGE) from None
    except PolicyFileError as error:
        raise _ended(error, ExitCode.FINDINGS) from None
    except (AuditError, PoliciesError, EmbeddedError, CommandError) as error:
        raise _ended(error, ExitCode.FAILED) from None


def _ended(error: Exception, code: ExitCode) -> typer.Exit:
    print_error(str(error))
    return typer.Exit(code)


def print_error(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def print_out(text: str) -> None:
    """Results go to standard output as they are, so that they can be piped."""
    sys.stdout.write(text if text.endswith("\n") or not text else f"{text}\n")
