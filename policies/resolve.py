"""Several policies to one effective policy for a principal on a database; then what it says of a table. Pure.

The most restrictive of each part wins: allow lists intersect, blocks unite, filters are ANDed, limits take the
minimum, the stronger mask wins, a kind of statement that anybody denies is denied. A part that a policy leaves out is
no opinion; a part that no policy has allows nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from policies.circumstances import holds
from policies.errors import MissingAttributeError
from policies.expressions import expression_attributes
from policies.fingerprint import fingerprint_of
from policies.least_limits import is_limited, least
from policies.mask_rules import merge_masks
from policies.model import (
    Circumstances,
    EffectivePolicy,
    MaskRule,
    Mode,
    Policy,
    PolicySet,
    Principal,
    RuleId,
    Statement,
    TablePattern,
    TableRule,
)
from policies.subjects import is_for

ALL_STATEMENTS = frozenset(Statement) - {Statement.REPLICATION}
ALL_FUNCTIONS = "*"


def resolve(
    policies: PolicySet, user: str, database: str, circumstances: Circumstances | None = None
) -> EffectivePolicy | None:
    """The effective policy, or None for an unknown user. Without circumstances no `when` holds.

    Raises MissingAttributeError when a filter or mask that applies needs an attribute which the principal lacks.
    """
    principal = policies.principals.get(user)
    if principal is None:
        return None
    concerned = [policy for policy in policies.policies if is_for(policy, principal, database)]
    holding = {policy.name for policy in concerned if _holds(policy, circumstances)}
    enforced = [policy for policy in concerned if policy.mode is Mode.ENFORCE]
    shadow = None
    if any(policy.mode is Mode.SHADOW and policy.name in holding for policy in concerned):
        shadow = _united(principal, database, concerned, holding, None)
    return _united(principal, database, enforced, holding, shadow)


def timed_policies(policies: PolicySet, user: str, database: str) -> tuple[Policy, ...]:
    """Those for this principal on this database that have a `when`: the same of them hold, the same policy results."""
    principal = policies.principals.get(user)
    if principal is None:
        return ()
    return tuple(p for p in policies.policies if p.when is not None and is_for(p, principal, database))


def holding_names(timed: Iterable[Policy], circumstances: Circumstances) -> frozenset[str]:
    return frozenset(policy.name for policy in timed if _holds(policy, circumstances))


def _holds(policy: Policy, circumstances: Circumstances | None) -> bool:
    return policy.when is None or (circumstances is not None and holds(policy.when, circumstances))


def _united(
    principal: Principal,
    database: str,
    concerned: Sequence[Policy],
    holding: Set[str],
    shadow: EffectivePolicy | None,
) -> EffectivePolicy:
    matching = tuple(policy for policy in concerned if policy.name in holding)
    waiting = tuple(policy for policy in concerned if policy.name not in holding)
    _check_attributes(matching, principal)
    statements, statements_rule = _statements(matching)
    functions, functions_rule = _functions(matching)
    return EffectivePolicy(
        principal=principal,
        database=database,
        policies=matching,
        statements=statements,
        statements_rule=statements_rule,
        functions_allow=functions,
        functions_rule=functions_rule,
        limits=least([policy.limits for policy in matching]),
        fingerprint=_fingerprint(principal, database, matching, waiting, shadow),
        is_everything=_is_everything(matching, statements, functions),
        shadow=shadow,
        waiting=waiting,
    )


def resolve_table(policy: EffectivePolicy, schema: str, table: str) -> TableRule:
    """What the effective policy says about one relation; nothing else of it when the relation is denied."""
    is_allowed, denied_by = _table_access(policy.policies, schema, table)
    if not is_allowed:
        return TableRule(schema, table, is_allowed=False, denied_by=denied_by)
    return restrictions_of(policy, schema, table)


def restrictions_of(policy: EffectivePolicy, schema: str, table: str) -> TableRule:
    """As `resolve_table`, but a name that no allow list has isn't denied for that."""
    blocked_by = _blocked_by(policy.policies, schema, table)
    if blocked_by is not None:
        return TableRule(schema, table, is_allowed=False, denied_by=blocked_by)
    return TableRule(
        schema,
        table,
        is_allowed=True,
        denied_by=None,
        blocked_columns=_blocked_columns(policy.policies, schema, table),
        filters=tuple(rule for p in policy.policies for rule in p.rows if (rule.schema, rule.table) == (schema, table)),
        masks=_masks(policy.policies, schema, table),
    )


def statement_denied_by(policy: EffectivePolicy, kind: Statement) -> RuleId | None:
    """The first rule that leaves `kind` out; None when it is allowed or no policy names any statement."""
    for part in policy.policies:
        for denied, rule in part.statements_deny:
            if denied in (kind, Statement.ALL):
                return rule
    for part in policy.policies:
        if part.statements is not None and not is_statement_in(part, kind):
            return part.statements_rule
    return None


def is_statement_in(policy: Policy, kind: Statement) -> bool:
    """Whether this one policy lists `kind`, or `all` where that includes it."""
    return kind in _expanded(policy.statements or frozenset())


def is_function_allowed(policy: EffectivePolicy, schema: str, name: str) -> bool:
    """Whether the policies allow a user function of this schema; built-in ones are the compiler's business."""
    return any(_covers(pattern, f"{schema}.{name}") for pattern in policy.functions_allow)


def function_denied_by(policy: EffectivePolicy, schema: str, name: str) -> RuleId | None:
    """The first rule that leaves the function out; None when it is allowed or no policy names any function."""
    for part in policy.policies:
        if part.functions_allow is not None and not is_function_in(part, schema, name):
            return part.functions_allow_rule
    return None


def is_function_in(policy: Policy, schema: str, name: str) -> bool:
    """Whether this one policy allows the function."""
    return any(_covers(pattern, f"{schema}.{name}") for pattern in policy.functions_allow or ())


def _expanded(statements: frozenset[Statement]) -> frozenset[Statement]:
    return ALL_STATEMENTS | statements if Statement.ALL in statements else statements


def _statements(policies: Sequence[Policy]) -> tuple[frozenset[Statement], RuleId | None]:
    """The intersection, and the rule that narrowed it last; nothing when no policy has an opinion."""
    allowed: frozenset[Statement] | None = None
    rule: RuleId | None = None
    for policy in policies:
        if policy.statements is None:
            continue
        own = _expanded(policy.statements)
        narrowed = own if allowed is None else own & allowed
        if narrowed != allowed:
            allowed, rule = narrowed, policy.statements_rule
    denied = {kind: by for policy in policies for kind, by in policy.statements_deny}
    if allowed is None or not denied:
        return allowed or frozenset(), rule
    # Whoever asks for `all` instead of a kind must not find it any more.
    left = frozenset() if Statement.ALL in denied else allowed - denied.keys() - {Statement.ALL}
    return left, rule


def _functions(policies: Sequence[Policy]) -> tuple[tuple[str, ...], RuleId | None]:
    allowed: tuple[str, ...] | None = None
    rule: RuleId | None = None
    for policy in policies:
        if policy.functions_allow is None:
            continue
        own = policy.functions_allow
        narrowed = own if allowed is None else _function_intersection(allowed, own)
        if narrowed != allowed:
            allowed, rule = narrowed, policy.functions_allow_rule
    return allowed or (), rule


def _function_intersection(left: Iterable[str], right: Sequence[str]) -> tuple[str, ...]:
    """Patterns that both sides cover: of each pair the narrower one."""
    both = [b if _covers(a, b) else a for a in left for b in right if _covers(a, b) or _covers(b, a)]
    return tuple(dict.fromkeys(both))


def _covers(pattern: str, other: str) -> bool:
    """Whether `pattern` allows all that `other`, a name or a pattern, allows. A schema contains no dot."""
    if pattern in (ALL_FUNCTIONS, other):
        return True
    schema, _, name = pattern.partition(".")
    return name == "*" and other.partition(".")[0] == schema


def _table_access(policies: Sequence[Policy], schema: str, table: str) -> tuple[bool, RuleId | None]:
    """Allowed or not, and by which rule not. A block is named before an allow list that leaves the table out."""
    blocked_by = _blocked_by(policies, schema, table)
    if blocked_by is not None:
        return False, blocked_by
    opinions = [policy for policy in policies if policy.tables_allow is not None]
    for policy in opinions:
        if not any(pattern.matches(schema, table) for pattern in policy.tables_allow or ()):
            return False, policy.tables_allow_rule
    return bool(opinions), None


def _blocked_by(policies: Sequence[Policy], schema: str, table: str) -> RuleId | None:
    blocks = ((pattern, rule) for policy in policies for pattern, rule in policy.tables_block)
    return next((rule for pattern, rule in blocks if pattern.matches(schema, table)), None)


def _blocked_columns(policies: Sequence[Policy], schema: str, table: str) -> dict[str, RuleId]:
    blocked: dict[str, RuleId] = {}
    for policy in policies:
        for column, rule in policy.columns_block:
            if (column.schema, column.table) == (schema, table):
                blocked.setdefault(column.column, rule)
    return blocked


def _masks(policies: Sequence[Policy], schema: str, table: str) -> dict[str, MaskRule]:
    masks: dict[str, MaskRule] = {}
    for policy in policies:
        for rule in policy.masks:
            column = rule.column
            if (column.schema, column.table) == (schema, table):
                masks[column.column] = merge_masks(masks.get(column.column), rule)
    return masks


def _check_attributes(policies: Sequence[Policy], principal: Principal) -> None:
    for expression, rule in _expressions(policies):
        for attribute in sorted(expression_attributes(expression)):
            if attribute not in principal.attributes:
                raise MissingAttributeError(principal.user, attribute, rule)


def _expressions(policies: Sequence[Policy]) -> Iterable[tuple[str, RuleId]]:
    for policy in policies:
        for row_filter in policy.rows:
            yield row_filter.expression, row_filter.rule
        for mask in policy.masks:
            expression = mask.mask.get("expression")
            if isinstance(expression, str):
                yield expression, mask.rule


def _fingerprint(
    principal: Principal,
    database: str,
    matching: Sequence[Policy],
    waiting: Sequence[Policy],
    shadow: EffectivePolicy | None,
) -> str:
    """Covers all that a plan, a refusal or a shadow's verdict is made from, so also the places that refusals quote.

    The SCRAM verifier is left out: a changed password doesn't change a decision.
    """
    identity = (principal.user, principal.tenant, principal.team, tuple(sorted(principal.roles)))
    beside = (tuple(waiting), shadow.fingerprint if shadow else None)
    return fingerprint_of(identity, principal.attributes, database, tuple(matching), beside, with_places=True)


def _is_everything(policies: Sequence[Policy], statements: frozenset[Statement], functions: tuple[str, ...]) -> bool:
    """Nothing at all may be narrowed: then, and only then, bytes pass unread."""
    return (
        statements >= ALL_STATEMENTS
        and ALL_FUNCTIONS in functions
        and _is_every_table(policies)
        and not any(_narrows(policy) for policy in policies)
    )


def _is_every_table(policies: Sequence[Policy]) -> bool:
    everything = TablePattern("*", "*")
    opinions = [policy.tables_allow for policy in policies if policy.tables_allow is not None]
    return bool(opinions) and all(everything in patterns for patterns in opinions)


def _narrows(policy: Policy) -> bool:
    """What a policy takes away besides what it doesn't allow."""
    takes = (policy.tables_block, policy.columns_block, policy.rows, policy.masks, policy.statements_deny)
    return is_limited(policy.limits) or any(takes)
