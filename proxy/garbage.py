"""Python's cycle collector in a process that has started: what it walks, and how often.

Sessions that close free themselves by counting references; the collector is there for what is odd. Code, policies and
catalogs are no garbage for as long as the process lives, and walking them takes longer than all the rest.
"""

from __future__ import annotations

import gc
from typing import Final

# So many more objects made than freed before the young are looked at. Python's own 700 is a few statements' worth.
_YOUNG: Final = 20_000
_MIDDLE: Final = 20


def settle() -> None:
    """Once, when all that stays is there: it is never walked again, and the rest seldom."""
    gc.collect()
    gc.freeze()
    _, _, old = gc.get_threshold()
    gc.set_threshold(_YOUNG, _MIDDLE, old)
