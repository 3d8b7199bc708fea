"""What `audit.bus` may say, and what it means for the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config import Config, ConfigError, load_config
from proxy.fleet_shipper import FleetShipper
from proxy.places import needs_embedded_store, store_dsn

HEAD = "databases: {shop: {upstream: 'postgresql://gateway@db/shop'}}\n"


def load(folder: Path, bus: str, more: str = "") -> Config:
    file = folder / "pgwarden.yaml"
    file.write_text(f"{HEAD}audit:\n  bus: {bus}\n{more}")
    return load_config(file, {}, secrets=folder / "none")


def problem(folder: Path, bus: str) -> str:
    with pytest.raises(ConfigError) as found:
        load(folder, bus)
    (text,) = found.value.problems
    return text.removeprefix(f"{folder}/")


def test_a_bus_has_defaults_and_needs_no_store(tmp_path: Path) -> None:
    config = load(tmp_path, "{servers: 'nats://a:4222, tls://b'}")
    assert config.audit.bus is not None
    settings = config.audit.bus.settings
    assert settings.servers == ("nats://a:4222", "tls://b")
    assert (settings.stream, settings.subject, settings.replicas) == ("PGWARDEN", "pgwarden.audit", 1)
    assert settings.stream_bytes == 10 << 30
    assert not needs_embedded_store(config)
    with pytest.raises(ConfigError, match="name the store"), store_dsn(config):
        pass


def test_files_count_from_the_configurations_folder(tmp_path: Path) -> None:
    for name in ("password", "ca.crt", "me.crt", "me.key"):
        (tmp_path / name).write_text("x")
    files = "ca: ca.crt, certificate: me.crt, key: me.key, user: pgw, password_file: password"
    config = load(tmp_path, f"{{servers: [nats://a], {files}}}")
    assert config.audit.bus is not None
    settings = config.audit.bus.settings
    found = settings.ca, settings.certificate, settings.key, settings.password_file
    assert found == tuple(tmp_path / name for name in ("ca.crt", "me.crt", "me.key", "password"))


@pytest.mark.parametrize(
    ("bus", "fault"),
    [
        ("{}", "pgwarden.yaml:3:3: audit.bus.servers: Field required"),
        ("{servers: []}", "pgwarden.yaml:3:9: audit.bus.servers: expected servers such as nats://"),
        ("{servers: http://a}", "pgwarden.yaml:3:9: audit.bus.servers: expected servers such as nats://"),
        ("{servers: 'nats://me:secret@a'}", "pgwarden.yaml:3:9: audit.bus.servers: expected servers such as nats://"),
        ("{servers: nats://a, streem: X}", "pgwarden.yaml:3:28: audit.bus.streem: unknown key; known here: servers"),
        ("{servers: nats://a, stream: A.B}", "pgwarden.yaml:3:28: audit.bus.stream: "),
        ("{servers: nats://a, subject: 'a.>'}", "pgwarden.yaml:3:28: audit.bus.subject: "),
        ("{servers: nats://a, subject: 'a b'}", "pgwarden.yaml:3:28: audit.bus.subject: "),
        ("{servers: nats://a, user: me}", "audit.bus: user and password_file belong together"),
        ("{servers: nats://a, key: x}", "audit.bus: certificate and key belong together"),
        ("{servers: nats://a, ca: none.crt}", "pgwarden.yaml:3:28: audit.bus.ca: no such file: "),
        ("{servers: nats://a, replicas: 9}", "pgwarden.yaml:3:28: audit.bus.replicas: "),
    ],
)
def test_faults_are_named_with_their_place(tmp_path: Path, bus: str, fault: str) -> None:
    found = problem(tmp_path, bus)
    assert fault in found
    assert "secret" not in found


@pytest.mark.parametrize(
    ("audit", "lack"), [("{}", "audit.bus"), ("{bus: {servers: nats://a}}", "audit.store")], ids=["bus", "store"]
)
def test_a_shipper_needs_both(tmp_path: Path, audit: str, lack: str) -> None:
    file = tmp_path / "shipper.yaml"
    file.write_text(f"audit: {audit}\n")
    with pytest.raises(ConfigError, match=lack):
        FleetShipper(load_config(file, {}, secrets=tmp_path / "none"))
