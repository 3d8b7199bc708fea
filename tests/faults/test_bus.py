"""Records over a real NATS server: whatever ends in between, none is lost and none is there twice."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from audit_samples import fill, frames_of, intent, outcome
from audit_store import store, store_dsn

from audit.errors import BusError, BusUnreachableError, ForeignRunError
from audit.journal import Journal, worker_directory
from audit.run import Kind, letter_of, opened_run, run_of
from audit.segment import sequences_in
from audit.shipped import read_shipped
from audit.signing import load_public_key
from audit.signing_key import load_or_make_signer, rotate_key
from audit.store import Store
from audit.store_heads import StoreHeads
from audit.store_seals import StoreSeals
from audit.verify import verify
from proxy.embedded import EmbeddedServer
from proxy.installation import find_system, find_wheel
from tests.fix_servers import passing_server
from tests.nats_server import REASON, NatsServer, find_nats, nats_server

nats = pytest.importorskip("nats", reason="needs NATS's client: pip install 'pgwarden[bus]'")

from audit.bus import Bus, Message  # noqa: E402
from audit.bus_inbox import Inbox  # noqa: E402
from audit.bus_shipper import BusShipper  # noqa: E402
from audit.publisher import Publisher  # noqa: E402

__all__ = ["nats_server", "store", "store_dsn"]


@pytest.fixture(scope="module")
def store_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """One is enough: other tests look at the store's versions."""
    found = find_wheel() or find_system()
    assert found is not None
    with passing_server(tmp_path_factory.mktemp("store"), found, settings={"fsync": "off"}) as server:
        yield server


def publisher_of(directory: Path, bus: Bus, worker: int = 0, **options: object) -> Publisher:
    given = {"written_position": lambda: 0, "pause_s": 0.01, "longest_backoff_s": 0.05, "settle_s": 0.0, **options}
    return Publisher(directory, worker, bus, **given)  # type: ignore[arg-type]


def shipper_of(bus: Bus, store: Store) -> BusShipper:
    return BusShipper(bus, store, inbox=Inbox(bus, ack_wait_s=1.0), wait_s=0.2, again_s=0.1, longest_backoff_s=0.05)


async def ship_all(shipper: BusShipper) -> int:
    count = 0
    await shipper.look()
    while shipper.waiting_messages:
        count += await shipper.ship_once()
        await shipper.look()
    return count


async def assert_exact(directory: Path, store: Store, records: int) -> None:
    numbers = [chained.sequence async for chained in store.read_chain()]
    assert numbers == list(range(1, records + 1))
    assert (await verify(directory, store)).problems == ()


async def test_everything_arrives_once_and_sealed(tmp_path: Path, store: Store, nats_server: NatsServer) -> None:
    fill(tmp_path, statements=500)
    sending, taking = Bus(nats_server.settings()), Bus(nats_server.settings())
    publisher, shipper = publisher_of(tmp_path, sending), shipper_of(taking, store)
    assert await publisher.ship_available() == 1000
    assert await ship_all(shipper) == 1000
    await assert_exact(tmp_path, store, 1000)
    await sending.close()
    await taking.close()


async def settled(publisher: Publisher) -> None:
    """Another round notes what has settled."""
    await publisher.ship_available()


async def test_the_journal_keeps_what_the_bus_may_yet_lose(tmp_path: Path, nats_server: NatsServer) -> None:
    fill(tmp_path, statements=200, segment_bytes=8192)
    folder = worker_directory(tmp_path, 0)
    before = sequences_in(folder)
    now = [100.0]
    bus = Bus(nats_server.settings())
    publisher = publisher_of(tmp_path, bus, settle_s=180.0, monotonic=lambda: now[0])
    assert await publisher.ship_available() == 400
    now[0] += 179.0
    await settled(publisher)
    assert sequences_in(folder) == before
    assert read_shipped(folder).records == 0
    now[0] += 2.0
    await settled(publisher)
    assert len(sequences_in(folder)) == 1
    assert read_shipped(folder).records == 400
    await bus.close()


async def test_the_journal_keeps_no_more_of_it_than_it_may(
    tmp_path: Path, store: Store, nats_server: NatsServer
) -> None:
    """What the bus has mustn't fill the disk, nor reach audit.journal_limit: it is sealed, and let go of, early."""
    bus, taking = Bus(nats_server.settings()), Bus(nats_server.settings())
    publisher = publisher_of(tmp_path, bus, settle_s=180.0, most_held_bytes=32 << 10)
    journal = Journal.open(tmp_path, 0, segment_bytes=16 << 10)
    for number in range(300):
        journal.append([intent(f"s{number}"), outcome(f"s{number}")])
        await publisher._send_all()
        await publisher._note()
    journal.close()
    held = sum(one.stat().st_size for one in worker_directory(tmp_path, 0).glob("*.seg"))
    assert held <= 80 << 10
    assert journal.position > 120 << 10
    await publisher.ship_available()
    await ship_all(shipper_of(taking, store))
    await assert_exact(tmp_path, store, 600)
    assert len(await seals_of(store)) > 2
    await bus.close()
    await taking.close()


async def test_what_hasnt_settled_is_sent_again_after_a_lost_connection(
    tmp_path: Path, store: Store, nats_server: NatsServer
) -> None:
    """As if the bus had lost it: its whole stream goes."""
    fill(tmp_path, statements=100)
    bus = Bus(nats_server.settings())
    publisher = publisher_of(tmp_path, bus, settle_s=180.0)
    assert await publisher.ship_available() == 200
    await bus.stream.delete_stream("PGWARDEN")
    nats_server.kill()
    nats_server.start()
    sent = 0
    async with asyncio.timeout(30):
        while not sent:
            await asyncio.sleep(0.05)
            with suppress(BusUnreachableError):
                sent = await publisher.ship_available()
    assert sent == 200
    taking = Bus(nats_server.settings())
    await ship_all(shipper_of(taking, store))
    await assert_exact(tmp_path, store, 200)
    assert await seals_of(store) == [(1, 200)]
    await bus.close()
    await taking.close()


async def test_a_lost_connection_to_the_same_server_repeats_nothing(tmp_path: Path, nats_server: NatsServer) -> None:
    """A network that comes and goes mustn't have everything sent again and again."""
    fill(tmp_path, statements=100)
    bus = Bus(nats_server.settings())
    publisher = publisher_of(tmp_path, bus, settle_s=180.0)
    assert await publisher.ship_available() == 200
    await bus.close()
    assert await publisher.ship_available() == 0
    assert bus.is_reachable
    await bus.close()


async def seals_of(store: Store) -> list[tuple[int, int]]:
    return [(seal.first, seal.last) for seal in await StoreSeals(store).all()]


async def test_duplicates_are_dropped_by_the_bus_or_by_the_store(
    tmp_path: Path, store: Store, nats_server: NatsServer
) -> None:
    journal = Journal.open(tmp_path, 0)
    journal.append([intent(f"s{number}") for number in range(100)])
    sending, again, taking = (Bus(nats_server.settings()) for _ in range(3))
    assert await publisher_of(tmp_path, sending, settle_s=180.0).ship_available() == 100
    assert await publisher_of(tmp_path, again, settle_s=180.0).ship_available() == 100
    assert again.duplicates > 0
    journal.append([outcome(f"s{number}") for number in range(100)])
    other_cut = publisher_of(tmp_path, again, settle_s=180.0)
    assert await other_cut.ship_available() == 200
    journal.close()
    shipper = shipper_of(taking, store)
    await shipper.look()
    assert shipper.waiting_messages >= 4  # two runs, of 100 and of 200 records, and a seal of each half
    await ship_all(shipper)
    assert shipper.new_records == 200
    await assert_exact(tmp_path, store, 200)
    for bus in (sending, again, taking):
        await bus.close()


async def test_the_server_is_killed_again_and_again(tmp_path: Path, store: Store, nats_server: NatsServer) -> None:
    """While records are written, published and stored."""
    journal = Journal.open(tmp_path, 0, segment_bytes=32 << 10)
    sending, taking = Bus(nats_server.settings()), Bus(nats_server.settings())
    publisher = publisher_of(tmp_path, sending, written_position=lambda: journal.position, settle_s=180.0)
    shipper = shipper_of(taking, store)
    tasks = [asyncio.create_task(publisher.run()), asyncio.create_task(shipper.run())]
    moments, written = random.Random(3), 0
    for _ in range(3):
        until_s = time.monotonic() + moments.uniform(0.1, 0.6)
        while time.monotonic() < until_s:
            journal.append([intent(f"s{written}"), outcome(f"s{written}")])
            written += 1
            await asyncio.sleep(0.001)
        nats_server.kill()
        await asyncio.sleep(0.2)
        nats_server.start()
    journal.close()
    async with asyncio.timeout(60):
        while await count_of(store) < 2 * written or publisher.lag_bytes:
            await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await publisher.ship_available()
    await ship_all(shipper)
    await assert_exact(tmp_path, store, 2 * written)
    await sending.close()
    await taking.close()


async def count_of(store: Store) -> int:
    async with store.connected("pgwarden_auditor") as connection:
        return int(await connection.fetchval("SELECT count(*) FROM pgwarden.records"))


async def test_a_shipper_dies_between_commit_and_acknowledgement(
    tmp_path: Path, store: Store, store_dsn: str, nats_server: NatsServer
) -> None:
    fill(tmp_path, statements=300)
    sending, dying, taking = (Bus(nats_server.settings()) for _ in range(3))
    await publisher_of(tmp_path, sending).ship_available()
    inbox = Inbox(dying, ack_wait_s=1.0)
    await inbox.connect()
    taken = await inbox.take(100, 0.5)
    assert taken
    stored = Store(store_dsn)
    await shipper_of(dying, stored)._copy([opened_run(one.letter) for one in taken if one.letter.kind == "run"])
    assert await count_of(store) == 600
    await dying.close()
    shipper = shipper_of(taking, store)
    assert await ship_all(shipper) == 600
    assert shipper.new_records == 0
    await assert_exact(tmp_path, store, 600)
    await stored.close()
    for bus in (sending, taking):
        await bus.close()


async def test_a_full_stream_leaves_records_in_the_journal(
    tmp_path: Path, store: Store, nats_server: NatsServer
) -> None:
    fill(tmp_path, statements=3000, segment_bytes=1 << 18)
    before = sequences_in(worker_directory(tmp_path, 0))
    sending, taking = Bus(nats_server.settings(stream_bytes=1 << 20)), Bus(nats_server.settings())
    publisher = publisher_of(tmp_path, sending)
    with pytest.raises(BusError, match="maximum bytes exceeded"):
        await publisher.ship_available()
    assert publisher.is_reachable
    assert 0 < publisher.shipped_records < 6000
    assert sequences_in(worker_directory(tmp_path, 0)) == before
    shipper = shipper_of(taking, store)
    async with asyncio.timeout(60):
        while publisher.shipped_records < 6000:
            await ship_all(shipper)
            with suppress(BusError):
                await publisher.ship_available()
            await asyncio.sleep(0.01)
    await publisher.ship_available()
    await ship_all(shipper)
    await assert_exact(tmp_path, store, 6000)
    await sending.close()
    await taking.close()


async def test_a_record_longer_than_a_message_goes_in_pieces(
    tmp_path: Path, store: Store, nats_server: NatsServer
) -> None:
    journal = Journal.open(tmp_path, 0)
    long = "SELECT '" + "x" * 3_000_000 + "'"
    journal.append([intent("s0"), intent("s1", sql_text=long), intent("s2", sql_text=long), outcome("s2")])
    journal.close()
    sending, taking = Bus(nats_server.settings()), Bus(nats_server.settings())
    assert await publisher_of(tmp_path, sending).ship_available() == 4
    assert await ship_all(shipper_of(taking, store)) == 4
    await assert_exact(tmp_path, store, 4)
    texts = [chained.record.sql_text async for chained in store.read_chain()]
    assert texts[1] == texts[2] == long
    info = await taking.stream.stream_info("PGWARDEN")
    assert info.state.messages == 0  # no piece is left
    await sending.close()
    await taking.close()


@pytest.mark.parametrize("change", ["content", "signature", "key", "kind", "version", "nothing"])
async def test_what_no_sidecar_has_sent_is_not_stored(
    tmp_path: Path, store: Store, nats_server: NatsServer, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path / "own", statements=1)
    fill(tmp_path / "foreign", statements=1)
    frame = frames_of(tmp_path / "own")[0][1]
    record = frame.prev_hash + frame.hash + frame.body
    own, foreign = load_or_make_signer(tmp_path / "own"), load_or_make_signer(tmp_path / "foreign")
    chain = own.chain(0)
    content = run_of(chain, ((1, record),))
    letter = letter_of(Kind.RUN, content, own)
    changes: dict[str, dict[str, Any]] = {
        "content": {"content": content[:-1] + b"!"},
        "signature": {"signature": "00" * 64},
        "key": {"key": letter_of(Kind.RUN, content, foreign).key},
        "kind": {"kind": "seal"},
        "version": {"version": 2},
        "nothing": {"kind": "", "version": 0, "key": "", "signature": "", "content": b""},
    }
    forged = replace(letter, **changes[change])
    bus, taking = Bus(nats_server.settings()), Bus(nats_server.settings())
    await bus.connect()
    headers = {
        "Pgwarden-Kind": forged.kind,
        "Pgwarden-Version": str(forged.version),
        "Pgwarden-Key": forged.key,
        "Pgwarden-Signature": forged.signature,
    }
    receipts = await bus.publish([Message("pgwarden.audit.run.x.0", forged.content, headers)])
    assert len(receipts.sequences) == 1
    shipper = shipper_of(taking, store)
    await shipper.ship_once()
    assert await count_of(store) == 0
    await shipper.look()
    is_kept = change in ("version", "nothing")  # a newer pgwarden may have sent it
    assert (shipper.waiting_messages, shipper.refused_messages) == ((1, 0) if is_kept else (0, 1))
    assert ("has to wait" if is_kept else "was refused") in caplog.text
    await bus.close()
    await taking.close()


async def test_a_chain_takes_nothing_that_another_key_has_signed(tmp_path: Path) -> None:
    fill(tmp_path / "own", statements=1)
    frame = frames_of(tmp_path / "own")[0][1]
    own, foreign = (load_or_make_signer(make(tmp_path / name)) for name in ("own", "foreign"))
    chain = own.chain(0)
    content = run_of(chain, ((1, frame.prev_hash + frame.hash + frame.body),))
    assert opened_run(letter_of(Kind.RUN, content, own)).chain == chain
    with pytest.raises(ForeignRunError, match="key of another"):
        opened_run(letter_of(Kind.RUN, content, foreign))
    edited = run_of(chain, ((1, frame.prev_hash + frame.hash + frame.body + b"!"),))
    with pytest.raises(ForeignRunError, match="isn't what was hashed"):
        opened_run(letter_of(Kind.RUN, edited, own))


def make(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"retention": "limits"}, "retention isn't workqueue"),
        ({"discard": "old"}, "discard isn't new"),
        ({"storage": "memory"}, "storage isn't file"),
        ({"max_age": 3600}, "max_age is set"),
        ({"max_msgs_per_subject": 5}, "max_msgs_per_subject is set"),
        ({"max_msg_size": 4096}, "max_msg_size is below 65536"),
        ({"subjects": ["pgwarden.audit.run.>"]}, "its subjects don't include pgwarden.audit.>"),
    ],
)
async def test_a_stream_that_could_lose_records_is_refused(
    nats_server: NatsServer, config: dict[str, Any], fault: str
) -> None:
    client = await nats.connect(nats_server.url)
    keeping = {"retention": "workqueue", "discard": "new", "subjects": ["pgwarden.audit.>"]}
    await client.jetstream().add_stream(name="PGWARDEN", **{**keeping, **config})
    bus = Bus(nats_server.settings())
    with pytest.raises(BusError, match=fault):
        await bus.connect()
    await bus.close()
    await client.close()


async def test_seals_follow_one_another_over_restarts(tmp_path: Path, store: Store, nats_server: NatsServer) -> None:
    sending, taking = Bus(nats_server.settings()), Bus(nats_server.settings())
    shipper = shipper_of(taking, store)
    for _ in range(3):
        fill(tmp_path, statements=40, segment_bytes=8192)
        publisher = publisher_of(tmp_path, sending, seal_records=32)
        await publisher.ship_available()
        await ship_all(shipper)
    found = await seals_of(store)
    assert found[0][0] == 1
    assert found[-1][1] == 240
    assert all(one[1] + 1 == other[0] for one, other in pairwise(found))
    await assert_exact(tmp_path, store, 240)
    await sending.close()
    await taking.close()


async def test_unsealed_records_stay_until_they_are_sealed(
    tmp_path: Path, store: Store, nats_server: NatsServer
) -> None:
    """A restart must find their hashes again, though they needn't be sent again."""
    fill(tmp_path, statements=100, segment_bytes=8192)
    folder, before = worker_directory(tmp_path, 0), sequences_in(worker_directory(tmp_path, 0))
    sending, taking = Bus(nats_server.settings()), Bus(nats_server.settings())
    first = publisher_of(tmp_path, sending)
    await first._round()
    await first._note()
    assert read_shipped(folder).records == 200
    assert sequences_in(folder) == before
    again = publisher_of(tmp_path, sending)
    assert await again.ship_available() == 0
    assert sequences_in(folder) == before[-1:]
    await ship_all(shipper_of(taking, store))
    assert await seals_of(store) == [(1, 200)]
    await assert_exact(tmp_path, store, 200)
    await sending.close()
    await taking.close()


async def test_a_seal_waits_for_its_records(tmp_path: Path, store: Store, nats_server: NatsServer) -> None:
    fill(tmp_path, statements=10)
    sending, taking = Bus(nats_server.settings()), Bus(nats_server.settings())
    await publisher_of(tmp_path, sending).ship_available()
    inbox = Inbox(taking, ack_wait_s=5.0)
    await inbox.connect()
    run, seal = await inbox.take(2, 0.5)
    shipper = BusShipper(taking, store, inbox=inbox, wait_s=0.2, again_s=0.1)
    await shipper._store_all([await shipper._opened(seal)])
    assert await seals_of(store) == []
    await shipper._store_all([await shipper._opened(run)])
    await ship_all(shipper)
    assert await seals_of(store) == [(1, 20)]
    await sending.close()
    await taking.close()


async def test_users_and_passwords(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    program = find_nats()
    if program is None:
        pytest.skip(REASON)
    server = NatsServer(program, tmp_path, 'authorization { users = [{user: "pgw", password: "s3cret"}] }')
    server.start()
    try:
        (tmp_path / "password").write_text("s3cret\n")
        bus = Bus(server.settings(user="pgw", password_file=tmp_path / "password"))
        assert await bus.connect()
        await bus.close()
        stranger = Bus(server.settings())
        with pytest.raises(BusUnreachableError) as refusal:
            await stranger.connect()
        assert "s3cret" not in str(refusal.value)
    finally:
        server.kill()


async def test_a_new_key_goes_on_with_the_chain(tmp_path: Path, store: Store, nats_server: NatsServer) -> None:
    """Also while the publisher runs: what the former key has signed is still taken."""
    sending, taking = Bus(nats_server.settings()), Bus(nats_server.settings())
    shipper, key = shipper_of(taking, store), tmp_path / "public.pem"
    fill(tmp_path, statements=20)
    key.write_bytes((tmp_path / "signing.pub").read_bytes())
    publisher = publisher_of(tmp_path, sending, settle_s=180.0)
    await publisher.ship_available()
    rotate_key(tmp_path, None, None)
    fill(tmp_path, statements=20)
    await publisher.ship_available()
    again = publisher_of(tmp_path, sending)
    await sending.stream.purge_stream("PGWARDEN")  # and the first seal is sent once more, in a letter of the new key
    nats_server.kill()
    nats_server.start()
    async with asyncio.timeout(30):
        while again.shipped_records < 80:
            with suppress(BusUnreachableError):
                await again.ship_available()
            await asyncio.sleep(0.05)
    await ship_all(shipper)
    assert await seals_of(store) == [(1, 40), (41, 80)]
    await assert_exact(tmp_path, store, 80)
    first_key = load_public_key(key)
    report = await verify(None, store, [first_key])
    assert report.problems == ()
    await sending.close()
    await taking.close()


async def test_heads_follow_their_records(tmp_path: Path, store: Store, nats_server: NatsServer) -> None:
    """So what is cut off the end of the store is found out without the journal."""
    fill(tmp_path, statements=20)
    sending, taking = Bus(nats_server.settings()), Bus(nats_server.settings())
    await publisher_of(tmp_path, sending).ship_available()
    await ship_all(shipper_of(taking, store))
    (head,) = (await StoreHeads(store).newest()).values()
    assert head.records == 40
    assert list(await StoreHeads(store).rings()) == [load_or_make_signer(tmp_path).ring.origin]
    await sending.close()
    await taking.close()


async def test_what_is_still_on_the_bus_is_no_gap(tmp_path: Path, store: Store, nats_server: NatsServer) -> None:
    """To who verifies journal and store against each other."""
    fill(tmp_path, statements=20, segment_bytes=8192)
    sending, taking = Bus(nats_server.settings()), Bus(nats_server.settings())
    await publisher_of(tmp_path, sending).ship_available()
    report = await verify(tmp_path, store)
    assert report.problems == ()
    assert any("the bus has taken" in note for note in report.notes)
    await ship_all(shipper_of(taking, store))
    report = await verify(tmp_path, store)
    assert report.problems == ()
    assert not any("the bus has taken" in note for note in report.notes)
    await sending.close()
    await taking.close()


PUBLISHER = """
import asyncio, sys
from pathlib import Path
from audit.bus import Bus
from audit.bus_settings import BusSettings
from audit.publisher import Publisher
async def main():
    bus = Bus(BusSettings(servers=(sys.argv[2],)))
    options = {"pause_s": 0.01, "settle_s": 0.05, "seal_records": 16}
    publisher = Publisher(Path(sys.argv[1]), 0, bus, written_position=lambda: 0, **options)
    running = asyncio.create_task(publisher.run())
    while not publisher.shipped_records:
        await asyncio.sleep(0.001)
    print("publishes", flush=True)
    await running
asyncio.run(main())
"""


async def test_a_sidecar_is_killed_while_it_publishes(tmp_path: Path, store: Store, nats_server: NatsServer) -> None:
    """Neither a record nor a seal is lost, and no seal is made twice over other records."""
    written, moments = 0, random.Random(11)
    journal = Journal.open(tmp_path, 0, segment_bytes=32 << 10)
    for _ in range(3):
        journal.append([intent(f"s{written}"), outcome(f"s{written}")])
        written += 1
        command = [sys.executable, "-c", PUBLISHER, str(tmp_path), nats_server.url]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        assert process.stdout is not None
        await asyncio.to_thread(process.stdout.readline)
        until_s = time.monotonic() + moments.uniform(0.05, 0.4)
        while time.monotonic() < until_s:
            journal.append([intent(f"s{written}"), outcome(f"s{written}")])
            written += 1
            await asyncio.sleep(0.001)
        process.kill()
        process.wait()
        process.stdout.close()
    journal.close()
    sending, taking = Bus(nats_server.settings()), Bus(nats_server.settings())
    await publisher_of(tmp_path, sending).ship_available()
    await ship_all(shipper_of(taking, store))
    found = await seals_of(store)
    assert len(found) > 2
    assert (found[0][0], found[-1][1]) == (1, 2 * written)
    assert all(one[1] + 1 == other[0] for one, other in pairwise(found))
    await assert_exact(tmp_path, store, 2 * written)
    await sending.close()
    await taking.close()


# As docs/bus.md shows them.
PERMISSIONS = """
authorization { users = [
  { user: sidecar, password: one, permissions: {
      publish: ["pgwarden.audit.run.>", "pgwarden.audit.piece.>", "$JS.API.STREAM.INFO.PGWARDEN"]
      subscribe: "_INBOX.>" } }
  { user: shipper, password: two, permissions: {
      publish: ["$JS.API.STREAM.INFO.PGWARDEN", "$JS.API.STREAM.CREATE.PGWARDEN", "$JS.API.STREAM.MSG.GET.PGWARDEN",
                "$JS.API.STREAM.MSG.DELETE.PGWARDEN", "$JS.API.CONSUMER.DURABLE.CREATE.PGWARDEN.pgwarden-shippers",
                "$JS.API.CONSUMER.CREATE.PGWARDEN.>", "$JS.API.CONSUMER.INFO.PGWARDEN.pgwarden-shippers",
                "$JS.API.CONSUMER.MSG.NEXT.PGWARDEN.pgwarden-shippers", "$JS.ACK.PGWARDEN.>"]
      subscribe: "_INBOX.>" } }
] }
"""


async def test_narrow_permissions_suffice(tmp_path: Path, store: Store) -> None:
    program = find_nats()
    if program is None:
        pytest.skip(REASON)
    (tmp_path / "one").write_text("one")
    (tmp_path / "two").write_text("two")
    journal = Journal.open(tmp_path / "journal", 0)
    journal.append([intent("s0", sql_text="SELECT '" + "x" * 600_000 + "'"), outcome("s0")])
    journal.close()
    server = NatsServer(program, make(tmp_path / "nats"), PERMISSIONS)
    server.start()
    try:
        sending = Bus(server.settings(user="sidecar", password_file=tmp_path / "one"))
        taking = Bus(server.settings(user="shipper", password_file=tmp_path / "two"))
        shipper = shipper_of(taking, store)
        assert await shipper.ship_once() == 0  # makes the stream
        assert await publisher_of(tmp_path / "journal", sending).ship_available() == 2
        assert await ship_all(shipper) == 2
        await assert_exact(tmp_path / "journal", store, 2)
        assert (await taking.stream.stream_info("PGWARDEN")).state.messages == 0
        await sending.close()
        await taking.close()
    finally:
        server.kill()
