"""The options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from proxy.config import Config, load_config
from proxy.logs import LogFormat

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="pgwarden.yaml; left out: environment and defaults only.", metavar="FILE"),
]
LogOption = Annotated[LogFormat, typer.Option("--log", help="Lines for people, or one JSON object a line.")]


def read_config(file: Path | None, overrides: Mapping[str, Any] | None = None) -> Config:
    """Raises ConfigError."""
    return load_config(file, os.environ, overrides)
