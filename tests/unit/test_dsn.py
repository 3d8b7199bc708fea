"""Connection URLs: what libpq would read, and nothing that would be dropped silently."""

from __future__ import annotations

import pytest

from proxy.dsn import DsnError, Upstream, parse_dsn


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u@h/d", Upstream("h", 5432, "u", "d")),
        ("postgres://u:p%40%2Fx@h:6000/d%20b", Upstream("h", 6000, "u", "d b", "p@/x")),
        ("postgresql://u@[::1]:5433/d?sslmode=require", Upstream("::1", 5433, "u", "d", sslmode="require")),
        ("postgresql:///d?host=/run/pg&port=5433&user=u", Upstream("/run/pg", 5433, "u", "d")),
        ("postgresql://u@h/d?connect_timeout=3", Upstream("h", 5432, "u", "d", connect_timeout_s=3)),
    ],
)
def test_reads_what_libpq_reads(url: str, expected: Upstream) -> None:
    assert parse_dsn(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p%40@h:6000/d?sslmode=verify-full&sslrootcert=/a b/ca.crt",
        "postgresql:///d?host=/run/pg&port=5433&user=u",
        "postgresql://u%2F@[::1]:5433/d",
    ],
)
def test_its_own_url_means_the_same(url: str) -> None:
    once = parse_dsn(url.replace(" ", "%20"))
    assert parse_dsn(once.url()) == once


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("host=h dbname=d", "starts with postgresql://"),
        ("postgresql://h/d", "a user and a database"),
        ("postgresql://u@h", "a user and a database"),
        ("postgresql://u@h/d?sslmode=yes", "sslmode is one of"),
        ("postgresql://u@h/d?options=-csearch_path=x", "'options' is not known"),
        ("postgresql://u@h:99999/d", "not a URL"),
        ("postgresql://u@h:x/d", "not a URL"),
        ("postgresql://u@h/d?port=0", "port is a number"),
    ],
)
def test_refuses_what_it_would_have_to_drop(url: str, reason: str) -> None:
    with pytest.raises(DsnError, match=reason):
        parse_dsn(url)
