"""Tells people what a decision means: whose policy, which rules, what goes upstream, or why nothing does.

Pure: no I/O and no decision of its own. Attribute values and secret parameters of masks are not shown; the
rewritten statement is, with the values that its filters and masks were bound to: the output is for operators.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from policies.catalog import Catalog
from policies.decision import Decision, Plan, RawColumn, Refusal
from policies.lineage import Lineage, lineage_of
from policies.model import EffectivePolicy, Limits, MaskSpec, Mode, Policy, RuleId, Statement, TableRule
from policies.relation_rules import relation_rules
from policies.resolve import resolve_table

_SECRET_PARAMETERS = frozenset({"salt", "key"})
_TAB_COLUMNS = 4
_CONTEXT_CHARACTERS = 100  # how much of a long line stands around a caret


def explain(
    decision: Decision,
    policy: EffectivePolicy,
    sql: str,
    catalog: Catalog | None = None,
    shadow: Decision | None = None,
) -> str:
    """The explanation as text for a terminal. With a catalog it also tells where each mask is applied.

    `shadow`: what is decided under `policy.shadow`.
    """
    return "\n".join(_lines(explain_data(decision, policy, sql, catalog, shadow)))


def explain_data(
    decision: Decision,
    policy: EffectivePolicy,
    sql: str,
    catalog: Catalog | None = None,
    shadow: Decision | None = None,
) -> dict[str, Any]:
    """The same as plain values that JSON can carry; keys are stable."""
    return {
        "principal": _principal(policy),
        "database": policy.database,
        "policy_fingerprint": policy.fingerprint,
        "policies": _names(policy.policies),
        "waiting": _names(policy.waiting),
        "is_everything": policy.is_everything,
        "statements": _statements(policy),
        "functions": {"allow": list(policy.functions_allow), "rule": _rule(policy.functions_rule)},
        "limits": _limits(policy.limits),
        "sql": sql,
        "decision": decision.verdict,
        "rewritten_sql": decision.text if decision.refusal is None and decision.text != sql else None,
        "plans": [_plan(plan, policy, catalog) for plan in decision.plans],
        "refusal": _refusal(decision.refusal, sql) if decision.refusal else None,
        "shadow": _shadow(policy.shadow, shadow) if policy.shadow and shadow else None,
        **_lineage(sql, catalog),
    }


def _lineage(sql: str, catalog: Catalog | None) -> dict[str, Any]:
    """sqlglot's reading of what the client wrote: for people, no part of the decision."""
    found = lineage_of(sql, catalog, catalog.search_path) if catalog else Lineage()
    return {
        "lineage": [{"column": output.name, "sources": list(output.sources)} for output in found.outputs],
        "lineage_problem": found.problem,
    }


def _names(policies: Iterable[Policy]) -> list[dict[str, str]]:
    return [{"name": policy.name, "source": str(policy.source)} for policy in policies]


def _shadow(policy: EffectivePolicy, decision: Decision) -> dict[str, Any]:
    """What would be decided if the policies in shadow mode were enforced too."""
    return {
        "policies": _names(part for part in policy.policies if part.mode is Mode.SHADOW),
        "decision": decision.verdict,
        "rule": decision.refusal.rule if decision.refusal else None,
        "message": decision.refusal.message if decision.refusal else None,
        "masked_columns": sorted({name for plan in decision.plans for name in plan.masked_columns}),
        "filtered_tables": sorted({name for plan in decision.plans for name in plan.filtered_tables}),
    }


def _principal(policy: EffectivePolicy) -> dict[str, Any]:
    principal = policy.principal
    return {
        "user": principal.user,
        "tenant": principal.tenant,
        "team": principal.team,
        "roles": list(principal.roles),
        "attributes": sorted(principal.attributes),
    }


def _statements(policy: EffectivePolicy) -> dict[str, Any]:
    is_all = Statement.ALL in policy.statements
    own = policy.statements & {Statement.ALL, Statement.REPLICATION} if is_all else policy.statements
    allowed = [kind for kind in Statement if kind in own]
    denied = [(kind, rule) for part in policy.policies for kind, rule in part.statements_deny]
    return {
        "allow": [kind.value for kind in allowed],
        "rule": _rule(policy.statements_rule),
        "deny": [{"kind": kind.value, "rule": _rule(rule)} for kind, rule in denied],
    }


def _rule(rule: RuleId | None) -> dict[str, str] | None:
    return {"id": rule.name, "source": str(rule.source)} if rule else None


def _limits(limits: Limits) -> dict[str, Any]:
    given = {
        "rows": (limits.rows, limits.rows_rule),
        "runtime_s": (limits.runtime_s, limits.runtime_rule),
        "bytes": (limits.bytes, limits.bytes_rule),
        "concurrent": (limits.concurrent, limits.concurrent_rule),
        "statements_per_minute": (limits.statements_per_minute, limits.statements_per_minute_rule),
        "cost": (limits.cost, limits.cost_rule),
    }
    return {name: {"value": value, "rule": _rule(rule)} for name, (value, rule) in given.items() if value is not None}


def _plan(plan: Plan, policy: EffectivePolicy, catalog: Catalog | None) -> dict[str, Any]:
    streamed = _streamed(plan, catalog)
    rules = [rule for name in plan.tables for rule in _table_rules(name, policy, catalog)]
    return {
        "command": plan.command,
        "rule_ids": list(plan.rule_ids),
        "tables": [_table(rule) for rule in rules],
        "masked_columns": [{"column": name, "where": _where(name, streamed)} for name in plan.masked_columns],
        "raw_columns": [_raw_column(raw) for raw in plan.raw_columns],
    }


def _raw_column(raw: RawColumn) -> dict[str, Any]:
    return {"column": raw.column, "probes": raw.probes, "probes_per_hour": raw.probes_per_hour, "rule": _rule(raw.rule)}


def _streamed(plan: Plan, catalog: Catalog | None) -> frozenset[str] | None:
    """Names of the columns masked in the stream; None when there are such, but no catalog to name them."""
    copied = frozenset(one.column for one in plan.copy_masks.columns) if plan.copy_masks else frozenset[str]()
    if catalog is None:
        return None if plan.column_masks else copied
    names = copied | {raw.column for raw in plan.raw_columns}
    for mask in plan.column_masks:
        relation = catalog.by_oid.get(mask.table_oid)
        if relation is not None:
            table = f"{relation.schema}.{relation.name}"
            names |= {f"{table}.{c.name}" for c in relation.columns if c.attnum == mask.attnum}
    return frozenset(names)


def _where(column: str, streamed: frozenset[str] | None) -> str:
    if streamed is None:
        return "stream or source"
    return "stream" if column in streamed else "source"


def _table_rules(name: str, policy: EffectivePolicy, catalog: Catalog | None) -> tuple[TableRule, ...]:
    """`name` is a plan's ``schema.table``. With a catalog, names with dots in them are told apart too, and the rules
    of names that the table bore before follow its own."""
    relations = catalog.relations if catalog else ()
    relation = next((r for r in relations if f"{r.schema}.{r.name}" == name), None)
    if catalog is not None and relation is not None:
        return relation_rules(policy, catalog, relation)
    schema, _, table = name.partition(".")
    return (resolve_table(policy, schema, table),)


def _table(rule: TableRule) -> dict[str, Any]:
    return {
        "table": f"{rule.schema}.{rule.table}",
        "is_allowed": rule.is_allowed,
        "denied_by": _rule(rule.denied_by),
        "filters": [{"expression": f.expression, "rule": _rule(f.rule)} for f in rule.filters],
        "blocked_columns": [
            {"column": name, "rule": _rule(blocked_by)} for name, blocked_by in sorted(rule.blocked_columns.items())
        ],
        "masks": [
            {"column": name, "mask": _mask(mask.mask), "rule": _rule(mask.rule)}
            for name, mask in sorted(rule.masks.items())
        ],
    }


def _mask(spec: MaskSpec) -> dict[str, Any]:
    hidden = {name: "(secret)" for name, _ in spec.parameters if name in _SECRET_PARAMETERS}
    return {"kind": spec.kind, **dict(spec.parameters), **hidden}


def _refusal(refusal: Refusal, sql: str) -> dict[str, Any]:
    line, column = _line_and_column(sql, refusal.position)
    return {
        "sqlstate": refusal.sqlstate,
        "rule": refusal.rule,
        "message": refusal.message,
        "detail": refusal.detail,
        "hint": refusal.hint,
        "position": refusal.position,
        "line": line,
        "column": column,
    }


def _line_and_column(sql: str, position: int) -> tuple[int, int]:
    """From 1; (0, 0) when the position is unknown."""
    if not 1 <= position <= len(sql) + 1:
        return 0, 0
    before = sql[: position - 1]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


# The text form


def _lines(data: Mapping[str, Any]) -> Iterator[str]:
    yield from _who(data)
    yield ""
    yield f"decision    {data['decision']}"
    for plan in data["plans"]:
        yield from _plan_lines(plan)
    if data["refusal"]:
        yield from _refusal_lines(data["refusal"], data["sql"])
    elif data["rewritten_sql"] is not None:
        yield "goes upstream"
        yield from ("  " + line for line in data["rewritten_sql"].splitlines())
    if data["shadow"]:
        yield from _shadow_lines(data["shadow"])
    yield from _lineage_lines(data)


def _shadow_lines(shadow: Mapping[str, Any]) -> Iterator[str]:
    names = ", ".join(f"{policy['name']} ({policy['source']})" for policy in shadow["policies"])
    yield f"shadow      {shadow['decision']}, were it enforced: {names}"
    if shadow["rule"]:
        yield f"  refused by {shadow['rule']}: {shadow['message']}"
    for key, what in (("masked_columns", "masked"), ("filtered_tables", "filtered")):
        if shadow[key]:
            yield f"  {what}: {', '.join(shadow[key])}"


def _who(data: Mapping[str, Any]) -> Iterator[str]:
    principal = data["principal"]
    parts = [f"{key} {principal[key]}" for key in ("tenant", "team") if principal[key]]
    parts += [f"roles {', '.join(principal['roles'])}"] if principal["roles"] else []
    yield f"user        {principal['user']}" + (f" ({'; '.join(parts)})" if parts else "")
    yield f"database    {data['database']}"
    matched = [f"{policy['name']} ({policy['source']})" for policy in data["policies"]]
    yield f"policies    {', '.join(matched) or 'none matches: nothing is allowed'}"
    for waiting in data["waiting"]:
        yield f"waiting     {waiting['name']} ({waiting['source']}): its `when` doesn't hold"
    yield f"statements  {_allowed(data['statements'])}"
    for denied in data["statements"]["deny"]:
        yield f"denied      {denied['kind']}{_by(denied['rule'])}"
    yield f"functions   {_allowed(data['functions'])}"
    for name, limit in data["limits"].items():
        yield f"limit       {name} {limit['value']}{_by(limit['rule'])}"
    if data["is_everything"]:
        yield "everything is allowed: bytes pass unchanged and are recorded"


def _allowed(part: Mapping[str, Any]) -> str:
    return (", ".join(part["allow"]) or "none") + _by(part["rule"])


def _by(rule: Mapping[str, str] | None) -> str:
    return f"  [{rule['id']} {rule['source']}]" if rule else ""


def _plan_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    yield f"statement   {plan['command']}"
    where = {entry["column"]: entry["where"] for entry in plan["masked_columns"]}
    for table in plan["tables"]:
        yield from _table_lines(table, where)
    for entry in plan["raw_columns"]:
        cap = "" if entry["probes_per_hour"] is None else f" of {entry['probes_per_hour']} an hour"
        yield f"  {entry['column']} is used raw, {entry['probes']} probes{cap}{_by(entry['rule'])}"


def _table_lines(table: Mapping[str, Any], where: Mapping[str, str]) -> Iterator[str]:
    name = table["table"]
    if not table["is_allowed"]:
        yield f"  {name}: not allowed{_by(table['denied_by'])}"
        return
    is_open = not (table["filters"] or table["blocked_columns"] or table["masks"])
    yield f"  {name}: {'as it is' if is_open else 'guarded'}"
    for entry in table["filters"]:
        yield f"    only rows where {entry['expression']}{_by(entry['rule'])}"
    for entry in table["blocked_columns"]:
        yield f"    without column {entry['column']}{_by(entry['rule'])}"
    for entry in table["masks"]:
        place = where.get(f"{name}.{entry['column']}")
        at = f" at the {place}" if place == "source" else f" in the {place}" if place else ""
        yield f"    {entry['column']} masked by {_mask_text(entry['mask'])}{at}{_by(entry['rule'])}"


def _mask_text(mask: Mapping[str, Any]) -> str:
    parameters = ", ".join(f"{name}: {value}" for name, value in mask.items() if name != "kind")
    return f"{mask['kind']} ({parameters})" if parameters else str(mask["kind"])


def _lineage_lines(data: Mapping[str, Any]) -> Iterator[str]:
    if data["lineage"]:
        yield "lineage (approximate, by sqlglot)"
        for output in data["lineage"]:
            yield f"  {output['column']} <- {', '.join(output['sources']) or 'no column'}"
    if data["lineage_problem"]:
        yield f"lineage     not known: {data['lineage_problem']}"


def _refusal_lines(refusal: Mapping[str, Any], sql: str) -> Iterator[str]:
    yield f"refused     {refusal['sqlstate']} by {refusal['rule']}"
    for key in ("message", "detail", "hint"):
        if refusal[key]:
            yield f"  {key + ':':9}{refusal[key]}"
    if refusal["line"]:
        yield from _caret(sql, refusal["line"], refusal["column"])


def _caret(sql: str, line: int, column: int) -> Iterator[str]:
    """The line as psql shows it: cut around the place when it is long, a caret below the place."""
    text = sql.split("\n")[line - 1].rstrip("\r")
    start = max(0, column - 1 - _CONTEXT_CHARACTERS // 2)
    shown = text[start : start + _CONTEXT_CHARACTERS]
    prefix = f"  LINE {line}: {'...' if start else ''}"
    ahead = shown[: column - 1 - start].expandtabs(_TAB_COLUMNS)
    yield prefix + shown.expandtabs(_TAB_COLUMNS) + ("..." if start + len(shown) < len(text) else "")
    yield " " * (len(prefix) + len(ahead)) + "^"
