"""How many files this process may have open. A session takes two: its client's link and its server's."""

from __future__ import annotations

import logging
import resource
from typing import Final

# Below it, a pooler's usual number of clients wouldn't fit. What isn't a session takes about a hundred.
FEW: Final = 4096
_OWN: Final = 100

log = logging.getLogger("pgwarden.descriptors")


def raise_limit() -> int:
    """Raises the soft limit to the hard one, for this process and those it starts; gives what holds then.

    The soft one is 1024 nearly everywhere, for the sake of programs that use select(); this one doesn't.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):  # macOS says "unlimited" and takes less
            log.warning("the limit of open files stays", extra={"fields": {"limit": soft}})
    if soft != resource.RLIM_INFINITY and soft < FEW:
        fields = {"limit": soft, "sessions": max(0, (soft - _OWN) // 2)}
        log.warning("few files may be open: raise the hard limit (ulimit -Hn, LimitNOFILE)", extra={"fields": fields})
    return soft
