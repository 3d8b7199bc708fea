"""Which keys count for which chain: those that an auditor was given, and those that they vouch for. Reads nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.findings import Findings
from audit.ring import Ring, fingerprint_of


@dataclass(frozen=True, slots=True)
class Trust:
    """`roots`: the keys that were given; `rings`: who vouches for whom, by what the chains' names begin with."""

    roots: Sequence[Ed25519PublicKey] = ()
    rings: Mapping[str, Ring] = field(default_factory=dict)

    def keys_of(self, chain: str) -> list[Ed25519PublicKey] | None:
        """In the order in which they were in use; None where nothing that was given leads to this chain."""
        origin = chain.partition("/")[0]
        ring = self.rings.get(origin)
        if ring is not None and ring.entries and ring.origin == origin:
            return ring.trusted(self.roots) or None
        return [root for root in self.roots if fingerprint_of(root) == origin] or None

    def tell_gaps(self, findings: Findings) -> None:
        """Keys that no given one leads to, beside one that is: what they signed isn't believed."""
        for origin, ring in self.rings.items():
            if not ring.entries or ring.origin != origin:
                findings.add(
                    f"keys {origin}", 0, "", "the list of keys doesn't begin with the key that names the chains"
                )
                continue
            untrusted = ring.untrusted(self.roots)
            if len(untrusted) == len(ring.entries):
                continue
            for entry in untrusted:
                message = f"{entry.fingerprint} isn't vouched for: the key before it was lost, or somebody put it there"
                findings.add(f"keys {origin}", 0, "", f"{message}; if it is yours, give it as a public key, too")


class KeysInTurn:
    """Finds who signed, one thing after the other: once a new key has signed, those before it don't count."""

    def __init__(self, keys: Collection[Ed25519PublicKey]) -> None:
        self._keys = list(keys)

    def is_true(self, is_signed_by: Callable[[Ed25519PublicKey], bool]) -> bool:
        for index, key in enumerate(self._keys):
            if is_signed_by(key):
                del self._keys[:index]
                return True
        return False
