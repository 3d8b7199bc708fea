"""The limit of open files: raised where it can be, told where it is low. Limits are a process's own, so in others."""

import subprocess
import sys

import pytest

_SCRIPT = """
import logging, resource, sys
from proxy.descriptors import raise_limit
logging.basicConfig(format="%(message)s %(fields)s", stream=sys.stdout)
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(raise_limit(), resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "said"),
    [
        (256, 5000, ["5000 (5000, 5000)"]),
        (5000, 5000, ["5000 (5000, 5000)"]),
        (256, 300, ["few files may be open: raise the hard limit (ulimit -Hn, LimitNOFILE)", "300 (300, 300)"]),
    ],
)
def test_the_soft_limit_rises_to_the_hard_one_and_a_low_one_is_told(soft: int, hard: int, said: list[str]) -> None:
    script = _SCRIPT.format(soft=soft, hard=hard)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == len(said)
    for line, begin in zip(lines, said, strict=True):
        assert line.startswith(begin)
    if len(said) > 1:
        assert "'sessions': 100" in lines[0]
