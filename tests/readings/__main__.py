"""``python -m tests.readings`` measures and writes the page. Exit code 1: a share or an answer isn't as it must be."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.compat.sources import SourceMissing, Sources
from tests.readings.figures import LEAST_SHARE, page
from tests.readings.measure import Measured, measure

CACHE = Path("var/compat")
PAGE = Path("docs/readings.md")


def main() -> int:
    try:
        measured = measure(CACHE.absolute() / "readings", Sources(CACHE.absolute()))
    except SourceMissing as error:
        sys.stderr.write(f"not measured: {error}\n")
        return 1
    text = page(measured.all, measured.version, measured.unparseable)
    PAGE.write_text(text, "utf-8")
    sys.stdout.write(text)
    return 0 if is_good(measured) else 1


def is_good(measured: Measured) -> bool:
    are_all_unchanged = measured.everything.unchanged == sum(measured.everything.reaches.values())
    is_enough = min(measured.transparent.share, measured.hiding.share) >= LEAST_SHARE
    return are_all_unchanged and is_enough and not measured.transparent.faults + measured.hiding.faults


if __name__ == "__main__":
    sys.exit(main())
