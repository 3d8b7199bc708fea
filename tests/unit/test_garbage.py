"""The collector after the start, in a process of its own: its settings hold for all of one."""

import subprocess
import sys

_SCRIPT = """
import gc
from proxy.garbage import settle
kept = [[] for _ in range(1000)]
before = gc.get_threshold()
settle()
after = gc.get_threshold()
print(gc.get_freeze_count() > 1000, gc.isenabled(), after[0] > 10 * before[0], after[2] == before[2])
ring = []
ring.append(ring)
del ring
print(gc.collect() >= 1)
"""


def test_what_stays_is_frozen_and_the_rest_is_still_collected() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 5
