import csv
import io
import json
from decimal import Decimal

import jsonschema
import pytest
from audit_samples import intent, outcome
from msgspec import structs

from audit.export_lines import Form, exported, header_of, line_of
from audit.query import as_json_lines
from audit.record import FIELD_NAMES, NO_HASH, Record, ShadowDecision, Stage, body_of, completed, hash_of, record_of
from audit.record_schema import record_schema
from audit.store_rows import ChainedRecord

AT = 1_750_000_000_000_001


def chained(record: Record, number: int = 1) -> ChainedRecord:
    body = body_of(completed(record, f"{number:032x}", AT))
    return ChainedRecord("key/1", number, record_of(body, NO_HASH, hash_of(NO_HASH, body)))


FULL = intent(
    "s1",
    cost=Decimal("123456.000000001"),
    shadow_decision=ShadowDecision.FAILED,
    parameters=("a", None),
    queued_us=3,
    rows=0,
    plan_units=7,
)


def test_a_line_has_the_place_and_every_field_in_order() -> None:
    fields = json.loads(line_of(Form.JSONL, chained(FULL, 7)), parse_float=Decimal)
    assert tuple(fields) == ("schema", "chain", "sequence", *FIELD_NAMES)
    assert (fields["chain"], fields["sequence"]) == ("key/1", 7)
    assert fields["at"] == "2025-06-15T15:06:40.000001Z"
    assert fields["cost"] == Decimal("123456.000000001")
    assert fields["parameters"] == ["a", None]


def test_a_line_holds_all_that_was_hashed() -> None:
    """Who has the file alone can compute the hash again."""
    one = chained(FULL)
    fields = json.loads(line_of(Form.JSONL, one), parse_float=Decimal)
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    values = {name: values[name] for name in FIELD_NAMES} | {"at": AT, "stage": Stage(values["stage"])}
    values["shadow_decision"] = ShadowDecision(values["shadow_decision"])
    values["cost"] = values["cost"].quantize(Decimal("0.000000001"))
    again = Record(**values)
    assert hash_of(NO_HASH, body_of(again)).hex() == one.record.hash


@pytest.mark.parametrize(
    "record", [FULL, outcome("s1"), Record(stage=Stage.EVENT, shape="login"), intent("s2", decision=None)]
)
def test_lines_are_as_the_published_schema_says(record: Record) -> None:
    schema = record_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(json.loads(line_of(Form.JSONL, chained(record))))
    validator.validate(json.loads(as_json_lines([chained(record).record])))


def test_the_schema_knows_every_field_and_no_other_stage() -> None:
    schema = record_schema()
    assert list(schema["properties"])[3:] == list(FIELD_NAMES) == schema["required"]
    line = exported(chained(FULL)) | {"parameters": [], "cost": 1.0, "stage": "somewhen"}
    line = {name: list(value) if isinstance(value, tuple) else value for name, value in line.items()}
    with pytest.raises(jsonschema.ValidationError, match="somewhen"):
        jsonschema.validate(line, schema)


def test_csv_comes_back_and_runs_no_formula() -> None:
    hostile = '=HYPERLINK("http://x","y")'
    one = chained(structs.replace(FULL, application=hostile, sql_text='-- a\n, "b"', user="@sum", rule_ids=()))
    header, row = csv.reader(io.StringIO((header_of(Form.CSV) + line_of(Form.CSV, one)).decode()))
    cells = dict(zip(header, row, strict=True))
    assert cells["application"] == "'" + hostile
    assert cells["sql_text"] == '\'-- a\n, "b"'
    assert cells["user"] == "'@sum"
    assert cells["rule_ids"] == ""
    assert json.loads(cells["parameters"]) == ["a", None]
    assert cells["cost"] == "123456.000000001"
    assert header_of(Form.JSONL) == b""
