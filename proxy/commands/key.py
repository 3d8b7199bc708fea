"""`pgwarden key create`, `list` and `revoke`: API keys in the audit store, which programs send as their passwords."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from audit.api_keys import KeyEntry, KeyUse, id_in, make_key
from audit.errors import AuditError
from audit.store import Store
from audit.store_keys import StoreKeys
from policies.authentication import is_day
from policies.fields import closest
from policies.load import load_folder
from policies.model import PolicySet
from policies.tiers import NANO, Tier, TierName, month_of
from proxy.commands.noted import note
from proxy.commands.options import ConfigOption, read_config
from proxy.commands.outcome import PIPE_COLUMNS, CommandError, clear_errors, print_error, print_out
from proxy.commands.snapshots import database_names
from proxy.config import Config
from proxy.places import store_dsn

_TRIES: Final = 5
_MOST_CHARACTERS: Final = 200
_LONGEST_DAYS: Final = 36_500

app = typer.Typer(help="API keys in the store: make, list and revoke them.", no_args_is_help=True)
Result = TypeVar("Result")


@app.command()
def create(
    user: Annotated[str, typer.Option(help="The principal that logs in by it.")],
    tier: Annotated[TierName, typer.Option(help="Its quotas, as `tiers` in the policies has them.")],
    config: ConfigOption = None,
    owner: Annotated[str, typer.Option(help="Who answers for it: a person, a team.")] = "",
    expires: Annotated[
        str | None, typer.Option(help="The first day (UTC) on which it is worth nothing, or an age: 2027-01-01, 90d.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Makes an API key and prints it once; the store keeps its hash.

    The principal needs `auth: {stored_keys: true}`. Programs send the key as their password, over TLS or a unix socket.

    \b
    Examples:
      pgwarden key create --config pgwarden.yaml --user ci --tier pro --owner "data team"
      pgwarden key create --config pgwarden.yaml --user ci --tier free --expires 90d
    """
    expires_at = _moment(expires, datetime.now(UTC)) if expires else None
    wanted = _Wanted(user, tier, _shown_text(owner, "--owner"), expires_at)
    with clear_errors():
        read = read_config(config)
        _check(wanted, load_folder(read.policies, os.environ, database_names(read)))
        made = _asked(read, lambda store: _make(read, store, wanted))
    if as_json:
        print_out(json.dumps(made))
    else:
        print_out("\n".join(f"{name + ':':9}{value or 'never'}" for name, value in made.items()))


@app.command("list")
def list_keys(
    config: ConfigOption = None,
    user: Annotated[str | None, typer.Option(help="Only this principal's.")] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Also those that are revoked or have expired.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """The keys, whose they are, when they were used last, and what they have used of this month's quotas.

    Sidecars tell the store every few seconds (`keys: {refresh: ...}`): the last of what was used may be missing.

    \b
    Example:
      pgwarden key list --config pgwarden.yaml --user ci
    """
    now = datetime.now(UTC)
    with clear_errors():
        read = read_config(config)
        policies = load_folder(read.policies, os.environ, database_names(read))
        entries, uses = _asked(read, lambda store: StoreKeys(store).listed(month_of(now.date())))
    rows = [_row(entry, uses.get(entry.key.id), policies, now) for entry in entries if user in (None, entry.key.user)]
    shown = [row for row in rows if is_all or row["state"] == "active"]
    if as_json:
        print_out("\n".join(json.dumps(row) for row in shown))
    else:
        _print_table(shown)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="The key's id, such as pgw_k3x9a2bq, or the whole key.")],
    config: ConfigOption = None,
    reason: Annotated[str, typer.Option(help="Why; it stands in the records.")] = "",
) -> None:
    """Revokes a key for ever. Sidecars refuse it, and end its sessions, within a few seconds.

    \b
    Example:
      pgwarden key revoke pgw_k3x9a2bq --config pgwarden.yaml --reason "left in a public repository"
    """
    key_id = id_in(key.strip())
    if key_id is None:
        raise typer.BadParameter("this is no key's id; an id looks like pgw_k3x9a2bq")
    why = _shown_text(reason, "--reason")
    with clear_errors():
        read = read_config(config)
        was_in_force = _asked(read, lambda store: _revoke(read, store, key_id, why))
        if was_in_force is None:
            raise CommandError(f"there is no API key {key_id}")
    print_out(f"{key_id} is revoked" if was_in_force else f"{key_id} was revoked before")


@dataclass(frozen=True, slots=True)
class _Wanted:
    user: str
    tier: TierName
    owner: str
    expires_at: datetime | None


def _check(wanted: _Wanted, policies: PolicySet) -> None:
    """A key that could never be used is a mistake. Raises CommandError."""
    principal = policies.principals.get(wanted.user)
    if principal is None:
        raise CommandError(f"no principal has user {wanted.user!r}{closest(wanted.user, policies.principals)}")
    if not principal.has_stored_keys:
        raise CommandError(
            f"user {wanted.user!r} can't log in by keys: add auth: {{stored_keys: true}} at {principal.source}"
        )
    if wanted.tier not in policies.tiers:
        known = ", ".join(policies.tiers) or "none"
        raise CommandError(f"tier {wanted.tier.value!r} isn't defined under 'tiers' of the policies (defined: {known})")


async def _make(config: Config, store: Store, wanted: _Wanted) -> dict[str, str | None]:
    """Recorded first: a key that nobody has recorded isn't made."""
    for _ in range(_TRIES):
        new = make_key(os.urandom)
        owner = f", owner {wanted.owner}" if wanted.owner else ""
        text = f"API key {new.id} is made for user {wanted.user}, tier {wanted.tier}{owner}"
        await note(config.audit, store, "key_created", text)
        if await StoreKeys(store).make(
            new, user=wanted.user, tier=wanted.tier, owner=wanted.owner, by=_who(), expires_at=wanted.expires_at
        ):
            expires = None if wanted.expires_at is None else wanted.expires_at.isoformat(timespec="minutes")
            return {"key": new.text, "id": new.id, "user": wanted.user, "tier": wanted.tier.value, "expires": expires}
    raise CommandError("no free id was found; try again")


async def _revoke(config: Config, store: Store, key_id: str, reason: str) -> bool | None:
    """What can't be recorded is done all the same: a key that was lost can't wait, and sidecars record it, too."""
    was_in_force = await StoreKeys(store).revoke(key_id, _who(), reason)
    if was_in_force:
        text = f"API key {key_id} is revoked: {reason or 'no reason given'}"
        try:
            await note(config.audit, store, "key_revoked", text)
        except (AuditError, CommandError, OSError):
            print_error(f"the revocation stands, but could not be recorded in {config.audit.directory}")
    return was_in_force


def _asked(config: Config, ask: Callable[[Store], Awaitable[Result]]) -> Result:
    async def run(dsn: str) -> Result:
        store = Store(dsn)
        try:
            await store.migrate()
            return await ask(store)
        finally:
            await store.close()

    with store_dsn(config) as dsn:
        return asyncio.run(run(dsn))


def _row(entry: KeyEntry, use: KeyUse | None, policies: PolicySet, now: datetime) -> Mapping[str, Any]:
    key = entry.key
    tier = policies.tiers.get(TierName(key.tier)) if key.tier in list(TierName) else None
    expires_at = None if key.expires_s is None else datetime.fromtimestamp(key.expires_s, UTC)
    return {
        "id": key.id,
        "user": key.user,
        "tier": key.tier,
        "owner": entry.owner,
        "created_at": entry.created_at.isoformat(timespec="seconds"),
        "created_by": entry.created_by,
        "expires_at": None if expires_at is None else expires_at.isoformat(timespec="seconds"),
        "last_used": None if use is None else use.last_used.isoformat(timespec="seconds"),
        "statements": 0 if use is None else use.statements,
        "cost": 0.0 if use is None else use.cost_nano / NANO,
        "currency": policies.prices.currency,
        "state": _state(entry, expires_at, now),
        "reason": entry.reason,
        **_quotas(tier),
    }


def _quotas(tier: Tier | None) -> dict[str, Any]:
    cost = None if tier is None or tier.cost_per_month is None else float(tier.cost_per_month)
    return {"statements_per_month": None if tier is None else tier.statements_per_month, "cost_per_month": cost}


def _state(entry: KeyEntry, expires_at: datetime | None, now: datetime) -> str:
    if entry.key.is_revoked:
        return "revoked"
    return "expired" if expires_at is not None and now >= expires_at else "active"


def _print_table(rows: list[Mapping[str, Any]]) -> None:
    table = Table("key", "user", "tier", "owner", "created", "expires", "last use", box=None, header_style="bold")
    for name in ("statements", "cost"):
        table.add_column(name, justify="right")
    table.add_column("state")
    for row in rows:
        dates = (_short(row["created_at"]), _short(row["expires_at"]), _short(row["last_used"], to=16))
        statements = _of(f"{row['statements']:,}", row["statements_per_month"])
        cost = _of(f"{row['cost']:,.2f}", row["cost_per_month"], ",.2f") + f" {row['currency']}"
        texts = (row["id"], row["user"], row["tier"], row["owner"] or "-", *dates, statements, cost, row["state"])
        table.add_row(*(_plain(text) for text in texts))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else PIPE_COLUMNS).print(table)


def _plain(text: str) -> str:
    """A name with brackets is no markup."""
    return text.replace("[", r"\[")


def _of(used: str, most: float | None, form: str = ",") -> str:
    return used if most is None else f"{used} of {most:{form}}"


def _short(moment: str | None, to: int = 10) -> str:
    return "-" if moment is None else moment[:to].replace("T", " ")


def _moment(text: str, now: datetime) -> datetime:
    """A day's beginning, or so many days from now."""
    if is_day(text):
        day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        if day > now:
            return day
        raise typer.BadParameter("--expires is past: the key would be worth nothing")
    number = text.removesuffix("d")
    if text.endswith("d") and number.isascii() and number.isdigit() and 1 <= int(number) <= _LONGEST_DAYS:
        return now + timedelta(days=int(number))
    raise typer.BadParameter("--expires must be a day, such as 2027-01-01, or a number of days, such as 90d")


def _shown_text(text: str, option: str) -> str:
    if len(text) > _MOST_CHARACTERS or not text.isprintable():
        raise typer.BadParameter(f"{option} must be printable, {_MOST_CHARACTERS} characters at most")
    return text


def _who() -> str:
    """Who types, as the system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"
