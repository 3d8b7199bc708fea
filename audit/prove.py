"""Makes the proof of one record out of the store. Knows no SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping

from audit.errors import ProofError
from audit.proof import Proof, make_proof
from audit.ring import Ring
from audit.seal import Seal, is_seal_true
from audit.store_seals import StoreSeals, leaves_of

_ID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


async def prove_record(seals: StoreSeals, record_id: str, rings: Mapping[str, Ring] | None = None) -> Proof:
    """`rings`: public keys by what their chains' names begin with.

    Raises ProofError: no such record, not sealed yet, not what was sealed; StoreError or StoreUnreachableError.
    """
    if not _ID.fullmatch(record_id):
        raise ProofError(f"{record_id!r} is no record's id: 32 hex digits")
    chained = await seals.record(record_id)
    if chained is None:
        raise ProofError(f"the store holds no record {record_id}")
    found = await seals.seal_of(chained.chain, chained.sequence)
    if found is None:
        raise ProofError(f"record {record_id} is not sealed yet: that takes an hour at most")
    seal, links = found
    leaves = leaves_of(links, seal.first, seal.last)
    return make_proof(chained.record, chained.sequence, leaves, seal, _signer_of(seal, rings or {}))


def _signer_of(seal: Seal, rings: Mapping[str, Ring]) -> str:
    """The fingerprint of the key that signed it, if it is one of these."""
    ring = rings.get(seal.chain.partition("/")[0], Ring())
    signed = (entry.fingerprint for entry in ring.entries if is_seal_true(seal, entry.public_key))
    return next(signed, "")
