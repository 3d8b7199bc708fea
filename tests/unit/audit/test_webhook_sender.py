import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from audit.alarm import Alarm, Level
from audit.alarm_post import SendError
from audit.webhook import Hook
from audit.webhook_sender import WebhookSender

ALARMS = [Alarm(id="1", at="", level=Level.ALARM, name="x")]


@contextmanager
def answering(answer: bytes, *, is_hanging: bool = False) -> Iterator[Hook]:
    """A receiver of one request."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen(1)
        end = threading.Event()

        def serve() -> None:
            link, _ = door.accept()
            with link:
                link.recv(1 << 16)
                link.sendall(answer)
                if is_hanging:
                    end.wait(30)

        thread = threading.Thread(target=serve)
        thread.start()
        yield Hook(False, "127.0.0.1", door.getsockname()[1], "/")
        end.set()
        thread.join()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    return file


@pytest.mark.parametrize(
    ("answer", "is_final"),
    [
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 429 Later\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.1 500 Oh\r\n\r\n", False),
        (b"220 mail.internal ESMTP\r\n", False),
        (b"", False),
    ],
)
async def test_what_isnt_taken_is_told_apart(secret: Path, answer: bytes, is_final: bool) -> None:
    with answering(answer) as hook:
        sender = WebhookSender(hook, secret)
        with pytest.raises((SendError, OSError)) as caught:
            await sender.send(ALARMS)
        await sender.close()
    assert getattr(caught.value, "is_final", False) is is_final
    assert "x" not in str(caught.value).split()


async def test_what_is_taken_is_done(secret: Path) -> None:
    with answering(b"HTTP/1.1 204 Done\r\n\r\n") as hook:
        await WebhookSender(hook, secret).send(ALARMS)


async def test_a_receiver_that_hangs_is_left(secret: Path) -> None:
    with answering(b"HTTP/1.1 200 ", is_hanging=True) as hook:
        sender = WebhookSender(hook, secret)
        sending = asyncio.create_task(sender.send(ALARMS))
        await asyncio.sleep(0.2)
        sending.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await sender.close()
        sender._thread.shutdown(wait=True)
        assert time.monotonic() - began < 8, "it would have hung for ten seconds"


@pytest.mark.parametrize("content", [None, "", " \n"])
async def test_without_a_secret_nothing_is_sent(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "none"
    if content is not None:
        file.write_text(content)
    with pytest.raises((SendError, OSError)):
        await WebhookSender(Hook(False, "127.0.0.1", 1, "/"), file).send(ALARMS)
