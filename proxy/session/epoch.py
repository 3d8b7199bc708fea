"""One number that rises whenever policies, prices or a catalog change: what was looked up under it holds until then."""

from __future__ import annotations


class Epoch:
    """Shared by those who change something and those who remember what they looked up. `number` only rises."""

    def __init__(self) -> None:
        self.number = 0

    def advance(self) -> None:
        self.number += 1
