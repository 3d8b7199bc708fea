"""Fills what is known of names into each catalog snapshot, and keeps it over restarts."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from policies.catalog import Catalog
from policies.known_names import Memory, follow, with_remembered
from policies.model import PolicySet
from proxy.net.names_file import NamesFileError, lock_names, mark_of, read_names, write_names

log = logging.getLogger("pgwarden.names")


class KnownNames:
    """`policies`: the set of now, None before the first is loaded. Raises NamesFileError for a file that can't be read.

    `problem`: why the file isn't up to date, empty when it is; what is known holds for this process all the same.
    """

    def __init__(self, path: Path, policies: Callable[[], PolicySet | None]) -> None:
        self._path = path
        self._policies = policies
        self._seen = mark_of(path)
        self._memories: dict[str, Memory] = read_names(path)
        self._is_written = True
        self.problem = ""

    def fill(self, catalog: Catalog) -> Catalog:
        """The snapshot with former names, newcomers and remembered names; its version stays."""
        policies = self._policies()
        known = self._memories.get(catalog.database)
        if policies is None:
            return with_remembered(catalog, known)
        with self._alone():
            known = self._memories.get(catalog.database)
            memory, filled = follow(known, policies, catalog)
            if memory != known or not self._is_written:
                self._memories[catalog.database] = memory
                self._write()
        _tell(known, memory, filled)
        return filled

    @contextmanager
    def _alone(self) -> Generator[None, None, None]:
        """One worker at a time goes on from what the others have written."""
        try:
            lock = lock_names(self._path)
        except NamesFileError as error:
            self._has_failed(error)
            yield
            return
        try:
            self._look_again()
            yield
        finally:
            os.close(lock)

    def _look_again(self) -> None:
        mark = mark_of(self._path)
        if mark is None or mark == self._seen or not self._is_written:
            return
        try:
            self._memories = read_names(self._path)
        except NamesFileError as error:
            self._has_failed(error)
        self._seen = mark

    def _write(self) -> None:
        try:
            write_names(self._path, self._memories)
        except NamesFileError as error:
            self._has_failed(error)
        else:
            self.problem, self._is_written = "", True
            self._seen = mark_of(self._path)

    def _has_failed(self, error: NamesFileError) -> None:
        if not self.problem:
            log.error("%s", error)
        self.problem, self._is_written = str(error), False


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
