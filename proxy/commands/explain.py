"""`pgwarden explain`: what would this user get for this statement, and by which rules?"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from audit.query import parse_moment
from policies.catalog import Catalog, Namespace
from policies.compile import Compiler
from policies.decision import Decision
from policies.explain import explain as explain_text
from policies.explain import explain_data
from policies.load import load_folder
from policies.model import Circumstances, EffectivePolicy, PolicySet
from policies.resolve import resolve
from proxy.commands.looking import with_known_names
from proxy.commands.options import ConfigOption, read_config
from proxy.commands.outcome import CommandError, clear_errors, print_out
from proxy.commands.snapshots import catalog_of, database_names
from proxy.config import Config


def explain(
    user: Annotated[str, typer.Option("--user", "-u", help="A principal of the policy folder.")],
    sql: Annotated[str, typer.Option("--sql", help="The statement, as the client would send it.")],
    config: ConfigOption = None,
    database: Annotated[
        str | None, typer.Option("--database", "-d", help="As clients name it; left out: the only one there is.")
    ] = None,
    address: Annotated[str, typer.Option("--address", help="Where the client comes from, for `when`.")] = "",
    at: Annotated[
        str | None, typer.Option("--at", help="When, for `when`: an ISO 8601 time or an age (2h); left out: now.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Shows the effective policy, the rules that made it with their places, and the statement that goes upstream.

    Nothing is run and nothing is recorded; the database is only asked for its catalog. A refusal is an answer: the
    command ends with 0.

    \b
    Examples:
      pgwarden explain --config pgwarden.yaml --user ada --sql 'SELECT email FROM shop.customers'
      pgwarden explain -c pgwarden.yaml -u ada -d shop --sql 'SELECT 1' --json | jq .decision
      pgwarden explain -c pgwarden.yaml -u ada --sql 'SELECT 1' --address 10.0.0.7 --at 2026-07-04T22:00+02:00
    """
    with clear_errors():
        read = read_config(config)
        name = _database(read, database)
        now = datetime.now(UTC)
        policies = load_folder(read.policies, os.environ, database_names(read))
        policy = _policy(policies, user, name, Circumstances(address, parse_moment(at, now) if at else now))
        catalog = with_known_names(read, policies, catalog_of(read, name))
        decision = _decision(sql, policy, catalog)
        shadow = _decision(sql, policy.shadow, catalog) if policy.shadow else None
    if as_json:
        print_out(json.dumps(explain_data(decision, policy, sql, catalog, shadow), ensure_ascii=False))
    else:
        print_out(explain_text(decision, policy, sql, catalog, shadow))


def _decision(sql: str, policy: EffectivePolicy, catalog: Catalog) -> Decision:
    return Compiler().decide(sql, policy, catalog, Namespace(catalog.search_path, catalog.search_path))


def _database(config: Config, wanted: str | None) -> str:
    names = database_names(config)
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted not in names:
        asked = "name one with --database" if wanted is None else f"there is no database {wanted!r}"
        raise CommandError(f"{asked}; the configuration has {', '.join(names)}")
    return wanted


def _policy(policies: PolicySet, user: str, database: str, circumstances: Circumstances) -> EffectivePolicy:
    policy = resolve(policies, user, database, circumstances)
    if policy is None:
        known = ", ".join(sorted(policies.principals)) or "nobody"
        raise CommandError(f"no principal is called {user!r}; the policy folder knows {known}")
    return policy
