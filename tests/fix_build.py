"""PGWARDEN_PURE=1 runs the interpreted hot modules though compiled ones lie beside them.

A finder before all others: Python itself prefers an extension module to the source of the same name.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

from proxy.build import hot_modules

HOT_MODULES = frozenset(hot_modules())


class SourceFinder:
    """Finds the hot modules' sources and leaves everything else to the other finders."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        compiled = PathFinder.find_spec(name, path, target) if name in HOT_MODULES else None
        if compiled is None or compiled.origin is None:
            return None
        source = Path(compiled.origin).parent / (name.rpartition(".")[2] + ".py")
        return spec_from_file_location(name, source, loader=SourceFileLoader(name, str(source)))


def prefer_sources() -> None:
    """Installs the finder. RuntimeError if a hot module is there already: it would be the compiled one."""
    if loaded := HOT_MODULES & sys.modules.keys():
        raise RuntimeError(f"imported before PGWARDEN_PURE could have a say: {sorted(loaded)}")
    sys.meta_path.insert(0, SourceFinder())


if os.environ.get("PGWARDEN_PURE") == "1":
    prefer_sources()
