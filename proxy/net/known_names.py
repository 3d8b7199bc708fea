"""Fills what is known of names into each catalog snapshot, and keeps it over restarts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from policies.catalog import Catalog
from policies.known_names import Memory, follow, with_remembered
from policies.model import PolicySet
from proxy.net.names_file import NamesFileError, read_names, write_names

log = logging.getLogger("pgwarden.names")


class KnownNames:
    """`policies`: the set of now, None before the first is loaded. Raises NamesFileError for a file that can't be read.

    `problem`: why the file isn't up to date, empty when it is; what is known holds for this process all the same.
    """

    def __init__(self, path: Path, policies: Callable[[], PolicySet | None]) -> None:
        self._path = path
        self._policies = policies
        self._memories: dict[str, Memory] = read_names(path)
        self._is_written = True
        self.problem = ""

    def fill(self, catalog: Catalog) -> Catalog:
        """The snapshot with former names, newcomers and remembered names; its version stays."""
        policies = self._policies()
        known = self._memories.get(catalog.database)
        if policies is None:
            return with_remembered(catalog, known)
        memory, filled = follow(known, policies, catalog)
        if memory != known or not self._is_written:
            self._memories[catalog.database] = memory
            self._write()
        _tell(known, memory, filled)
        return filled

    def _write(self) -> None:
        try:
            write_names(self._path, self._memories)
        except NamesFileError as error:
            if not self.problem:
                log.error("%s", error)
            self.problem, self._is_written = str(error), False
        else:
            self.problem, self._is_written = "", True


def _tell(known: Memory | None, memory: Memory, catalog: Catalog) -> None:
    """What an operator should hear once: at each change of what is remembered."""
    if known is not None and known.identity != memory.identity:
        log.warning("another database stands under this name", extra={"fields": {"database": catalog.database}})
    if known == memory:
        return
    for oid, former in catalog.former_names.items():
        now = catalog.by_oid[oid]
        fields = {"relation": f"{now.schema}.{now.name}", "rules_of": [f"{f.schema}.{f.table}" for f in former]}
        log.warning("rules follow a relation to its new name", extra={"fields": fields})
