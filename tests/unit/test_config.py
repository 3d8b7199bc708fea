"""The configuration: every key, every source in its order, every problem with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config import (
    Address,
    ClientCertificates,
    Config,
    ConfigError,
    Database,
    Pool,
    PoolMode,
    Sessions,
    SqlText,
    TlsMode,
    UnixAddress,
    load_config,
)

FULL = """\
listen: [0.0.0.0:6432, "[::]:6432", unix:/run/pgwarden, "unix:/run/other:6433"]
admin: {listen: "[::1]:9187"}
unix_socket_permissions: 0770
handshake_timeout: 5s
session: {idle_timeout: 1h, idle_in_transaction_timeout: 90s}
keepalive: {idle: 2m, interval: 5s, count: 3}
limits: {message: 128MiB}
tls: {mode: require, certificate: tls.crt, key: tls.key, client_ca: ca.crt, client_certificates: optional}
databases:
  shop: {upstream: "postgresql://gateway@db.internal:5432/shop?sslmode=verify-full", password_file: pg}
policies: rules/
audit: {directory: var/j, store: "postgresql://pgwarden@audit.internal/pgwarden", durability: strict, sql_text: digest}
workers: 1
"""

POOL = """databases:
  s: {{upstream: "postgresql://u@h/d", pool: {{
        {}}}}}
"""


def write(folder: Path, text: str) -> Path:
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (folder / name).touch()
    (folder / "pg").write_text("s3cret\n")
    file = folder / "pgwarden.yaml"
    file.write_text(text)
    return file


def load(folder: Path, text: str, environment: dict[str, str] | None = None, **more: object) -> Config:
    secrets = folder / "secrets"
    return load_config(write(folder, text), environment or {}, secrets=secrets, **more)  # type: ignore[arg-type]


def problems(folder: Path, text: str, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, environment)
    return [line.replace(f"{folder}/", "") for line in caught.value.problems]


def test_every_key_is_read(tmp_path: Path) -> None:
    config = load(tmp_path, FULL)
    assert config.listen == (
        Address("0.0.0.0", 6432),
        Address("::", 6432),
        UnixAddress(Path("/run/pgwarden"), 6432),
        UnixAddress(Path("/run/other"), 6433),
    )
    assert config.listen[2].path == Path("/run/pgwarden/.s.PGSQL.6432")
    assert (config.unix_socket_permissions, config.handshake_timeout) == (0o770, 5.0)
    assert config.session == Sessions(idle_timeout="1h", idle_in_transaction_timeout="90s")
    assert (config.session.idle_timeout, config.session.idle_in_transaction_timeout) == (3600.0, 90.0)
    assert (config.keepalive.idle, config.keepalive.interval, config.keepalive.count) == (120, 5, 3)
    assert config.limits.message == 128 << 20
    assert config.tls.client_certificates is ClientCertificates.OPTIONAL
    assert config.admin.listen == Address("::1", 9187)
    assert config.tls.mode is TlsMode.REQUIRE
    assert config.tls.client_ca == tmp_path / "ca.crt"
    assert config.policies == tmp_path / "rules"
    assert config.audit.directory == tmp_path / "var/j"
    assert config.audit.durability == "strict"
    assert config.audit.sql_text is SqlText.DIGEST
    assert config.databases is not None
    server = config.databases["shop"].server
    assert (server.host, server.port, server.user, server.database) == ("db.internal", 5432, "gateway", "shop")
    assert (server.sslmode, server.password) == ("verify-full", "s3cret")


def test_without_a_file_everything_has_a_default_on_loopback(tmp_path: Path) -> None:
    config = load_config(None, {}, secrets=tmp_path / "none", base=tmp_path)
    assert config.listen == (Address("127.0.0.1", 6432),)
    assert config.admin.listen == Address("127.0.0.1", 9187)
    assert config.databases is None
    assert (config.session.idle_timeout, config.session.idle_in_transaction_timeout) == (None, None)
    assert (config.handshake_timeout, config.limits.message) == (10.0, 64 << 20)
    assert config.tls.client_certificates is ClientCertificates.REQUIRED
    assert config.audit.store is None
    assert config.audit.directory == tmp_path / "var/journal"


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "# nothing yet\n").workers == 1


def test_the_nearer_source_wins(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "pgwarden_listen").write_text("127.0.0.1:2\n")
    text = "listen: 127.0.0.1:1\n"
    assert load(tmp_path, text).listen[0].port == 2
    environment = {"PGWARDEN_LISTEN": "127.0.0.1:3"}
    assert load(tmp_path, text, environment).listen[0].port == 3
    assert load(tmp_path, text, environment, overrides={"listen": "127.0.0.1:4"}).listen[0].port == 4


def test_the_environment_reaches_inner_keys_and_leaves_their_neighbours(tmp_path: Path) -> None:
    environment = {
        "PGWARDEN_AUDIT__SQL_TEXT": "full",
        "PGWARDEN_DATABASES__SHOP__UPSTREAM": "postgresql://other@elsewhere/shop2",
        "PGWARDEN_TOKEN_KEY": "a key that only a mask knows of",
    }
    config = load(tmp_path, FULL, environment)
    assert config.audit.sql_text is SqlText.FULL
    assert config.audit.durability == "strict"
    assert config.databases is not None
    assert config.databases["shop"].server.host == "elsewhere"
    assert config.databases["shop"].server.password == "s3cret"


def test_the_environment_says_what_the_file_says(tmp_path: Path) -> None:
    environment = {
        "PGWARDEN_LISTEN": "127.0.0.1:7, unix:/run/pgwarden",
        "PGWARDEN_SESSION__IDLE_TIMEOUT": "5m",
        "PGWARDEN_KEEPALIVE__COUNT": "9",
        "PGWARDEN_LIMITS__MESSAGE": "1GiB",
        "PGWARDEN_UNIX_SOCKET_PERMISSIONS": "0700",
        "PGWARDEN_HANDSHAKE_TIMEOUT": "500ms",
    }
    config = load(tmp_path, FULL, environment)
    assert config.listen == (Address("127.0.0.1", 7), UnixAddress(Path("/run/pgwarden"), 6432))
    assert (config.session.idle_timeout, config.session.idle_in_transaction_timeout) == (300.0, 90.0)
    assert (config.keepalive.idle, config.keepalive.count) == (120, 9)
    assert (config.limits.message, config.unix_socket_permissions, config.handshake_timeout) == (1 << 30, 0o700, 0.5)


def test_a_secret_file_reaches_inner_keys(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "pgwarden_audit__store").write_text("postgresql://w:pw@h/store\n")
    assert load(tmp_path, "").audit.store == "postgresql://w:pw@h/store"


def test_unknown_keys_are_refused_with_their_place(tmp_path: Path) -> None:
    text = "listn: 0.0.0.0:1\naudit:\n  durabilty: strict\ndatabases:\n  shop: {upstream: postgresql://a@b/c, pw: x}\n"
    found = problems(tmp_path, text)
    assert [line.split(": unknown key")[0] for line in found] == [
        "pgwarden.yaml:1:1: listn",
        "pgwarden.yaml:3:3: audit.durabilty",
        "pgwarden.yaml:5:40: databases.shop.pw",
    ]


def test_an_unknown_inner_key_in_the_environment_is_refused_by_its_name(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "", {"PGWARDEN_AUDIT__DURABILTY": "strict"})
    start = (
        "PGWARDEN_AUDIT__DURABILTY: audit.durabilty: unknown key; known here: directory, store, durability, sql_text"
    )
    assert problem.startswith(start)


def test_a_pool_has_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, POOL.format("mode: transaction"))
    assert config.databases is not None
    assert config.databases["s"].pool == Pool(mode="transaction", size=20, wait="30s", idle="10m", lifetime="1h")
    assert Database(upstream="postgresql://u@h/d").pool.mode is PoolMode.SESSION


@pytest.mark.parametrize(
    ("text", "place_and_start"),
    [
        (POOL.format("mode: statement"), "pgwarden.yaml:3:9: databases.s.pool.mode: Input should be 'session' or 'tr"),
        (POOL.format("size: 5"), "pgwarden.yaml:2:39: databases.s.pool: size: of no use without mode: transaction"),
        (POOL.format("mode: transaction, size: 0"), "pgwarden.yaml:3:28: databases.s.pool.size: Input should be gr"),
        (POOL.format("mode: transaction, wait: 30"), "pgwarden.yaml:3:28: databases.s.pool.wait: expected a time"),
        (POOL.format("mode: transaction, idle: 0s"), "pgwarden.yaml:3:28: databases.s.pool.idle: expected a time"),
        (POOL.format("mode: transaction, lifetime: x"), "pgwarden.yaml:3:28: databases.s.pool.lifetime: expected a"),
        (POOL.format("maximum: 5"), "pgwarden.yaml:3:9: databases.s.pool.maximum: unknown key; known here: mode, si"),
        ("listen: 6432\n", "pgwarden.yaml:1:1: listen: expected host:port"),
        ("listen: a:99999\n", "pgwarden.yaml:1:1: listen: expected host:port"),
        ("listen: []\n", "pgwarden.yaml:1:1: listen: name at least one place"),
        ("listen: [a:1, a:1]\n", "pgwarden.yaml:1:1: listen: a place stands twice"),
        ("listen: unix:run\n", "pgwarden.yaml:1:1: listen: expected unix:/folder"),
        ("listen: unix:/run:0\n", "pgwarden.yaml:1:1: listen: expected unix:/folder"),
        (f"listen: unix:/{'x' * 100}\n", "pgwarden.yaml:1:1: listen: expected unix:/folder"),
        ("unix_socket_permissions: 770\n", "pgwarden.yaml:1:1: unix_socket_permissions: expected octal permissions"),
        ("unix_socket_permissions: rwx\n", "pgwarden.yaml:1:1: unix_socket_permissions: expected octal permissions"),
        ("handshake_timeout: 10\n", "pgwarden.yaml:1:1: handshake_timeout: expected a time with its unit"),
        ("handshake_timeout: 0s\n", "pgwarden.yaml:1:1: handshake_timeout: expected a time with its unit"),
        ("session: {idle_timeout: 99d}\n", "pgwarden.yaml:1:11: session.idle_timeout: expected a time"),
        ("\nsession: {idle: 1s}\n", "pgwarden.yaml:2:11: session.idle: unknown key; known here: idle_timeout, idle_in"),
        ("keepalive: {idle: 1500ms}\n", "pgwarden.yaml:1:13: keepalive.idle: expected a time in whole seconds"),
        ("keepalive: {count: 0}\n", "pgwarden.yaml:1:13: keepalive.count: Input should be greater"),
        ("limits: {message: lots}\n", "pgwarden.yaml:1:10: limits.message: expected a size such as 64MiB"),
        ("limits: {message: 10KiB}\n", "pgwarden.yaml:1:10: limits.message: Input should be greater"),
        ("limits: {message: 2GiB}\n", "pgwarden.yaml:1:10: limits.message: Input should be less"),
        (
            "tls: {client_certificates: optional}\n",
            "pgwarden.yaml:1:1: tls: client_certificates: optional needs client_ca",
        ),
        ("tls: {client_certificates: some}\n", "pgwarden.yaml:1:7: tls.client_certificates: Input should be 'req"),
        ("keys: {refresh: 2}\n", "pgwarden.yaml:1:8: keys.refresh: expected a time with its unit"),
        ("keys: {refresh: 1m, max_age: 1m}\n", "pgwarden.yaml:1:1: keys: max_age must be at least twice refresh"),
        ("keys: {age: 1m}\n", "pgwarden.yaml:1:8: keys.age: unknown key; known here: refresh, max_age"),
        ("workers: 65\n", "pgwarden.yaml:1:1: workers: expected auto or a number from 1 to 64"),
        ("\nworkers: 0\n", "pgwarden.yaml:2:1: workers: expected auto or a number from 1 to 64"),
        ("workers: true\n", "pgwarden.yaml:1:1: workers: expected auto or a number from 1 to 64"),
        (
            "audit: {sql_text: none}\n",
            "pgwarden.yaml:1:9: audit.sql_text: Input should be 'full', 'redacted' or 'digest'",
        ),
        ("audit: {sql_text: digest, parameters: true}\n", "pgwarden.yaml:1:1: audit: parameters are literals too"),
        ("tls: {mode: require}\n", "pgwarden.yaml:1:1: tls: mode require needs certificate and key"),
        ("tls: {key: absent.key}\n", "pgwarden.yaml:1:7: tls.key: no such file"),
        ("databases: {}\n", "pgwarden.yaml:1:1: databases: name at least one database"),
        ("listen: a:1\nlisten: a:2\n", "pgwarden.yaml:2:1: listen: this key stands here twice"),
        ("- listen\n", "pgwarden.yaml:1:1: expected keys and values"),
        ("listen: [\n", "pgwarden.yaml:2:1: "),
        ("audit: {store: 'mysql://x/y'}\n", "pgwarden.yaml:1:9: audit.store: expected a URL that starts with postgres"),
    ],
)
def test_bad_values_are_refused_with_their_place(tmp_path: Path, text: str, place_and_start: str) -> None:
    found = problems(tmp_path, text)
    assert len(found) == 1
    assert found[0].startswith(place_and_start)


def test_a_bad_upstream_names_the_parameter_and_quotes_no_password(tmp_path: Path) -> None:
    text = "databases: {shop: {upstream: 'postgresql://u:hunter2@h/d?sslmod=require'}}\n"
    (found,) = problems(tmp_path, text)
    assert "'sslmod' is not known" in found
    assert "hunter2" not in found


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "absent.yaml", {})


def test_no_secret_shows_in_the_text_of_a_config(tmp_path: Path) -> None:
    text = "databases: {shop: {upstream: 'postgresql://u:hunter2@h/d'}}\naudit: {store: 'postgresql://u:hunter3@h/d'}\n"
    config = load(tmp_path, text)
    assert config.databases is not None
    shown = f"{config!r} {config} {config.databases['shop'].server!r} {config.databases['shop'].server.safe_text()}"
    assert "hunter" not in shown


LANES = """\
databases:
  shop:
    upstream: postgresql://gateway@db/shop
    pool: {mode: transaction}
    lanes:
      interactive: {concurrency: 50, queue: 7, wait: 2s}
      bulk:
        concurrency: 4
        users: [etl, "report_*"]
        applications: [dbt]
        copies: false
        plan_units: 1e5
        rows: 50000
        upstream: postgresql://gateway@replica/shop
        fall_back: false
"""


def test_lanes_are_read(tmp_path: Path) -> None:
    file = tmp_path / "pgwarden.yaml"
    file.write_text(LANES)
    config = load_config(file, {"PGWARDEN_DATABASES__shop__LANES__BULK__QUEUE": "9"})
    assert config.databases is not None
    lanes = config.databases["shop"].lanes
    assert lanes is not None
    assert (lanes.interactive.concurrency, lanes.interactive.queue, lanes.interactive.wait) == (50, 7, 2.0)
    bulk = lanes.bulk
    assert (bulk.concurrency, bulk.queue, bulk.wait) == (4, 9, 60.0)
    assert (bulk.users, bulk.applications, bulk.copies) == (("etl", "report_*"), ("dbt",), False)
    assert (bulk.plan_units, bulk.rows, bulk.fall_back) == (100_000.0, 50_000, False)
    assert bulk.read_server().host == "replica"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("      bulk: {size: 4}", ":5:14: databases.shop.lanes.bulk.size: unknown key; known here: concurrency"),
        ("      slow: {}", ":5:7: databases.shop.lanes.slow: unknown key; known here: interactive, bulk"),
        ("      bulk: {queue: 4}", "queue: of no use without concurrency, as nobody ever waits"),
        ("      bulk: {fall_back: true}", "fall_back: of no use without upstream"),
        ("      bulk: {concurrency: 0}", "greater than or equal to 1"),
        ("      bulk: {rows: many}", "valid integer"),
        ("      bulk: {upstream: 'mysql://x'}", "lanes.bulk.upstream"),
        ("      bulk: {upstream: 'postgresql://a@b/c'}", "needs pool: {mode: transaction}"),
    ],
)
def test_lanes_that_make_no_sense_are_errors_with_their_place(tmp_path: Path, line: str, problem: str) -> None:
    file = tmp_path / "pgwarden.yaml"
    file.write_text(f"databases:\n  shop:\n    upstream: postgresql://g@db/shop\n    lanes:\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file, {})
    assert problem in str(caught.value)
    assert f"{file}:" in str(caught.value)


def test_a_password_file_of_the_bulk_lane_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "pgwarden.yaml"
    file.write_text(LANES.replace("fall_back: false", "password_file: secret"))
    with pytest.raises(ConfigError, match=r"lanes\.bulk\.password_file: no such file"):
        load_config(file, {})
    (tmp_path / "secret").write_text("hush\n")
    config = load_config(file, {})
    assert config.databases is not None
    lanes = config.databases["shop"].lanes
    assert lanes is not None
    assert lanes.bulk.read_server().password == "hush"
