"""Makes the proof of one record out of the store. Knows no SQL."""

from __future__ import annotations

import re

from audit.errors import ProofError
from audit.proof import Proof, make_proof
from audit.store_seals import StoreSeals, leaves_of

_ID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


async def prove_record(seals: StoreSeals, record_id: str) -> Proof:
    """Raises ProofError: no such record, not sealed yet, not what was sealed; StoreError or StoreUnreachableError."""
    if not _ID.fullmatch(record_id):
        raise ProofError(f"{record_id!r} is no record's id: 32 hex digits")
    chained = await seals.record(record_id)
    if chained is None:
        raise ProofError(f"the store holds no record {record_id}")
    found = await seals.seal_of(chained.chain, chained.sequence)
    if found is None:
        raise ProofError(f"record {record_id} is not sealed yet: that takes an hour at most")
    seal, links = found
    return make_proof(chained.record, chained.sequence, leaves_of(links, seal.first, seal.last), seal)
