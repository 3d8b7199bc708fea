"""`make soak MINUTES=10`: mixed traffic for that long, then the books are checked; writes docs/soak.md."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.fix_pgwarden import ROOT, run_pgwarden
from tests.soak.report import write
from tests.soak.roomy import roomy_server
from tests.soak.run import Plan, soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, default=ROOT / "docs", help="the folder for soak.md and soak.svg")
    given = parser.parse_args()
    plan = Plan(given.minutes * 60, given.clients, sample_s=max(1.0, given.minutes / 5), seed=given.seed)
    with tempfile.TemporaryDirectory(prefix="pgwarden-soak-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)  # as root, the server runs as another user
        (folder / "pgwarden").mkdir()
        os.environ["STATE_DIRECTORY"] = name
        with (
            roomy_server(folder, 200) as server,
            run_pgwarden(folder / "pgwarden", server, workers=given.workers) as pgwarden,
        ):
            outcome = soak(pgwarden, plan)
            command = f"make soak MINUTES={given.minutes:g} WORKERS={given.workers}"
            write(given.report, outcome, command, server.version, given.workers)
    sys.stdout.write("\n".join(outcome.problems or ["no problems found"]) + "\n")
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
