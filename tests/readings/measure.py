"""The whole measurement: the suite's queries under three policies, on the server that the suite has filled."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from policies.catalog import Catalog
from policies.model import EffectivePolicy
from proxy.net.introspect import read_catalog
from tests.compat.sources import Sources
from tests.readings import policies
from tests.readings.corpus import Query, queries_of
from tests.readings.database import DATABASE, regression_server, scripts
from tests.readings.figures import Figures
from tests.readings.reading import Reach, Reading, reach_of, read_all
from tests.readings.running import Answer, Runner


@dataclass(frozen=True, slots=True)
class Measured:
    version: str
    unparseable: int
    everything: Figures
    transparent: Figures
    hiding: Figures

    @property
    def all(self) -> list[Figures]:
        return [self.everything, self.transparent, self.hiding]


def measure(folder: Path, sources: Sources) -> Measured:
    """`folder` keeps the server. Raises SourceMissing."""
    suite = scripts(sources)
    queries, unparseable = queries_of(suite)
    with regression_server(folder, sources) as dsn, tempfile.TemporaryDirectory() as place:
        catalog = asyncio.run(read_catalog(dsn, database=DATABASE))
        everything = Figures("everything")
        everything.read(read_all(queries, policies.everything(Path(place), catalog), catalog))
        runner = Runner(dsn)
        over_tables = [query for query in queries if reach_of(query, catalog) is Reach.TABLES]
        measuring = _Measuring(over_tables, catalog, runner, {})
        transparent = measuring.figures("transparent", policies.transparent(Path(place), catalog))
        hiding = measuring.figures("hiding", policies.hiding(Path(place), catalog))
        runner.close()
    return Measured(suite.parents[3].name.rpartition("-")[2], unparseable, everything, transparent, hiding)


@dataclass(frozen=True, slots=True)
class _Measuring:
    queries: list[Query]
    catalog: Catalog
    runner: Runner
    plain: dict[Query, Answer]

    def figures(self, name: str, policy: EffectivePolicy) -> Figures:
        figures = Figures(name)
        readings = read_all(self.queries, policy, self.catalog)
        figures.read(readings)
        for reading in readings:
            plain, shown = self._plain(reading.query), self._shown(reading)
            figures.run(reading, plain, shown, is_transparent=name == "transparent")
        return figures

    def _plain(self, query: Query) -> Answer:
        found = self.plain.get(query)
        if found is None:
            found = self.plain[query] = self.runner.run(query.text, query.path)
        return found

    def _shown(self, reading: Reading) -> Answer | None:
        if reading.decision.refusal is not None:
            return None
        return self.runner.run(reading.decision.text, reading.query.path)
