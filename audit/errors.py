"""What can go wrong while remembering. Knows nothing of sessions or SQLSTATEs: the proxy turns these into
refusals.
"""

from __future__ import annotations


class AuditError(Exception):
    """Base of every error of this package. Its text never quotes data of a statement."""


class JournalError(AuditError):
    """A record can't be written (disk full, failing disk, journal closed): the statement may not run."""


class JournalInUseError(JournalError):
    """Another process has the journal open; it may be about to end."""


class CorruptJournalError(AuditError):
    """A journal can't be read as what it claims to be (foreign file, unknown version, unreadable key)."""


class SigningKeyError(AuditError):
    """The journal's signing key is missing, or isn't the one that the journal is signed with."""


class StoreError(AuditError):
    """The store answered with an error that waiting doesn't cure (missing right, foreign schema)."""


class StoreUnreachableError(AuditError):
    """The store can't be reached now; what was to be sent stays in the journal."""


class FilterError(AuditError):
    """A filter of `audit query` can't be understood."""


class ProofError(AuditError):
    """A proof doesn't hold, or none can be made."""


class SealError(AuditError):
    """What the store holds isn't what was shipped: somebody has changed it."""


class BusError(AuditError):
    """The bus answered with a refusal (full stream, missing right, a stream that would lose records)."""


class BusUnreachableError(AuditError):
    """The bus can't be reached now, or the connection was lost; what was to be sent stays in the journal."""


class ForeignRunError(AuditError):
    """What came over the bus isn't what a sidecar sent: it has no true signature."""


class NewerRunError(AuditError):
    """What came over the bus was sent by a newer pgwarden and can't be read without loss."""


class ExportError(AuditError):
    """Records can't be written where they were to go."""
