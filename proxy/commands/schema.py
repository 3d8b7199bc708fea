"""`pgwarden schema`: what may stand in policy files and in pgwarden.yaml, for editors, and what stands in records."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from audit.record_schema import record_schema
from policies.json_schema import DIALECT, policy_file_schema
from proxy.commands.outcome import print_out
from proxy.config_model import Config


class File(StrEnum):
    POLICIES = "policies"
    CONFIG = "config"
    RECORDS = "records"


def schema(
    file: Annotated[File, typer.Argument(help="Of a policy file, pgwarden.yaml or records.")] = File.POLICIES,
) -> None:
    """Prints a JSON Schema (2020-12), made from what `serve` and `check` read by.

    An editor that knows it completes keys and underlines mistakes as you type. It can't know names of principals,
    tables and columns, nor expressions: `check` looks at those.

    \b
    Examples:
      pgwarden schema > policies.schema.json
      pgwarden schema config > pgwarden.schema.json
      pgwarden schema records > records.schema.json     what `audit export` writes, line by line
    First line of a YAML file, for editors with the YAML language server:
      # yaml-language-server: $schema=policies.schema.json
    """
    makers = {File.POLICIES: policy_file_schema, File.CONFIG: config_schema, File.RECORDS: record_schema}
    print_out(json.dumps(makers[file](), indent=2, ensure_ascii=False))


def config_schema() -> dict[str, Any]:
    return {"$schema": DIALECT} | Config.model_json_schema() | {"title": "pgwarden.yaml"}
