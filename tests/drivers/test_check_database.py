"""`pgwarden check --database` on real servers: exit codes, text and JSON, for what an administrator may have made."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from proxy.cli import make_app
from tests.fix_servers import TestServer

POLICIES = """
principals:
  - {user: ada, tenant: acme, roles: [analyst], attributes: {tenant_id: 1}}
tags:
  pii: [shop.employees.email, shop.customers.phone]
policies:
  - name: analysts
    subjects: {roles: [analyst]}
    statements: [select]
    tables: {allow: [NAMED"shop.*"], block: [shop.salaries]}
    rows: [{table: shop.customers, filter: "tenant_id = {tenant_id}"}]
    masks: [{column: shop.customers.email, mask: {kind: email}}]
    functions: {allow: [shop.best]}
"""
MADE = """
CREATE VIEW shop.reach AS SELECT id, email AS mail FROM shop.customers;
CREATE MATERIALIZED VIEW shop.kept AS SELECT id, email AS mail FROM shop.customers;
CREATE FUNCTION shop.best() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT max(email::text) FROM shop.customers; END;
CREATE FUNCTION shop.on_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER copier AFTER INSERT ON shop.customers FOR EACH ROW EXECUTE FUNCTION shop.on_change();
CREATE TABLE shop.leads (id int, email text, iban text);
"""


@pytest.fixture
def config(server: TestServer, tmp_path: Path) -> Path:
    database = server.shop()
    with psycopg.connect(server.dsn(database), autocommit=True) as connection:
        connection.execute(MADE.encode())
    (tmp_path / "policies").mkdir()
    file = tmp_path / "pgwarden.yaml"
    upstream = {"shop": {"upstream": server.dsn(database)}}
    settings = {
        "databases": upstream,
        "policies": "policies",
        "audit": {"directory": "journal", "store": server.dsn()},
    }
    file.write_text(yaml.safe_dump(settings))
    return file


def check(config: Path, *options: str, named: str = "") -> Result:
    (config.parent / "policies" / "p.yaml").write_text(POLICIES.replace("NAMED", named))
    arguments = ["check", "--config", str(config), "--database", "shop", *options]
    return CliRunner().invoke(make_app(), arguments)


def test_what_is_open_is_told_in_json(config: Path) -> None:
    result = check(config, "--json", named="shop.kept, ")
    assert result.exit_code == 3
    found = {(one["level"], one["about"]) for one in json.loads(result.stdout)["databases"]["shop"]}
    assert {
        ("open", "shop.kept.mail"),
        ("open", "shop.kept"),
        ("open", "shop.best()"),
        ("note", "shop.reach.mail"),
        ("note", "shop.customers"),
        ("warning", "shop.leads.email"),
        ("warning", "shop.leads.iban"),
    } <= found
    assert not {about for _, about in found} & {"shop.employees.email", "shop.customers.phone"}


def test_strict_counts_warnings_too(config: Path) -> None:
    result = check(config)
    assert result.exit_code == 3  # shop.best() is allowed
    assert (
        "open: shop.best(): is allowed and reads shop.customers: no guard stands inside a function [ada]"
        in result.stdout
    )
    without = POLICIES.replace("functions: {allow: [shop.best]}", "")
    (config.parent / "policies" / "p.yaml").write_text(without.replace("NAMED", ""))
    arguments = ["check", "--config", str(config), "--database", "shop"]
    plain, strict = (CliRunner().invoke(make_app(), [*arguments, *more]) for more in ((), ("--strict",)))
    assert (plain.exit_code, strict.exit_code) == (0, 3)
    assert "everything holds" in plain.stdout
    assert "warning: shop.leads.iban: no tag or rule covers it" in strict.stdout
    assert "note: shop.kept: holds rows of shop.customers: refused, no policy names it [ada]" in strict.stdout


def test_a_database_that_is_not_configured_is_an_error(config: Path) -> None:
    (config.parent / "policies" / "p.yaml").write_text(POLICIES.replace("NAMED", ""))
    result = CliRunner().invoke(make_app(), ["check", "--config", str(config), "--database", "shp"])
    assert result.exit_code == 1
    assert "the configuration has shop" in result.stderr
