"""Statements that once differed, replayed in every run: each a file, a comment with what was wrong, then the text."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.oracle.hunt import FAULTS, Finding, Hunter
from tests.oracle.pipe import Path as Way
from tests.oracle.pipe import Statement
from tests.oracle.shrink import shrunk
from tests.oracle.sieve import Sieve
from tests.oracle.stand import open_stand, server_of

FOLDER = Path(__file__).with_name("counterexamples")
_PARAMETERS = "-- parameters: "
_ORDERED = "-- ordered"


@dataclass(frozen=True, slots=True)
class Counterexample:
    name: str
    sql: str
    parameters: tuple[bytes, ...]
    is_ordered: bool = False

    def statements(self) -> list[Statement]:
        """One for each way on which it can be sent."""
        ways = [way for way in Way if way is not Way.SIMPLE or not self.parameters]
        return [Statement(0, self.sql, way, self.parameters, is_ordered=self.is_ordered) for way in ways]


def read_counterexamples() -> list[Counterexample]:
    return [_read(place) for place in sorted(FOLDER.glob("*.sql"))]


def _read(place: Path) -> Counterexample:
    lines = place.read_text("utf-8").splitlines()
    listed = [json.loads(line.removeprefix(_PARAMETERS)) for line in lines if line.startswith(_PARAMETERS)]
    sql = "\n".join(line for number, line in enumerate(lines) if not (line.startswith("-- ") and number < 3))
    parameters = tuple(value.encode() for value in (listed[0] if listed else ()))
    return Counterexample(place.stem, sql, parameters, _ORDERED in lines)


def keep(folder: Path, into: Path) -> str:
    """Shrinks a run's findings and writes a file for each that still differs; what it did, in words."""
    entries = [json.loads(line) for line in (folder / "findings.jsonl").read_text("utf-8").splitlines()]
    into.mkdir(parents=True, exist_ok=True)
    done = []
    for kind in sorted({entry["server"] for entry in entries}):
        with (
            tempfile.TemporaryDirectory(prefix="oracle-") as scratch,
            server_of(kind, Path(scratch)) as server,
            open_stand(server, Path(scratch)) as stand,
        ):
            hunter = Hunter(stand, Sieve(stand.canaries))
            done += [_kept(hunter, entry, into) for entry in entries if entry["server"] == kind]
            hunter.close()
    return "\n".join([*done, ""])


def _kept(hunter: Hunter, entry: dict[str, Any], into: Path) -> str:
    way, parameters = Way(entry["path"]), tuple(value.encode() for value in entry["parameters"])

    def found(sql: str) -> Sequence[Finding]:
        return hunter.hunt([Statement(entry["number"], sql, way, parameters, is_ordered=entry["is_ordered"])])

    name = f"seed-{entry['seed']}-{entry['number']}"
    if not found(entry["sql"]):
        return f"{name}: no difference any more"
    small = shrunk(entry["sql"], lambda sql: [f.verdict.value for f in found(sql)] == [entry["verdict"]])
    last = found(small)
    what = " ".join(last[0].what.split())[:200] if last else entry["what"][:200]
    lines = [f"-- {entry['verdict']} on PostgreSQL {entry['server']}, {way.value}: {what}"]
    lines += [_ORDERED] if entry["is_ordered"] else []
    lines += [_PARAMETERS + json.dumps(entry["parameters"], ensure_ascii=False)] if parameters else []
    (into / f"{name}.sql").write_text("\n".join([*lines, small, ""]), "utf-8")
    return f"{name}: {small}"


def still_wrong(hunter: Hunter, example: Counterexample) -> list[str]:
    """What is wrong with it on this stand, for each way on which it is sent."""
    found = hunter.hunt(example.statements())
    return [f"{f.statement.path.value}: {f.verdict.value}: {f.what}" for f in found if f.verdict in FAULTS]
