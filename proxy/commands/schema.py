"""`pgwarden schema`: what may stand in policy files and in pgwarden.yaml, for editors."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from policies.json_schema import DIALECT, policy_file_schema
from proxy.commands.outcome import print_out
from proxy.config_model import Config


class File(StrEnum):
    POLICIES = "policies"
    CONFIG = "config"


def schema(
    file: Annotated[File, typer.Argument(help="Of a policy file, or of pgwarden.yaml.")] = File.POLICIES,
) -> None:
    """Prints a JSON Schema (2020-12), made from what `serve` and `check` read by.

    An editor that knows it completes keys and underlines mistakes as you type. It can't know names of principals,
    tables and columns, nor expressions: `check` looks at those.

    \b
    Examples:
      pgwarden schema > policies.schema.json
      pgwarden schema config > pgwarden.schema.json
    First line of a YAML file, for editors with the YAML language server:
      # yaml-language-server: $schema=policies.schema.json
    """
    found = policy_file_schema() if file is File.POLICIES else config_schema()
    print_out(json.dumps(found, indent=2, ensure_ascii=False))


def config_schema() -> dict[str, Any]:
    return {"$schema": DIALECT} | Config.model_json_schema() | {"title": "pgwarden.yaml"}
