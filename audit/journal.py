"""The write-ahead journal of one worker: what is appended here outlives the process. Knows no store and no
session.

Stages of durability. After `append` returns, the record outlives a kill -9 of this process (it is in the
kernel's pages), not a power cut. After `wait_synced` returns, or 50 ms later, it outlives a power cut too.
After the shipper has sent it, it outlives the machine.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audit.active_segment import ActiveSegment, room_for
from audit.checkpoints import append_checkpoint
from audit.errors import AuditError, JournalError, JournalInUseError
from audit.group_commit import GroupCommit
from audit.ids import Clock, Ids, system_clock_us
from audit.lines import Lines
from audit.record import Record, body_of, completed
from audit.recovery import ChainState, recover, recovery_records
from audit.ring import sync_directory
from audit.segment import HEADER_BYTES, MAX_BODY_BYTES, SegmentHeader, bytes_in
from audit.signing import Checkpoint
from audit.signing_key import SigningKey
from audit.tail import Tail

Durability = Literal["grouped", "strict"]

SEGMENT_BYTES = 16 << 20
_GATHER_S = 0.02  # with the fsync itself well under the promised 50 ms
_CHECKPOINT_US = 5_000_000
_LOCK_FILE = "lock"


def worker_directory(directory: Path, worker: int) -> Path:
    """The folder of one worker inside a sidecar's journal folder."""
    return directory / f"worker-{worker:03d}"


@dataclass(frozen=True, slots=True)
class _Ready:
    """A record on its way into a segment."""

    record_id: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class _Finished:
    """A segment that is written no more; `end` is the offset behind its last record."""

    segment: ActiveSegment
    end: int


class Journal:
    """One worker's append-only chain of records. Made by `Journal.open`; safe to use from several threads."""

    def __init__(
        self,
        directory: Path,
        worker: int,
        durability: Durability,
        segment_bytes: int,
        clock: Clock,
        ids: Ids,
        key: SigningKey,
    ) -> None:
        """Opens the folder and takes its lock; `open` is the way in."""
        self.directory = worker_directory(directory, worker)
        self.worker = worker
        self.ids = ids
        self._segment_bytes = segment_bytes
        self._clock = clock
        self._directory_lock = _lock_directory(self.directory)
        self._key = key
        self._limit_bytes: int | None = None
        self.signing_problem = ""
        self._active: ActiveSegment | None = None
        self._finished: list[_Finished] = []
        self._pending: list[Record] = []
        self._is_new_file = False
        self._is_full = False
        self._is_closed = False
        self._checkpointed_records = 0  # so the first sync signs what an earlier run left unsigned
        self._checkpointed_us: int | None = None
        self._disk_error: OSError | None = None
        self._commit = GroupCommit(self._sync, _GATHER_S, is_hurried=durability == "strict")
        self._tail = Tail(clock, ids, self._commit.wake)

    @classmethod
    def open(
        cls,
        directory: Path,
        worker: int,
        *,
        durability: Durability = "grouped",
        segment_bytes: int = SEGMENT_BYTES,
        clock: Clock = system_clock_us,
        ids: Ids | None = None,
        signing_key: bytes | None = None,
        limit_bytes: int | None = None,
    ) -> Journal:
        """Opens a worker's journal and recovers what an earlier run left there.

        `signing_key`: the PEM of a key that doesn't stand in the folder. `limit_bytes`: so much may wait for the store;
        then appends raise JournalError, until something was shipped. None: as much as the disk holds.
        Raises JournalError if another process uses the folder or it can't be made or read, SigningKeyError or
        CorruptJournalError if the key isn't the folder's. A full disk doesn't raise here: appends do, until there is
        room.
        """
        key = SigningKey(directory, signing_key)
        try:
            _make_folder(directory)
            _make_folder(worker_directory(directory, worker))
            key.signer()
            journal = cls(directory, worker, durability, segment_bytes, clock, ids or Ids(clock), key)
            journal._limit_bytes = limit_bytes
            journal._recover_or_leave()
        except OSError as error:
            raise JournalError(f"the journal folder can't be used: {error.strerror}") from error
        return journal

    @property
    def tail(self) -> Tail:
        """For who appends many records by templates: what it doesn't take, `append_intent` or `append_outcome` does."""
        return self._tail

    @property
    def position(self) -> int:
        """Bytes appended since the journal's first start."""
        return self._tail.position

    @property
    def synced_position(self) -> int:
        """Every record before this position is on the disk."""
        return self._commit.position

    @property
    def lag_bytes(self) -> int:
        """Bytes appended and not yet synced (the shipper knows what is not yet shipped)."""
        return max(0, self.position - self._commit.position)

    @property
    def records(self) -> int:
        """Records in the chain since the journal's first start."""
        return self._tail.records

    @property
    def is_failed(self) -> bool:
        """Whether statements must be refused: the last append found no room, or the disk failed for good."""
        return self._is_full or self._is_closed or self._disk_error is not None

    def append(self, records: Sequence[Record]) -> int:
        """Appends all records or none; when it returns they outlive this process. Gives the position behind
        them.

        Ids, hashes and missing times are filled in. Raises JournalError when the disk has no room or has
        failed: the statement may not run then.
        """
        with self._tail.lock:
            self._require_usable()
            self._append([*self._pending, *records])
            self._pending.clear()
            self._is_full, self._tail.is_open = False, True
            position = self._tail.position
        self._tail.call_for_sync()
        return position

    def append_intent(self, lines: Lines, sql_text: bytes) -> str:
        """Appends a statement's intent made of `lines`, as `append` would; gives the statement's id."""
        statement_id = self._tail.intent(lines, sql_text)
        while statement_id is None:
            self._make_way()
            statement_id = self._tail.intent(lines, sql_text)
        return statement_id.decode("ascii")

    def append_outcome(
        self,
        lines: Lines,
        statement_id: str,
        rows: int | None,
        bytes_out: int,
        duration_us: int,
        sqlstate: str = "",
    ) -> None:
        """Appends its outcome, as `append` would, with its cost by the prices of `lines`."""
        statement = statement_id.encode("utf-8")
        while not self._tail.outcome(lines, statement, rows, bytes_out, duration_us, sqlstate):
            self._make_way()

    async def wait_synced(self, position: int) -> None:
        """Returns when everything before `position` outlives a power cut. Raises JournalError if not."""
        await self._commit.wait(position)

    def close(self) -> None:
        """Syncs, signs a last checkpoint and gives the folder free. Later appends raise JournalError."""
        with self._tail.lock:
            if self._is_closed:
                return
            self._is_closed, self._tail.is_open = True, False
            self._retire_active()
        self._checkpointed_us = None
        self._commit.stop()
        os.close(self._directory_lock)

    def _require_usable(self) -> None:
        if self._is_closed:
            raise JournalError("the journal is closed")
        if self._disk_error is not None:
            raise JournalError(f"the journal's disk has failed: {self._disk_error.strerror}")

    def _recover_or_leave(self) -> None:
        """Without the folder's lock when that fails: whoever tries again mustn't meet it."""
        try:
            self._recover()
        except BaseException:
            os.close(self._directory_lock)
            raise

    def _recover(self) -> None:
        leftovers = recover(self.directory)
        self._tail.start(leftovers.state)
        if leftovers.state.record_id:
            self.ids.go_on_after(leftovers.state.record_id)
        self._pending = recovery_records(leftovers)
        self._commit.start(leftovers.state.position)
        try:
            self.append([])
        except JournalError:
            self._is_full = True  # the next append tries again, with what recovery has to say first

    def _make_way(self) -> None:
        """What kept the tail from writing is dealt with, or JournalError says that it can't be."""
        with self._tail.lock:
            self._require_usable()
            self._append(self._pending)
            self._pending.clear()
            self._make_room(self._tail.needed_bytes)
            self._is_full, self._tail.is_open = False, True

    def _append(self, records: Sequence[Record]) -> None:
        ready = self._readied(records)
        self._make_room(room_for([record.body for record in ready]))
        for record in ready:
            self._tail.write(record.record_id, record.body)

    def _readied(self, records: Sequence[Record]) -> list[_Ready]:
        """The records with their ids, as they will be hashed."""
        now, ready = self._clock(), []
        for record in records:
            record_id = self.ids.next_at(now)
            body = body_of(completed(record, record_id.decode("ascii"), now))
            if len(body) > MAX_BODY_BYTES:
                raise JournalError("the record is too long")
            ready.append(_Ready(record_id, body))
        return ready

    def _make_room(self, needed_bytes: int) -> None:
        """Begins a new segment if so much doesn't fit; a failed allocation leaves the old one."""
        if self._tail.has_room(needed_bytes):
            return
        try:
            self._require_room(needed_bytes)
            fresh, header = self._fresh_segment(needed_bytes)
        except JournalError:
            self._is_full, self._tail.is_open = True, False
            raise
        self._retire_active()
        self._active, self._is_new_file = fresh, True
        self._tail.move_to(header, fresh.mapping)

    def _require_room(self, needed_bytes: int) -> None:
        """Asked once in a segment's life: what waits for the store must not fill the disk of everybody else."""
        if self._limit_bytes is None:
            return
        waiting = bytes_in(self.directory) + max(self._segment_bytes, needed_bytes)
        if waiting > self._limit_bytes:
            raise JournalError("the journal is full: audit.journal_limit is reached by records that wait for the store")

    def _fresh_segment(self, needed_bytes: int) -> tuple[ActiveSegment, SegmentHeader]:
        state = self._tail.state
        header = SegmentHeader(state.next_sequence, state.position, state.records, state.hash)
        size = max(self._segment_bytes, HEADER_BYTES + needed_bytes)
        return ActiveSegment(self.directory, header, size), header

    def _retire_active(self) -> None:
        if self._active is not None:
            self._tail.leave()
            self._active.unmap()
            self._finished.append(_Finished(self._active, self._tail.end))
            self._active = None

    def _sync(self) -> int:
        """In the sync thread: makes everything appended durable, then signs a checkpoint when one is due."""
        try:
            return self._sync_all()
        except OSError as error:
            with self._tail.lock:
                self._disk_error, self._tail.is_open = error, False
            raise

    def _sync_all(self) -> int:
        with self._tail.lock:
            self._tail.is_sync_due = False
            finished, self._finished = self._finished, []
            # Stays open: a segment's file is closed by `finish`, which is called in this thread alone.
            file = self._active.file if self._active else None
            position, state = self._tail.position, self._tail.state
            is_new_file, self._is_new_file = self._is_new_file, False
        for one in finished:
            one.segment.finish(one.end)
        if file is not None:
            os.fsync(file)
        if is_new_file:
            sync_directory(self.directory)
        self._sign_if_due(state)
        return position

    def _sign_if_due(self, state: ChainState) -> None:
        """A checkpoint that can't be made, for its key or for want of room, is none: the records stand without it."""
        now, before = self._clock(), self._checkpointed_us
        is_due = before is None or not 0 <= now - before < _CHECKPOINT_US  # a clock may go back
        if not is_due or state.records == self._checkpointed_records:
            return
        self._checkpointed_us = now
        try:
            append_checkpoint(self.directory, self._key.signer().sign(_unsigned(self.worker, state, now)))
        except (AuditError, OSError) as error:
            self.signing_problem = str(error)
            return
        self.signing_problem = ""
        self._checkpointed_records = state.records


def _unsigned(worker: int, state: ChainState, now: int) -> Checkpoint:
    return Checkpoint(
        worker=worker,
        sequence=state.next_sequence - 1,
        position=state.position,
        records=state.records,
        record_id=state.record_id,
        hash=state.hash.hex(),
        at=now,
    )


def _make_folder(directory: Path) -> None:
    """It must outlive a power cut as what is synced in it does; an earlier start may have been cut off before."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    sync_directory(directory.parent)


def _lock_directory(directory: Path) -> int:
    """Takes the folder for this process alone: two sidecars in one folder would write two chains into one."""
    file = os.open(directory / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise JournalInUseError(f"another process uses the journal folder {directory}") from error
    return file
