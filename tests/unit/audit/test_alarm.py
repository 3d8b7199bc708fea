import json
from typing import Any

import pytest
from audit_samples import intent, outcome
from msgspec import structs

from audit.alarm import MARKS, Choice, Level, alarm_of, encoded, is_wanted, level_of
from audit.record import Record, Stage, Verdict, body_of


def event(name: str, decision: Verdict | None = None, **fields: Any) -> Record:
    return Record(stage=Stage.EVENT, shape=name, decision=decision, **fields)


@pytest.mark.parametrize(
    ("record", "level"),
    [
        (intent("s", decision=Verdict.DENY), Level.DENIAL),
        (outcome("s", decision=Verdict.DENY), Level.DENIAL),
        (intent("s"), None),
        (outcome("s"), None),
        (event("login", Verdict.DENY), Level.ALARM),
        (event("login", Verdict.ALLOW), Level.NOTE),
        (event("policy_load", Verdict.DENY), Level.ALARM),
        (event("journal_recovery"), Level.ALARM),
        (event("budget_warning"), Level.ALARM),
        (event("budget_exceeded"), Level.ALARM),
        (event("budgets_back"), Level.NOTE),
        (event("start"), Level.NOTE),
        (event("something_new"), Level.ALARM),
        (event("something_new", Verdict.HOLD), Level.ALARM),
    ],
)
def test_who_is_told_of_what(record: Record, level: Level | None) -> None:
    assert level_of(record) is level
    if level is not None:
        assert any(mark in body_of(record) for mark in MARKS), "else it isn't even decoded"
        assert is_wanted(level, tuple(Choice))
        assert is_wanted(level, (Choice.DENIALS,)) == (level is Level.DENIAL)
        assert is_wanted(level, (Choice.ALARMS,)) == (level is Level.ALARM)
        assert is_wanted(level, (Choice.EVENTS,)) == (level is not Level.DENIAL)


def test_a_statements_text_goes_only_where_it_is_wanted() -> None:
    record = intent("s", decision=Verdict.DENY, sql_text="select secret", id="1", parameters=("bound",))
    assert b"secret" not in encoded(alarm_of(record, Level.DENIAL, has_sql_text=False), 10_000)
    assert json.loads(encoded(alarm_of(record, Level.DENIAL, has_sql_text=True), 10_000))["sql_text"] == "select secret"
    assert b"bound" not in encoded(alarm_of(record, Level.DENIAL, has_sql_text=True), 10_000)
    told = alarm_of(event("login", Verdict.DENY, sql_text="password is wrong"), Level.ALARM, has_sql_text=False)
    assert told.text == "password is wrong"


def test_nothing_in_an_alarm_drives_a_terminal_or_makes_a_second_line() -> None:
    record = intent("s", decision=Verdict.DENY, user="\x1b[2J\x9b1m\x7f\n<0>1 -", application="\u202e\u2028ä")
    data = encoded(alarm_of(record, Level.DENIAL, has_sql_text=True), 10_000)
    assert all(0x20 <= byte < 0x7F for byte in data)
    assert json.loads(data)["user"] == record.user


@pytest.mark.parametrize("longest", [400, 700, 1_500, 60_000])
def test_an_alarm_is_cut_to_what_fits_and_says_so(longest: int) -> None:
    record = intent(
        "s", decision=Verdict.DENY, id="1" * 32, sql_text="ä" * 5_000, tables=("shop.t" * 50,) * 20, user="u" * 300
    )
    alarm = alarm_of(record, Level.DENIAL, has_sql_text=True)
    data = encoded(alarm, longest)
    assert len(data) <= longest
    read = json.loads(data)
    assert read["is_cut"]
    assert (read["id"], read["level"]) == ("1" * 32, "denial")
    short = structs.replace(alarm, sql_text="", tables=(), user="", is_cut=False)
    assert "is_cut" not in json.loads(encoded(short, longest))
