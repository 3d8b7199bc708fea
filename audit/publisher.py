"""Carries a worker's records from its journal to the bus, each at least once, and lets go of what the bus has for
certain. What `Shipper` is to a store, this is to a bus.

A server of the bus may lose in a power cut what it acknowledged within the last minutes. So the journal keeps what was
acknowledged until it has settled, and sends it again to a server that was restarted, or is another one: the store takes
every record once.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random as random_module
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from audit.backoff import LONGEST_S, Backoff
from audit.batches import Batch, BatchReader
from audit.bus import Bus, Message
from audit.bus_notes import BusNotes, read_notes, write_notes
from audit.errors import AuditError
from audit.held_segments import HeldSegments
from audit.ids import system_clock_us
from audit.journal import worker_directory
from audit.run import Kind, Letter, Pieces, letter_of, record_id_of, run_of
from audit.run_heads import RunHeads
from audit.run_sealer import RunSealer
from audit.run_writer import NumberedRecord, RunWriter, cut_up
from audit.seal import Seal
from audit.sealer import LONGEST_US, MOST_RECORDS
from audit.settling import Settling
from audit.shipped import ShippedPosition, read_shipped, write_shipped
from audit.signing_key import SigningKey

BATCH_BYTES: Final = 1 << 20
MOST_HELD_BYTES: Final = 1 << 30
SETTLE_S: Final = 180.0  # NATS syncs its files every two minutes unless told otherwise
_PAUSE_S: Final = 0.25
_NOTE_S: Final = 1.0
_PING_S: Final = 5.0

log = logging.getLogger("pgwarden.audit")


class Publisher:
    """Publishes one worker's journal. `run` until cancelled; `ship_available` does one round by hand.

    `written_position` gives the journal's position, from which the lag is counted. The journal must be open
    (its recovery has run) before the publisher starts.
    """

    def __init__(
        self,
        directory: Path,
        worker: int,
        bus: Bus,
        *,
        written_position: Callable[[], int],
        pause_s: float = _PAUSE_S,
        longest_backoff_s: float = LONGEST_S,
        settle_s: float = SETTLE_S,
        seal_records: int = MOST_RECORDS,
        seal_us: int = LONGEST_US,
        random: Callable[[], float] = random_module.random,
        clock: Callable[[], int] = system_clock_us,
        monotonic: Callable[[], float] = time.monotonic,
        signing_key: bytes | None = None,
        most_held_bytes: int | None = None,
    ) -> None:
        """`most_held_bytes`: no more is kept of what was acknowledged: the rest is sealed, and settles, early."""
        self._directory = worker_directory(directory, worker)
        self._signer = SigningKey(directory, signing_key).signer
        self._chain = self._signer().chain(worker)
        self._bus = bus
        self._written_position = written_position
        self._pause_s = pause_s
        self._settle_s = settle_s
        self._most_held_bytes = MOST_HELD_BYTES if most_held_bytes is None else most_held_bytes
        self._backoff = Backoff(longest_backoff_s, random)
        self._monotonic = monotonic
        self._writer = RunWriter(self._chain)
        self._reader = BatchReader(self._directory, self._chain, self._writer)
        self._held = HeldSegments(self._directory)
        self._sure = read_shipped(self._directory)  # settled: only this is noted
        found = read_notes(self._directory)
        self._has_notes = found is not None
        notes = found or BusNotes(sealed=self._sure)
        self._seals: dict[Seal, float | None] = dict.fromkeys(notes.seals)  # when each was acknowledged
        self._sealer = RunSealer(
            self._chain, self._signer, clock, notes.sealed, most_records=seal_records, longest_us=seal_us
        )
        self._heads = RunHeads(self._chain, directory, worker)
        # What isn't sealed yet must be read again, though it needn't be sent again.
        self._position = min(self._sure, notes.sealed, key=_records)
        self._settling = Settling(settle_s)
        self._server = ""
        self._noted = self._sure
        self._noted_at = self._asked_at = self._monotonic()
        self.shipped_records = 0
        self.damaged_records = 0
        self.last_error: str | None = None
        self.seal_problem: str | None = None

    def close(self) -> None:
        """Closes the journal's files; publishing again opens them again."""
        self._reader.close()

    @property
    def is_reachable(self) -> bool:
        """Whether the last attempt to reach the bus worked (False before the first)."""
        return self._bus.is_reachable

    @property
    def lag_bytes(self) -> int:
        """Bytes of the journal that the bus hasn't acknowledged yet."""
        return max(0, self._written_position() - max(self._position, self._sure, key=_records).position)

    async def run(self) -> None:
        """Publishes for ever. A bus that is away or refuses is tried again, ever less often, with jitter."""
        while True:
            try:
                await self._round()
                await self._keep_in_touch()
            except (AuditError, OSError) as error:
                self.last_error = str(error)
                await asyncio.sleep(self._backoff.after_failure())
                continue
            self._backoff.succeeded()
            self.last_error = None
            await asyncio.sleep(self._pause_s)

    async def ship_available(self) -> int:
        """Sends everything that is in the journal now, and a seal of it; gives how many records that were.

        Raises BusUnreachableError or BusError; what was sent before stays sent.
        """
        sent = await self._send_all()
        await self._seal(is_rest=True)
        await self._send_head(is_last=True)
        await self._note()
        return sent

    async def _round(self) -> None:
        await self._send_all()
        await self._seal()
        await self._send_head()
        if self._monotonic() - self._noted_at >= _NOTE_S:
            await self._note()

    async def _connect(self) -> None:
        """A server that isn't the one that acknowledged may have lost what hadn't settled: that is sent again."""
        if not await self._bus.connect():
            return
        self._asked_at = self._monotonic()
        if not self._bus.server or self._bus.server != self._server:
            self._server = self._bus.server
            self._position = min(self._position, self._sure, key=_records)
            self._settling.clear()
            self._seals = dict.fromkeys(self._seals)

    async def _send_all(self) -> int:
        """While the bus takes one batch, the next one is read."""
        await self._connect()
        if not self._reader.has_more(self._position):
            return 0
        count = 0
        reading: asyncio.Task[tuple[Batch, list[NumberedRecord]]] | None = self._read_behind(self._position)
        try:
            while reading is not None:
                batch, records = await reading
                reading = self._read_behind(batch.position) if batch.is_more else None
                count += await self._send(batch, records)
        finally:
            if reading is not None:
                reading.cancel()
        return count

    def _read_behind(self, position: ShippedPosition) -> asyncio.Task[tuple[Batch, list[NumberedRecord]]]:
        return asyncio.create_task(asyncio.to_thread(self._read, position))

    def _read(self, position: ShippedPosition) -> tuple[Batch, list[NumberedRecord]]:
        batch = self._reader.read(position, BATCH_BYTES)
        return batch, self._writer.records

    async def _send(self, batch: Batch, records: Sequence[NumberedRecord]) -> int:
        unsent = [one for one in records if one[0] > self._sure.records]
        await self._publish(await self._messages(unsent))
        self._sealer.take(records)
        self._held.follow(batch)
        if batch.damaged and batch.position.records > self._sure.records:
            self._tell_damage(batch)
        self._position = batch.position
        if batch.position.records > self._sure.records:
            self._settling.put(self._monotonic(), batch.position)
        self.shipped_records += len(unsent)
        await self._seal()
        return len(unsent)

    async def _publish(self, messages: Sequence[Message]) -> tuple[int, ...]:
        receipts = await self._bus.publish(messages)
        if receipts.failure is not None:
            raise receipts.failure
        return receipts.sequences

    async def _messages(self, records: Sequence[NumberedRecord]) -> list[Message]:
        """Signed, each short enough for the bus; the pieces of what was too long are on the bus already."""
        most, messages = self._bus.content_bytes, []
        for run in cut_up(records, most - len(self._chain) - 64):
            message_id = _message_id(run)
            content = run_of(self._chain, run)
            if len(content) <= most:
                letter = letter_of(Kind.RUN, content, self._signer())
            else:
                letter = await self._in_pieces(content, most)
            messages.append(self._message(letter, message_id))
        return messages

    async def _in_pieces(self, content: bytes, most_bytes: int) -> Letter:
        digest, subject = hashlib.sha256(content), self._subject("piece")
        parts = [content[at : at + most_bytes] for at in range(0, len(content), most_bytes)]
        sequences: list[int] = []
        for number, part in enumerate(parts):
            headers = {"Nats-Msg-Id": f"{digest.hexdigest()}-{number}"}
            sequences += await self._publish([Message(subject, part, headers)])
        pieces = Pieces(self._chain, subject, tuple(sequences), digest.digest())
        return letter_of(Kind.PIECES, msgspec.msgpack.encode(pieces), self._signer())

    def _message(self, letter: Letter, message_id: str) -> Message:
        headers = {
            "Nats-Msg-Id": message_id,
            "Pgwarden-Kind": letter.kind,
            "Pgwarden-Version": str(letter.version),
            "Pgwarden-Key": letter.key,
            "Pgwarden-Signature": letter.signature,
        } | ({"Pgwarden-Keys": letter.keys} if letter.keys else {})
        return Message(self._subject("run"), letter.content, headers)

    def _subject(self, kind: str) -> str:
        """By chain, so that a sidecar's rights on the bus can end at its own subjects."""
        return f"{self._bus.settings.subject}.{kind}.{self._chain.replace('/', '.')}"

    async def _seal(self, is_rest: bool = False) -> None:
        await self._connect()
        is_due = is_rest or self._is_too_far_behind(self._sealer.position)
        seal = await asyncio.to_thread(self._sealer.due, self._position, is_due)
        if seal is not None:
            await self._put_seal(seal)
        elif None in self._seals.values():
            await self._send_seals()

    def _is_too_far_behind(self, position: ShippedPosition) -> bool:
        return self._position.position - position.position > self._most_held_bytes

    async def _put_seal(self, seal: Seal) -> None:
        """Noted before it is sent: a second one over other records could never follow it."""
        self._seals[seal] = None
        await self._note_seals()
        await self._send_seals()

    async def _send_seals(self) -> None:
        unsent = [seal for seal, at in self._seals.items() if at is None]
        letters = (letter_of(Kind.SEAL, msgspec.json.encode(seal), self._signer()) for seal in unsent)
        messages = [
            self._message(letter, f"seal-{seal.signature[:64]}") for letter, seal in zip(letters, unsent, strict=True)
        ]
        await self._publish(messages)
        self._seals |= dict.fromkeys(unsent, self._monotonic())

    async def _send_head(self, *, is_last: bool = False) -> None:
        now_s = self._monotonic()
        head = self._heads.due(now_s, self._position.records, is_last=is_last)
        if head is not None:
            letter = letter_of(Kind.HEAD, msgspec.json.encode(head), self._signer())
            await self._publish([self._message(letter, f"head-{head.checkpoint.signature[:64]}")])
            self._heads.sent(now_s, head)

    async def _note_seals(self) -> None:
        notes = BusNotes(sealed=self._sealer.position, seals=tuple(self._seals))
        await asyncio.to_thread(write_notes, self._directory, notes)
        self._has_notes = True

    async def _note(self) -> None:
        """Notes the settled position, durably, and only then lets go of what lies before it."""
        self._noted_at = self._monotonic()
        self._sure = self._settling.settled(self._noted_at) or self._sure
        while self._is_too_far_behind(self._sure) and (early := self._settling.oldest()) is not None:
            self._sure = early
        settled = [at for at in self._seals.values() if at is not None and self._noted_at - at >= self._settle_s]
        if settled:
            self._seals = {seal: at for seal, at in self._seals.items() if at is None or at not in settled}
            await self._note_seals()
        if self._sure == self._noted and not settled:
            return
        if not self._has_notes:  # where sealing began must be known when shipping has gone on
            await self._note_seals()
        if self._sure != self._noted:
            noted = msgspec.structs.replace(self._sure, by_bus=True)
            await asyncio.to_thread(write_shipped, self._directory, noted)
            self._noted = self._sure
        needed = min(self._sure, self._sealer.position, key=_records)
        await asyncio.to_thread(self._held.delete_before, needed.sequence)

    async def _keep_in_touch(self) -> None:
        """Without records to send, a lost bus would go unnoticed: ask for a sign of life now and then."""
        if self._monotonic() - self._asked_at >= _PING_S:
            self._asked_at = self._monotonic()
            await self._bus.ping()

    def _tell_damage(self, batch: Batch) -> None:
        self.damaged_records += batch.damaged
        between = f"{self._position.records + 1} to {batch.position.records}"
        where = {"chain": self._chain, "damaged": batch.damaged, "records": between}
        log.error("damaged records aren't shipped, `pgwarden audit verify` names them", extra={"fields": where})


def _records(position: ShippedPosition) -> int:
    return position.records


def _message_id(run: Sequence[NumberedRecord]) -> str:
    """The record's id; of several, the first one's and the last one's: another cut is another message."""
    first, last = record_id_of(run[0][1]), record_id_of(run[-1][1])
    return first if len(run) == 1 else f"{first}-{last}"
