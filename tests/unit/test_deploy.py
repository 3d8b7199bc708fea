"""What lies in deploy/ is true: it loads, and it names metrics and options that exist."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry, generate_latest
from typer.testing import CliRunner

from policies.load import load_folder
from proxy.cli import make_app
from proxy.config import load_config
from proxy.metrics import Metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
SCRAM = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0$" + "A" * 43 + "=:" + "B" * 42 + "A="


def test_the_example_loads(tmp_path: Path) -> None:
    config = load_config(DEPLOY / "example" / "pgwarden.yaml", {}, secrets=tmp_path)
    policies = load_folder(config.policies, {"ADA_SCRAM": SCRAM}, list(config.databases or ()))
    assert policies.principals["ada"].scram == SCRAM


def test_the_alerts_name_metrics_that_exist() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "pgwarden.rules.yaml").read_text())
    exported = generate_latest(Metrics(CollectorRegistry()).registry).decode()
    for rule in rules["groups"][0]["rules"]:
        for selector in re.findall(r"pgwarden_\w+(?:\{[^}]*\})?", rule["expr"]):
            assert f"\n{selector} " in exported, rule["alert"]


def test_the_unit_runs_a_command_that_exists() -> None:
    unit = (DEPLOY / "systemd" / "pgwarden.service").read_text()
    line = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    command, *arguments = line.removeprefix("ExecStart=").split()[1:]
    shown = CliRunner().invoke(make_app(), [command, "--help"]).output
    assert [option for option in arguments if option.startswith("--") and option not in shown] == []
