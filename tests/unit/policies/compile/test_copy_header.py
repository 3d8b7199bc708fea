"""Only the options of a COPY ask for names before its rows."""

from __future__ import annotations

import pytest

from policies.compile.copy_header import asks_for_header


@pytest.mark.parametrize(
    "options", ["(FORMAT csv, HEADER)", "(HEADER true)", "(header on)", "(HEADER 1)", "CSV HEADER", "(HEADER 'true')"]
)
def test_options_that_ask_for_names(options: str) -> None:
    assert asks_for_header(f"COPY (SELECT 1) TO STDOUT {options}")


@pytest.mark.parametrize(
    "text",
    [
        "COPY (SELECT 1 AS header) TO STDOUT",
        "COPY (SELECT 1) TO STDOUT /* header */",
        "COPY (SELECT 1) TO STDOUT (NULL 'header')",
        "COPY (SELECT 1) TO STDOUT (FORMAT csv, HEADER false)",
        "COPY (SELECT 1) TO STDOUT (HEADER 0)",
        "COPY (SELECT 1) TO STDOUT (HEADER 'off')",
        "COPY shop.header (header) TO STDOUT",
        "no SQL: header",
        "",
    ],
)
def test_what_only_looks_like_it(text: str) -> None:
    assert not asks_for_header(text)
