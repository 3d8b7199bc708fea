"""Connection URLs: what libpq would read, and nothing that would be dropped silently."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from proxy.dsn import DsnError, Upstream, check_for_store, parse_dsn


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u@h/d", Upstream("h", 5432, "u", "d")),
        ("postgres://u:p%40%2Fx@h:6000/d%20b", Upstream("h", 6000, "u", "d b", "p@/x")),
        ("postgresql://u@[::1]:5433/d?sslmode=require", Upstream("::1", 5433, "u", "d", sslmode="require")),
        ("postgresql:///d?host=/run/pg&port=5433&user=u", Upstream("/run/pg", 5433, "u", "d")),
        ("postgresql://u@h/d?connect_timeout=3", Upstream("h", 5432, "u", "d", connect_timeout_s=3)),
        ("postgresql://u@h/d?sslrootcert=system", Upstream("h", 5432, "u", "d", None, "verify-full", "system")),
        ("postgresql://u@%2Frun%2Fpg/d", Upstream("/run/pg", 5432, "u", "d")),
        ("postgresql://u@a:1,[::1]:2,c/d", Upstream("a", 1, "u", "d", others=(("::1", 2), ("c", 5432)))),
        ("postgresql://u@/d?host=a,b&port=7", Upstream("a", 7, "u", "d", others=(("b", 7),))),
        (
            "postgresql://u@h/d?sslmode=verify-full&channel_binding=require&sslnegotiation=direct&sslpassword=x",
            Upstream(
                "h",
                5432,
                "u",
                "d",
                sslmode="verify-full",
                channel_binding="require",
                sslnegotiation="direct",
                sslpassword="x",
            ),
        ),
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
        "postgresql://u@a:1,[::1]:2,c:3/d?target_session_attrs=primary",
        "postgresql://u@h:1/d?sslmode=require&sslnegotiation=direct&ssl_min_protocol_version=TLSv1.3&sslpassword=p%26q",
    ],
)
def test_its_own_url_means_the_same(url: str) -> None:
    once = parse_dsn(url.replace(" ", "%20"))
    assert parse_dsn(once.url()) == once


def test_each_host_of_a_list_is_a_candidate() -> None:
    upstream = parse_dsn("postgresql://u@a:1,b:2/d?sslmode=require")
    assert [(c.host, c.port, c.sslmode, c.others) for c in upstream.candidates] == [
        ("a", 1, "require", ()),
        ("b", 2, "require", ()),
    ]


def test_the_url_for_asyncpg_has_nothing_that_it_would_take_for_a_setting() -> None:
    dsn = "postgresql://u@h/d?sslmode=verify-full&channel_binding=require&max_protocol_version=3.0"
    assert parse_dsn(dsn).url() == "postgresql://u@h:5432/d?sslmode=verify-full"
    with pytest.raises(DsnError, match="can't have channel_binding, max_protocol_version"):
        check_for_store(dsn)
    check_for_store("postgresql://u@a,b/d?target_session_attrs=read-write")


@pytest.mark.parametrize(("wanted", "read_from"), [("read-write", "primary"), ("standby", ""), ("read-only", "")])
def test_the_catalog_is_read_where_its_reader_is_let_in(wanted: str, read_from: str) -> None:
    url = parse_dsn(f"postgresql://u@a,b/d?target_session_attrs={wanted}").url()
    assert parse_qs(urlsplit(url).query).get("target_session_attrs", [""]) == [read_from]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("host=h dbname=d", "starts with postgresql://"),
        ("postgresql://h/d", "a user and a database"),
        ("postgresql://u@h", "a user and a database"),
        ("postgresql://u@h/d?sslmode=yes", "sslmode is one of"),
        ("postgresql://u@h/d?options=-csearch_path=x", "'options' is not known"),
        ("postgresql://u@h:99999/d", "port is a number"),
        ("postgresql://u@[::1/d", "not a URL"),
        ("postgresql://u@a:1,b:x/d", "not a URL"),
        ("postgresql://u@/d?host=a,b,c&port=1,2", "2 ports for 3 hosts"),
        ("postgresql://u@/d?host=/run/a,b", "unix sockets can't be in a list"),
        ("postgresql://u@h/d?channel_binding=require", "needs sslmode=verify-ca or verify-full"),
        ("postgresql://u@h/d?sslrootcert=system&sslmode=verify-ca", "needs sslmode=verify-full"),
        ("postgresql://u@h/d?channel_binding=always", "channel_binding is one of"),
        ("postgresql://u@h/d?sslnegotiation=direct", "needs sslmode=require or stricter"),
        ("postgresql://u@h/d?ssl_min_protocol_version=SSLv3", "ssl_min_protocol_version is one of TLSv1.2, TLSv1.3"),
        ("postgresql://u@h/d?target_session_attrs=best", "target_session_attrs is one of"),
        ("postgresql://u@h/d?max_protocol_version=2.0", "max_protocol_version is one of"),
        ("postgresql://u@h:x/d", "not a URL"),
        ("postgresql://u@h/d?port=0", "port is a number"),
    ],
)
def test_refuses_what_it_would_have_to_drop(url: str, reason: str) -> None:
    with pytest.raises(DsnError, match=reason):
        parse_dsn(url)
