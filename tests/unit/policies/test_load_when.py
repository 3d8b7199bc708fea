"""`when`, `mode`, `statements` as a mapping and `limits`: what is read, and every fault with its place."""

from __future__ import annotations

import pytest

from policies.errors import PolicyFileError
from policies.load import load_texts
from policies.model import AtCap, Limits, Mode, Policy, Statement, When

FRAME = (
    "principals: [{user: ada}]\nprices: {per_million_plan_units: 1}\n"
    "policies:\n  - name: p\n    subjects: {any: true}\n"
)


def read(part: str) -> Policy:
    return load_texts({"a.yaml": f"{FRAME}    {part}\n".encode()}, {}).policies[0]


def problems(part: str) -> list[str]:
    with pytest.raises(PolicyFileError) as caught:
        read(part)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{cidr: 10.0.0.0/8}", When(cidr=("10.0.0.0/8",))),
        ("{cidr: [10.1.2.3, 'fd00::/8']}", When(cidr=("10.1.2.3/32", "fd00::/8"))),
        ("{cidr: ['::ffff:10.0.0.0/104']}", When(cidr=("10.0.0.0/8",))),
        ("{hours: 07:00-20:00}", When(hours=(420, 1200))),
        ("{hours: '22:00-06:30'}", When(hours=(1320, 390))),
        ("{hours: '00:00-24:00', days: [sun, mon]}", When(hours=(0, 1440), days=frozenset({0, 6}))),
        ("{days: [sat], timezone: Europe/London}", When(days=frozenset({5}), timezone="Europe/London")),
        ("{days: [sat], timezone: UTC}", When(days=frozenset({5}))),
    ],
)
def test_when(written: str, expected: When) -> None:
    assert read(f"when: {written}").when == expected


def test_mode() -> None:
    assert (read("mode: shadow").mode, read("mode: enforce").mode, read("").mode) == (
        Mode.SHADOW,
        Mode.ENFORCE,
        Mode.ENFORCE,
    )


def test_statements_that_are_denied_have_rules_with_places() -> None:
    policy = read("statements: {allow: [all], deny: [insert, ddl]}")
    assert policy.statements == {Statement.ALL}
    assert str(policy.statements_rule) == "p/statements"
    assert [(kind, f"{rule} {rule.source}") for kind, rule in policy.statements_deny] == [
        (Statement.INSERT, "p/statements.deny[0] a.yaml:6:39"),
        (Statement.DDL, "p/statements.deny[1] a.yaml:6:47"),
    ]
    only = read("statements: {deny: [copy_to]}")
    assert (only.statements, only.statements_rule) == (None, None)


def test_every_limit_has_its_rule() -> None:
    written = (
        "rows: 5, runtime: 30s, bytes: 2GiB, concurrent: 8, statements_per_minute: 600, cost: 2.50, at_cap: truncate"
    )
    limits = read(f"limits: {{{written}}}").limits
    assert (limits.rows, limits.runtime_s, limits.bytes, limits.concurrent) == (5, 30.0, 2 << 30, 8)
    assert (limits.statements_per_minute, limits.cost, limits.at_cap) == (600, 2.5, AtCap.TRUNCATE)
    rules = [getattr(limits, name) for name in Limits.__dataclass_fields__ if name.endswith("_rule")]
    assert [rule.name for rule in rules] == [
        "p/limits.rows",
        "p/limits.runtime",
        "p/limits.bytes",
        "p/limits.concurrent",
        "p/limits.statements_per_minute",
        "p/limits.cost",
    ]


@pytest.mark.parametrize(
    ("text", "count"),
    [("7B", 7), ("1kB", 1000), ("1MB", 10**6), ("1GB", 10**9), ("3 KiB", 3072), ("1MiB", 1 << 20), ("2TiB", 2 << 40)],
)
def test_sizes(text: str, count: int) -> None:
    assert read(f"limits: {{bytes: {text}}}").limits.bytes == count


FAULTS = [
    ("when: {}", "6:11", "needs one of cidr, hours and days"),
    ("when: {timezone: UTC}", "6:11", "needs one of cidr, hours and days"),
    ("when: always", "6:11", "'when' must be a mapping"),
    ("when: {hour: '07:00-20:00', days: [mon]}", "6:12", "unknown key 'hour' in 'when'; did you mean 'hours'?"),
    ("when: {cidr: 10.0.0.1/8}", "6:18", "did you mean '10.0.0.0/8'?"),
    ("when: {cidr: [10.0.0.0/8, 10.0.0.0/33]}", "6:31", "is no network"),
    ("when: {cidr: ['fe80::1%eth0']}", "6:19", "is no network"),
    ("when: {cidr: ['localhost']}", "6:19", "'localhost' is no network such as 10.0.0.0/8"),
    ("when: {cidr: []}", "6:18", "'when.cidr' is empty"),
    ("when: {cidr: 10}", "6:18", "must be text, not the number 10"),
    ("when: {days: []}", "6:18", "'when.days' is empty"),
    ("when: {days: [mon, mon]}", "6:24", "stands twice"),
    ("when: {days: [Monday]}", "6:19", "unknown day 'Monday'; did you mean 'mon'?"),
    ("when: {days: mon}", "6:18", "must be a list"),
    ("when: {hours: 7-20}", "6:19", "are no hours; write 07:00-20:00"),
    ("when: {hours: '07:00-20:60'}", "6:19", "are no hours"),
    ("when: {hours: '24:00-06:00'}", "6:19", "are no hours"),
    ("when: {hours: '07:00-24:01'}", "6:19", "ends after the day does"),
    ("when: {hours: '07:00-07:00'}", "6:19", "write 00:00-24:00 for the whole day"),
    ("when: {hours: ['07:00-20:00']}", "6:19", "must be text, not a list"),
    ("when: {days: [mon], timezone: Europe/Londn}", "6:35", "unknown time zone 'Europe/Londn'; did you mean"),
    ("when: {days: [mon], timezone: london}", "6:35", "did you mean 'Europe/London'?"),
    ("when: {days: [mon], timezone: localtime}", "6:35", "unknown time zone 'localtime'"),
    ("when: {days: [mon], timezone: ../../etc/passwd}", "6:35", "unknown time zone"),
    ("when: {days: [mon], timezone: America}", "6:35", "unknown time zone 'America'"),
    ("mode: shaddow", "6:11", "unknown mode 'shaddow'; did you mean 'shadow'? (known: enforce, shadow)"),
    ("mode: [shadow]", "6:11", "must be text, not a list"),
    ("statements: {}", "6:17", "'statements' needs 'allow' or 'deny'"),
    ("statements: {deny: [inserts]}", "6:25", "did you mean 'insert'?"),
    ("statements: {denied: [insert]}", "6:18", "unknown key 'denied' in 'statements'; did you mean 'deny'?"),
    ("limits: {bytes: 1gib}", "6:21", "with its unit (B, kB, MB"),
    ("limits: {bytes: 1024}", "6:21", "with its unit"),
    ("limits: {bytes: 0B}", "6:21", "above 0"),
    ("limits: {bytes: 99999999TiB}", "6:21", "must be a size"),
    ("limits: {concurrent: 0}", "6:26", "must be a whole number from 1 to 1000000"),
    ("limits: {statements_per_minute: 1.5}", "6:37", "must be a whole number"),
    ("limits: {cost: 0}", "6:20", "must be a number above 0"),
    ("limits: {cost: true}", "6:20", "not the truth value true"),
    ("limits: {cost: 1 USD}", "6:20", "not text"),
    ("limits: {rows: 1, at_cap: stop}", "6:31", "unknown 'limits.at_cap' 'stop'"),
    ("limits: {runtime: 1s, at_cap: error}", "6:35", "give one of them"),
]


@pytest.mark.parametrize(("part", "place", "words"), FAULTS, ids=[part for part, _, _ in FAULTS])
def test_faults(part: str, place: str, words: str) -> None:
    found = problems(part)
    assert any(problem.startswith(f"a.yaml:{place}: ") and words in problem for problem in found), found


def test_a_cost_without_a_price_would_never_be_reached() -> None:
    text = "principals: [{user: ada}]\npolicies:\n  - {name: p, subjects: {any: true}, limits: {cost: 1}}\n"
    with pytest.raises(PolicyFileError) as caught:
        load_texts({"a.yaml": text.encode()}, {})
    assert [str(p) for p in caught.value.problems] == [
        "a.yaml:3:53: 'limits.cost' needs 'prices.per_million_plan_units' above 0"
    ]
