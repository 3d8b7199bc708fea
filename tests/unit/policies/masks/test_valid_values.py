"""What a stream mask gives is a value of the column's type: a server reads it, the same from text and from binary.

MASK_EXAMPLES=500 in the environment looks at more values than the three draws that every run makes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.pq import ExecStatus, Format

from policies.masks import StreamMask, stream_form
from policies.masks.spec import KEYED
from policies.model import MaskSpec
from tests.fix_servers import TestServer
from tests.unit.policies.test_masks_agree import CASES, TYPES, described, fetch, fits, masked_query, spec

KEY = "a key of sixteen characters"
EXAMPLES = int(os.environ.get("MASK_EXAMPLES", "3"))
KEYED_SPECS = [
    spec("token", key=KEY),
    spec("token", key=KEY, prefix="t:"),
    spec("fpe", key=KEY),
    spec("fpe", key=KEY, alphabet="alphanumeric", tweak="shop"),
    spec("noise", key=KEY, amount=1000),
    spec("noise", key=KEY, ratio=0.5),
    spec("fake", key=KEY, of="email"),
    spec("fake", key=KEY, of="city"),
]
KEYED_CASES = [(name, mask) for name in TYPES for mask in KEYED_SPECS if fits(mask, name)]
# Constants are tried out where they are made.
OTHER_CASES = [(name, mask) for name, mask in CASES if mask.kind in ("partial", "email", "hash", "truncate")]


@pytest.fixture(scope="module")
def connection(server: TestServer) -> Iterator[psycopg.Connection]:
    options = "-c timezone=UTC -c client_encoding=UTF8"
    with psycopg.connect(server.dsn(), autocommit=True, options=options) as found:
        yield found


@pytest.mark.parametrize("case", KEYED_CASES + OTHER_CASES, ids=described)
@settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_both_formats_are_read_as_one_value(
    case: tuple[str, MaskSpec], connection: psycopg.Connection, data: st.DataObject
) -> None:
    name, mask = case
    oid, strategy = TYPES[name]
    stream = stream_form(mask, oid, name)
    if stream is None:
        assert mask.kind == "truncate"  # dates and floats: at the source only
        return
    drawn = data.draw(st.lists(strategy, min_size=1, max_size=6))
    values, query = json.dumps(drawn), masked_query(name, "c")
    masked = [
        [stream.mask(raw, result) for raw, _ in fetch(connection, query, values, result) if raw is not None]
        for result in (Format.TEXT, Format.BINARY)
    ]
    for text, binary in zip(*masked, strict=True):
        assert (text is None) == (binary is None)
        if text is not None and binary is not None:
            assert is_one_value(connection, name, text, binary)


def is_one_value(connection: psycopg.Connection, name: str, text: bytes, binary: bytes) -> bool:
    """The server's word on it, over the forms that it sends for both: NaN equals itself, 1.0 isn't 1.00."""
    plain = name.partition("(")[0] + ("[]" if name.endswith("[]") else "")
    sql = f"SELECT CAST($1 AS {plain})::text = CAST($2 AS {plain})::text, CAST($1 AS {name})::text = $3"
    answer = connection.pgconn.exec_params(
        sql.encode(), [text, binary, text], param_formats=[Format.TEXT, Format.BINARY, Format.TEXT]
    )
    assert answer.status == ExecStatus.TUPLES_OK, answer.error_message.decode()
    return answer.get_value(0, 0) == b"t" and (
        name.startswith(("character(", "bpchar")) or answer.get_value(0, 1) == b"t"
    )


@pytest.mark.parametrize("case", KEYED_CASES, ids=described)
def test_a_keyed_mask_says_nothing_of_a_value_but_that_it_is_equal(case: tuple[str, MaskSpec]) -> None:
    """Text in, text out: another key gives another value."""
    name, mask = case
    assert mask.kind in KEYED
    samples = {"uuid": b"0" * 8 + b"-0000-0000-0000-" + b"0" * 12, "bytea": b"\\x00ff"}
    value = samples.get(name, b"{1234567890}" if name.endswith("[]") else b"12345678")
    value = {"smallint": b"1234", "numeric(3,-2)": b"12300", "numeric(6,2)": b"1234.56"}.get(name, value)
    other = MaskSpec(mask.kind, tuple(sorted({**dict(mask.parameters), "key": KEY[::-1]}.items())))
    first, again, changed = (_masked(one, TYPES[name][0], name, value) for one in (mask, mask, other))
    assert first == again
    assert first is not None
    assert first != changed


def _masked(mask: MaskSpec, oid: int, name: str, value: bytes) -> bytes | None:
    stream: StreamMask | None = stream_form(mask, oid, name)
    assert stream is not None
    return stream.mask(value, 0)
