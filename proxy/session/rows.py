"""The rows of an open session: counted, capped, masked, or passed as slices of the buffer.

Fails closed: rows without a plan, masks that can't be placed and rows too large to look into aren't shown.
"""

from __future__ import annotations

from policies.decision import Plan, Refusal
from policies.limits import Limit
from proxy.session.caps import Caps, has_header
from proxy.session.conversation import Buffer, Conversation, Unexpected
from proxy.session.held import Account
from proxy.session.queue import Item, Kind, MaskMismatch, RowMasks, place_masks
from proxy.wire.rows import mask_rows

_ROW, _COPY_DATA = ord("D"), ord("d")
_BINARY = 1
_BINARY_END = b"d\0\0\0\6\xff\xff"  # binary COPY data end in a message of their own: -1 for a number of columns


class Rows:
    def __init__(self, conversation: Conversation) -> None:
        self._c = conversation
        self._caps = Caps(conversation)

    @property
    def caps(self) -> Caps:
        return self._caps

    def receive(self, buffer: bytes, start: int, end: int, count: int) -> None:
        c = self._c
        head = self._c.head_of(Kind.QUERY, Kind.EXECUTE)
        if c.is_late:
            return
        account = head.account
        if account is None:
            if not head.is_open:
                raise Unexpected("rows without a plan")
            c.forward(buffer, start, end)
            return
        require_held(c, head)
        if account.plan.is_all_hidden or account.cut_at is not None:
            return
        limits = account.plan.limits
        if limits.rows is None and limits.bytes is None:
            self._show_rows(head, account, buffer, start, end, count)
            return
        left = self._rows_left(head, account)
        is_over = left is not None and count > left
        if is_over and left is not None:
            count = left
            end = _end_of_rows(buffer, start, count)
        if count and not self._show_rows(head, account, buffer, start, end, count):
            return
        if is_over:
            self._caps.reach(head, account, Limit.ROWS)

    def _rows_left(self, head: Item, account: Account) -> int | None:
        limit = account.plan.limits.rows
        if limit is None:
            return None
        before = account.rows_before + (0 if head.portal is None else head.portal.fetched)
        return max(0, limit - before - account.rows)

    def _show_rows(self, head: Item, account: Account, buffer: bytes, start: int, end: int, count: int) -> bool:
        """False when not all of them may go on."""
        if not needs_masks(head):
            return self._pass_frames(head, account, buffer, start, end, count)
        masks = self._masks_of(head)
        if masks is None:
            return False
        masked = mask_rows(buffer, start, end, masks.columns, masks.column_count, masks.hidden_count)
        account.masked_cells += count * len(masks.columns)
        return self._pass_frames(head, account, masked, 0, len(masked), count)

    def _pass_frames(self, head: Item, account: Account, buffer: Buffer, start: int, end: int, count: int) -> bool:
        """Rows or COPY data as the client gets them, as far as the limit of bytes lets them; whether it did."""
        left = _bytes_left(head, account)
        is_over = left is not None and end - start > left
        if is_over and left is not None:
            count, end = _fitting(buffer, start, end, left)
        if end > start:
            self._c.forward(buffer, start, end)
        account.bytes_out += end - start
        account.rows += count
        if is_over:
            self._caps.reach(head, account, Limit.BYTES)
        return not is_over

    def _masks_of(self, head: Item) -> RowMasks | None:
        """Where the masks go; None when they can't be placed, and the client has been told."""
        if head.masks is not None:
            return head.masks
        fields = None if head.portal is None else head.portal.statement.server.fields
        if head.portal is None or fields is None or head.plan is None:
            raise Unexpected("rows before their description")
        try:
            head.masks = place_masks(head.plan, fields, head.portal.result_formats)
        except MaskMismatch:
            self.refuse_masks()
        return head.masks

    def refuse_masks(self) -> None:
        refusal = Refusal(
            "0A000",
            "pgwarden/masks",
            "the columns that arrived are not those that the plan masks",
            hint="The table may have changed just now; try again.",
        )
        self._c.fail_late(refusal)
        self._c.cancel()

    def cut_by_time(self) -> None:
        """The statement that is being answered has taken all the time it may."""
        head = self._c.queue[0]
        account = head.account or head.accounts[-1]
        self._caps.reach(head, account, Limit.RUNTIME)

    def receive_copy_data(self, buffer: bytes, start: int, end: int, count: int) -> None:
        head = require_copy(self._c)
        account = head.account
        if self._c.is_late:
            return
        if account is None:
            self._c.forward(buffer, start, end)
            return
        if account.cut_at is not None:
            return
        shown = self._copy_data_left(head, account, count)
        cut = end if shown == count else _end_of_rows(buffer, start, shown)
        if head.copy_format == _BINARY and buffer[cut:end] == _BINARY_END:
            cut = end
        if self._show_copy_data(head, account, buffer, start, cut, shown) and cut < end:
            self._caps.reach(head, account, Limit.ROWS)

    def _show_copy_data(self, head: Item, account: Account, buffer: bytes, start: int, end: int, count: int) -> bool:
        """False when not all of them may go on."""
        masks = account.plan.copy_masks
        if masks is None:
            return self._pass_frames(head, account, buffer, start, end, count)
        if head.copy_rows is None:
            raise Unexpected("COPY data before their description")
        masked, row_count = head.copy_rows.mask(buffer, start, end)
        account.masked_cells += row_count * len(masks.columns)
        return self._pass_frames(head, account, masked, 0, len(masked), count)

    def _copy_data_left(self, head: Item, account: Account, count: int) -> int:
        """How many of so many messages may go on: one for each row, and one for a header in text."""
        left = self._rows_left(head, account)
        if left is None:
            return count
        limit = account.plan.limits.rows or 0
        return max(0, min(count, limit + has_header(head, account) - account.rows))

    # frames too large to wait for

    def may_pass_part(self, type_byte: int) -> bool:
        """Whether a frame of this type may go on before its end is here: nobody has to look inside."""
        if type_byte == _COPY_DATA:
            return self._may_pass_copy_part(require_copy(self._c))
        if type_byte != _ROW:
            return False
        head = self._c.head_of(Kind.QUERY, Kind.EXECUTE)
        require_held(self._c, head)
        is_known = head.account is not None or head.is_open
        is_limited = head.plan is not None and head.plan.limits.rows is not None
        is_dropped = self._c.is_late or (head.account is not None and head.account.cut_at is not None)
        return is_dropped or (is_known and not needs_masks(head) and not is_limited)

    def _may_pass_copy_part(self, head: Item) -> bool:
        is_masked = head.plan is not None and head.plan.copy_masks is not None
        return not is_masked or self._c.is_late or (head.account is not None and head.account.cut_at is not None)

    def begin_part(self, buffer: bytes, start: int, end: int) -> None:
        """The first part of a frame that is handed on in parts: one row."""
        head = self._c.head_of(Kind.QUERY, Kind.EXECUTE)
        account = head.account
        if account is not None and not self._c.is_late and account.cut_at is None:
            left = _bytes_left(head, account)
            if buffer[start] == _COPY_DATA and not self._copy_data_left(head, account, 1):
                self._caps.reach(head, account, Limit.ROWS)
            elif left is not None and _frame_bytes(buffer, start) > left:
                self._caps.reach(head, account, Limit.BYTES)
            else:
                account.rows += 1
        self.pass_part(buffer, start, end)

    def pass_part(self, buffer: bytes, start: int, end: int) -> None:
        """A part of such a frame; thrown away when the client was told of an error before it began."""
        if self._c.is_late:
            return
        account = self._c.head_of(Kind.QUERY, Kind.EXECUTE).account
        if account is not None:
            if account.cut_at is not None:
                return
            account.bytes_out += end - start
        self._c.forward(buffer, start, end)

    def refuse_large(self) -> None:
        """A row above the cap that would have to be held in memory."""
        refusal = Refusal(
            "54000",
            "pgwarden/row_size",
            "a row is too large to be masked or counted",
            hint="Ask for fewer or smaller columns.",
        )
        self._c.fail_late(refusal)
        self._c.cancel()


def needs_masks(head: Item) -> bool:
    plan = head.plan
    return plan is not None and changes_rows(plan)


def changes_rows(plan: Plan) -> bool:
    """Whether rows can't pass as they come: columns are masked in the stream or hidden."""
    return bool(plan.column_masks) or plan.hidden_columns > 0


def require_held(c: Conversation, head: Item, is_rows: bool = True) -> None:
    """Whose rows these are. Raises Unexpected when another thing stands under a name than what was decided."""
    account = head.account
    if account is None or account.is_verified or head.is_open:
        return
    names = c.confirmed.names
    reads = account.run.reads
    if account.plan.command == "move" and is_rows:
        raise Unexpected("rows of a statement that gives none")
    if reads is not None and not names.is_held(reads):
        raise Unexpected("a statement reads by name what wasn't decided")
    if reads is None and head.kind is Kind.EXECUTE and names.portal(head.name) is not head.portal:
        raise Unexpected("another portal ran than the one that was decided")
    account.is_verified = head.kind is not Kind.EXECUTE


def require_copy(c: Conversation) -> Item:
    """The item whose COPY this is. Raises Unexpected where no plan allowed one."""
    head = c.head_of(Kind.QUERY, Kind.EXECUTE)
    is_copy = head.plan is not None and head.plan.command.startswith("copy")
    if not head.is_open and not is_copy:
        raise Unexpected("COPY that no plan allowed")
    return head


def _bytes_left(head: Item, account: Account) -> int | None:
    limit = account.plan.limits.bytes
    if limit is None:
        return None
    before = account.bytes_before + (0 if head.portal is None else head.portal.fetched_bytes)
    return max(0, limit - before - account.bytes_out)


def _frame_bytes(buffer: Buffer, at: int) -> int:
    return 1 + int.from_bytes(buffer[at + 1 : at + 5], "big")


def _fitting(buffer: Buffer, start: int, end: int, size: int) -> tuple[int, int]:
    """How many whole frames fit into so many bytes, and the end of the last one."""
    at, count = start, 0
    while at < end and (after := at + _frame_bytes(buffer, at)) - start <= size:
        at, count = after, count + 1
    return count, at


def _end_of_rows(buffer: bytes, start: int, count: int) -> int:
    at = start
    for _ in range(count):
        at += _frame_bytes(buffer, at)
    return at
