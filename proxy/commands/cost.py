"""`pgwarden cost top`, `trend`, `anomalies` and `show`: what was spent, by whom and on what."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, TypeVar

import typer

from audit.costs_anomalies import WEEKS
from audit.costs_question import Dimension, Grain, Question, parse_dimension, span, whole_hours
from audit.costs_report import explained_anomalies, overview
from audit.errors import FilterError
from audit.query import parse_moment
from audit.store import Store
from audit.store_costs import StoreCosts
from proxy.commands import cost_data, cost_views
from proxy.commands.options import ConfigOption, read_config
from proxy.commands.outcome import ExitCode, clear_errors, print_out
from proxy.places import store_dsn

app = typer.Typer(help="What statements cost, added up by hour and day (UTC).", no_args_is_help=True)

Since = Annotated[str, typer.Option(help="An age (12h, 7d, 4w) or an ISO 8601 time; whole hours or days are counted.")]
Until = Annotated[str | None, typer.Option(help="The same; left out: now.")]
Tenant = Annotated[str | None, typer.Option(help="Only this tenant's costs.")]
Team = Annotated[str | None, typer.Option(help="Only this team's.")]
User = Annotated[str | None, typer.Option(help="Only this user's.")]
EndUser = Annotated[str | None, typer.Option(help="Only what was run on behalf of this end user.")]
Workload = Annotated[str | None, typer.Option(help="Only what this workload ran: dbt, metabase, psql...")]
Database = Annotated[str | None, typer.Option(help="Only on this database.")]
Table = Annotated[str | None, typer.Option(help="Only statements over this table: shop.customers.")]
Shape = Annotated[str | None, typer.Option(help="Only statements of this shape.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV with a header.")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]

_Answer = TypeVar("_Answer")
_NOT_BOTH: Final = "choose one of --json and --csv"


@app.command()
def top(
    config: ConfigOption = None,
    by: Annotated[str, typer.Option(help=", ".join(Dimension))] = "user",
    since: Since = "7d",
    until: Until = None,
    tenant: Tenant = None,
    team: Team = None,
    user: User = None,
    end_user: EndUser = None,
    workload: Workload = None,
    database: Database = None,
    table: Table = None,
    shape: Shape = None,
    limit: Limit = 20,
    as_json: AsJson = False,
    csv: AsCsv = False,
) -> None:
    """Who or what costs most. Tables share a statement's cost, so that they add up to the whole.

    \b
    Examples:
      pgwarden cost top -c pgwarden.yaml --by team --since 30d
      pgwarden cost top -c pgwarden.yaml --by table --tenant acme --json
    """
    with clear_errors():
        form = _form(as_json, csv)
        dimension = parse_dimension(by)
        question = _question(since, until, None, locals())
        lines = _asked(config, lambda costs: costs.top(question, dimension, limit))
    _print(form, cost_data.of_lines(lines, dimension), lambda: cost_views.top(lines, dimension, question))


@app.command()
def trend(
    config: ConfigOption = None,
    per: Annotated[Grain | None, typer.Option(help="hour or day; left out: hours up to two days, else days.")] = None,
    since: Since = "14d",
    until: Until = None,
    tenant: Tenant = None,
    team: Team = None,
    user: User = None,
    end_user: EndUser = None,
    workload: Workload = None,
    database: Database = None,
    table: Table = None,
    shape: Shape = None,
    as_json: AsJson = False,
    csv: AsCsv = False,
) -> None:
    """What each hour or day cost, as a chart.

    \b
    Examples:
      pgwarden cost trend -c pgwarden.yaml --since 30d --team finance
      pgwarden cost trend -c pgwarden.yaml --since 24h --per hour
    """
    with clear_errors():
        form = _form(as_json, csv)
        question = _question(since, until, per or _grain_of(since, until), locals())
        points = _asked(config, lambda costs: costs.trend(question))
    _print(form, cost_data.of_points(points), lambda: cost_views.trend(points, question))


@app.command()
def anomalies(
    config: ConfigOption = None,
    by: Annotated[str, typer.Option(help=", ".join(Dimension))] = "user",
    since: Since = "7d",
    until: Until = None,
    tenant: Tenant = None,
    team: Team = None,
    user: User = None,
    end_user: EndUser = None,
    workload: Workload = None,
    database: Database = None,
    table: Table = None,
    shape: Shape = None,
    weeks: Annotated[int, typer.Option(min=1, max=52, help="What is usual is learnt from so many weeks.")] = WEEKS,
    least: Annotated[
        str | None, typer.Option(help="Beyond the usual; left out: a hundredth of an average day.", metavar="AMOUNT")
    ] = None,
    as_json: AsJson = False,
    csv: AsCsv = False,
) -> None:
    """Days that cost far more than their weekday usually does, with the statements that made them.

    Usual is the median of the same weekday in the weeks before; far is 3.5 times the median absolute deviation.

    \b
    Example:
      pgwarden cost anomalies -c pgwarden.yaml --by team --since 30d
    """
    with clear_errors():
        form = _form(as_json, csv)
        dimension, amount = parse_dimension(by), _amount(least)
        question = _question(since, until, Grain.DAY, locals())
        found = _asked(config, lambda costs: explained_anomalies(costs, question, dimension, amount, weeks))
    _print(form, cost_data.of_anomalies(found, dimension), lambda: cost_views.anomalies(found, dimension, question))


@app.command()
def show(
    by: Annotated[str, typer.Argument(help=", ".join(Dimension))],
    name: Annotated[str, typer.Argument(help="Which of them.")],
    config: ConfigOption = None,
    since: Since = "7d",
    until: Until = None,
    limit: Limit = 5,
    as_json: AsJson = False,
) -> None:
    """All about one tenant, team, user, workload, shape or table: its course, what it consists of, and its costliest
    statements.

    \b
    Examples:
      pgwarden cost show user ada -c pgwarden.yaml --since 30d
      pgwarden cost show table shop.customers -c pgwarden.yaml
    """
    with clear_errors():
        dimension = parse_dimension(by)
        question = _question(since, until, _grain_of(since, until), {dimension.value: name})
        found = _asked(config, lambda costs: overview(costs, question, limit))
    form = cost_data.Form.JSON if as_json else cost_data.Form.TABLE
    _print(form, cost_data.of_overview(found), lambda: cost_views.overview(found, dimension, name, question))


@app.command()
def check(config: ConfigOption = None, since: Since = "2d", until: Until = None, as_json: AsJson = False) -> None:
    """Adds the records of whole hours up again and compares. Ends with 3 when the roll-ups say something else.

    The hour that is running is left out. Reads every record of that time.

    \b
    Example:
      pgwarden cost check -c pgwarden.yaml --since 7d
    """
    with clear_errors():
        begins, ends = whole_hours(*_moments(since, until, datetime.now(UTC)), datetime.now(UTC))
        found = _asked(config, lambda costs: costs.differences(begins, ends))
    form = cost_data.Form.JSON if as_json else cost_data.Form.TABLE
    _print(form, cost_data.of_differences(found), lambda: cost_views.differences(found, begins, ends))
    raise typer.Exit(ExitCode.FINDINGS if found else ExitCode.OK)


def _form(as_json: bool, as_csv: bool) -> cost_data.Form:
    if as_json and as_csv:
        raise typer.BadParameter(_NOT_BOTH)
    return cost_data.Form.JSON if as_json else cost_data.Form.CSV if as_csv else cost_data.Form.TABLE


def _question(since: str, until: str | None, grain: Grain | None, given: dict[str, Any]) -> Question:
    """`given`: the filters by the names of dimensions, among other things."""
    now = datetime.now(UTC)
    begins, ends, chosen = span(*_moments(since, until, now), now, grain)
    names = [dimension.value for dimension in Dimension]
    return replace(Question(begins, ends, chosen), **{name: given[name] for name in names if given.get(name)})


def _grain_of(since: str, until: str | None) -> Grain:
    begins, ends = _moments(since, until, datetime.now(UTC))
    return Grain.HOUR if ends - begins <= timedelta(days=2) else Grain.DAY


def _moments(since: str, until: str | None, now: datetime) -> tuple[datetime, datetime]:
    return parse_moment(since, now), parse_moment(until, now) if until else now


def _amount(text: str | None) -> Decimal | None:
    try:
        amount = None if text is None else Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if amount is not None and not (amount.is_finite() and amount >= 0):
        raise FilterError(f"{text!r} is no amount")
    return amount


def _asked(config: Any, ask: Callable[[StoreCosts], Awaitable[_Answer]]) -> _Answer:
    async def run(dsn: str) -> _Answer:
        store = Store(dsn)
        try:
            return await ask(StoreCosts(store))
        finally:
            await store.close()

    with store_dsn(read_config(config)) as dsn:
        return asyncio.run(run(dsn))


def _print(form: cost_data.Form, rows: cost_data.Rows, view: Callable[[], str]) -> None:
    match form:
        case cost_data.Form.JSON:
            print_out(cost_data.as_json_lines(rows))
        case cost_data.Form.CSV:
            print_out(cost_data.as_csv(rows))
        case cost_data.Form.TABLE:
            print_out(view())
