"""What happens when a statement reaches its limit of rows, bytes or time: an error, or the result so far.

A result that is cut short looks like a whole one with a NOTICE. The server's statement is cancelled where nobody can
tell; elsewhere a cancel would undo what the client believes done, and the rest is read unseen.
"""

from __future__ import annotations

import re
from typing import Final

from policies.compile.copy_header import asks_for_header
from policies.limits import Limit, cut_off, truncated
from policies.model import AtCap
from proxy.session.conversation import Conversation, SessionEnds
from proxy.session.held import Account
from proxy.session.queue import Item, Kind
from proxy.wire import messages as m
from proxy.wire.codec import encode
from proxy.wire.errors import notice_response

CUT_SHORT: Final = "01000"  # of the NOTICE and of the outcome's record
_WRITES: Final = frozenset({"insert", "update", "delete", "merge", "call"})
_BY_NAME: Final = frozenset({"execute", "prepare"})
_CANCELLED: Final = frozenset({"select", "copy"})
# Words that any writing statement holds, also inside of a WITH; too often is harmless.
_WRITING: Final = re.compile(r"\b(?:insert|update|delete|merge)\b", re.IGNORECASE)
_RETURNING: Final = re.compile(r"\breturning\b", re.IGNORECASE)
# What a statement alone may do besides writing, and a cancel would undo.
_UNDONE: Final = re.compile(r"\b(?:insert|update|delete|merge|set_config|pg_notify)\b", re.IGNORECASE)
_COUNTED_TAGS: Final = frozenset({b"SELECT", b"FETCH", b"COPY"})
_UNCOUNTED_TAG: Final = b"EXPLAIN"
_BINARY: Final = 1
_BINARY_HEAD: Final = encode(m.CopyData(b"PGCOPY\n\xff\r\n\0" + bytes(8)))
_BINARY_END: Final = encode(m.CopyData(b"\xff\xff"))
_COPY_DONE: Final = encode(m.CopyDone())


class Caps:
    def __init__(self, conversation: Conversation) -> None:
        self._c = conversation

    def reach(self, head: Item, account: Account, limit: Limit) -> None:
        """The statement that is being answered has given all it may."""
        limits = account.plan.limits
        account.limit_rule = cut_off(limits, limit).rule
        self._c.services.count_limit(limit)
        if limits.at_cap is AtCap.TRUNCATE and limit is not Limit.RUNTIME and not _is_write(account):
            account.cut_at = limit
            account.is_cancelled = self._is_cancel_unseen(head, account)
            if account.is_cancelled:
                self._c.cancel()
        else:
            self._c.fail_late(cut_off(limits, limit))
            self._c.cancel()

    def _is_cancel_unseen(self, head: Item, account: Account) -> bool:
        """Whether nothing but this statement's rows is lost with it: it stands alone and writes nothing."""
        c = self._c
        plan = account.plan
        if c.status != b"I" or c.has_run or plan.command not in _CANCELLED or _UNDONE.search(plan.text):
            return False
        kinds = [item.kind for item in c.queue]
        is_alone = kinds == [Kind.QUERY] if head.kind is Kind.QUERY else kinds == [Kind.EXECUTE, Kind.SYNC]
        return is_alone and len(head.accounts) == 1 and not self._may_call()

    def _may_call(self) -> bool:
        """A function of somebody's may have written something."""
        try:
            return bool(self._c.policy().functions_allow)
        except SessionEnds:
            return True

    # the end of a result that was cut short

    def complete(self, head: Item, account: Account, tag: bytes) -> bytes | None:
        """The tag for the client, which has got NOTICE and CommandComplete; None: it has got an error.

        `tag` is the server's, b"" where it gave none.
        """
        assert account.cut_at is not None
        verb = tag.partition(b" ")[0] or _verb_of(account)
        limits = account.plan.limits
        if verb not in _COUNTED_TAGS and verb != _UNCOUNTED_TAG:
            self._c.fail_late(cut_off(limits, account.cut_at))
            return None
        shown = verb if verb == _UNCOUNTED_TAG else b"%s %d" % (verb, _rows_shown(head, account))
        notice = truncated(limits, account.cut_at)
        text = f"{notice.message} (rule {notice.rule})"
        if verb == b"COPY":
            self._c.send_client(_end_of_copy(head, account))
        self._c.send_client(notice_response("NOTICE", notice.sqlstate, text, notice.detail, notice.hint))
        self._c.send_client(encode(m.CommandComplete(shown)))
        if head.portal is not None:
            # Run again, the server would give the rest.
            head.portal.count(account.rows, account.bytes_out)
        return shown


def _is_write(account: Account) -> bool:
    """Whether the result belongs to a write: half an answer would hide what was done."""
    plan = account.plan
    if plan.command in _WRITES:
        return True
    reads = account.run.reads
    texts = (plan.text, "" if reads is None else reads.held.sql)
    if plan.command in _BY_NAME:
        return any(map(_WRITING.search, texts))
    # A WITH, or a COPY of what a statement returns.
    return plan.command in _CANCELLED and bool(_WRITING.search(plan.text) and _RETURNING.search(plan.text))


def _verb_of(account: Account) -> bytes:
    return b"COPY" if account.plan.command == "copy" else b"SELECT"


def _rows_shown(head: Item, account: Account) -> int:
    """By this message: not those before a portal was suspended, nor a header."""
    return max(
        0, account.rows - account.rows_suspended - (account.plan.command == "copy" and has_header(head, account))
    )


def has_header(head: Item, account: Account) -> bool:
    """Whether the first message of COPY data holds names: in text and CSV, when the statement asks for it."""
    return head.copy_format != _BINARY and asks_for_header(account.plan.text)


def _end_of_copy(head: Item, account: Account) -> bytes:
    if head.copy_format != _BINARY:
        return _COPY_DONE
    begin = b"" if account.bytes_out else _BINARY_HEAD
    return begin + _BINARY_END + _COPY_DONE
