"""A real NATS server with JetStream, on the loopback, that can be killed and started again where it was."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from audit.bus_settings import BusSettings

PATIENCE_S: Final = 20.0
REASON: Final = "needs nats-server (Debian: apt-get install nats-server)"


def find_nats() -> str | None:
    return shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin:/usr/local/sbin")


class NatsServer:
    """`more`: lines of its configuration, such as users."""

    def __init__(self, program: str, folder: Path, more: str = "") -> None:
        self._program = program
        self._folder = folder
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def settings(self, **changes: object) -> BusSettings:
        return BusSettings(**{"servers": (self.url,), **changes})  # type: ignore[arg-type]

    def start(self) -> None:
        """Returns when it takes connections."""
        file = self._folder / "nats.conf"
        listen = f"listen: 127.0.0.1:{self.port}\n"
        file.write_text(f'{listen}jetstream {{ store_dir: "{self._folder / "js"}" }}\n{self._more}\n')
        log = self._folder / "nats.log"
        self._process = subprocess.Popen([self._program, "-c", str(file), "-l", str(log)])
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            assert self._process.poll() is None, log.read_text()
            time.sleep(0.02)
        raise AssertionError(f"nats-server didn't start: {log.read_text()}")

    def kill(self) -> None:
        """kill -9."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()


@pytest.fixture
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    program = find_nats()
    if program is None:
        pytest.skip(REASON)
    server = NatsServer(program, tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
