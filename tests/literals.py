"""Literals of a text as its skeleton finds them, and others of their class in their places."""

from __future__ import annotations

from collections.abc import Container
from random import Random

from policies.compile.skeleton import BLOCK_COMMENT, INT4, INT8, LINE_COMMENT, NUMERIC, STRING, skeleton

# Values that some rule, type or function may take for something special, beside plain ones.
VALUES = {
    INT4: ("0", "1", "2", "3", "5", "7", "10", "100", "501", "1000", "16384", "100001", "2147483647"),
    INT8: ("2147483648", "4294967295", "9223372036854775807", "3000000000"),
    NUMERIC: ("0.0", "1.5", "100.5", "0.1", "9223372036854775808", "1.000000000000000000001"),
    STRING: (
        "''", "'x'", "'%'", "'a%'", "'_'", "'1'", "'{1,2}'", "'a,b,c'", "'ä€😀'", "'now'", "'day'", "'century'", "'xx'",
        "'search_path'", "'work_mem'", "'is_superuser'", "'salaries'", "'shop.salaries'", "'customers'", "'orders'",
        "'pg_class'", "'16384'", "'101'", "'104'", "'YYYY-MM-DD'", "'2024-01-31'", "'7 days'", "'100000 years'",
        "'SELECT 1'", "'--'", "'/*'", "'\"'", "'UTC'", "'$.a'", "'en_US'", "'id'", "'email'", "'oid'", "'true'",
    ),
    LINE_COMMENT: ("--", "-- x", "--'", "-- ; SELECT 1 /*", "--{\"app\":\"dbt\"}", "--é€😀 'a' --b"),
    BLOCK_COMMENT: (
        "/**/", "/* x */", "/*'*/", "/*--*/", "/*\n*/", "/* é€😀 */", "/***/", "/* * / */", "/* ; 1 */", "/*$$*/",
        "/*application='shop',traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/",
    ),
}  # fmt: skip


def with_literals(raw: bytes, random: Random, share: float = 1.0, only: Container[int] | None = None) -> bytes:
    """The text with that share of its literals, or of those of these numbers, exchanged for others of their class."""
    found = skeleton(raw)
    if found is None:
        return raw
    parts: list[bytes] = []
    done = 0
    for number, (start, end) in enumerate(zip(found.offsets[::2], found.offsets[1::2], strict=True)):
        literal = raw[start:end]
        if (only is None or number in only) and random.random() < share:
            own = skeleton(literal)
            assert own is not None
            literal = random.choice(VALUES[own.key]).encode()
        parts += (raw[done:start], literal)
        done = end
    return b"".join((*parts, raw[done:]))
