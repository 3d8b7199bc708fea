"""The lane's part in a link that sessions share: it runs on the link of now, or keeps a chunk until one is lent.

Only what needs nothing put in place goes through: a link with this session's settings, that owes nobody anything, and
a prepared statement that the link has. All else is `lending`'s, on the long way.
"""

from __future__ import annotations

from proxy.session.conversation import Conversation
from proxy.session.course import Course
from proxy.session.held import Prepared
from proxy.session.lending import Lending
from proxy.session.shared_link import SharedLink

_NAME_AT = 6  # in a Bind to the unnamed portal


class Loan:
    """`link`: what the session has now. `kept`: the client's chunk that waits for one; empty while none does."""

    def __init__(self, conversation: Conversation, lending: Lending) -> None:
        self._c = conversation
        self._lending = lending
        self.link: SharedLink | None = lending.link
        self.kept = b""

    def enter(self) -> bool:
        """Whether the lane may have this session as it stands with its link."""
        self.link = self._lending.link
        return self._lending.is_plain

    def take(self, link: SharedLink) -> bool:
        """Whether the link can be run on as it is; it is this session's then."""
        if not self._lending.begin_quietly(self._c, link):
            return False
        self.link = link
        return True

    def run(self, course: Course, drops_unnamed: bool) -> None:
        """As `Lending.run`, directly before such a statement is sent."""
        link = self.link
        assert link is not None
        if drops_unnamed:
            link.unnamed = None
        if course.may_run_code and link.reads_run_code:
            link.is_unclean = True
        if course.has_sequences:
            link.has_sequences = True
            if link.writes_run_code:
                link.is_unclean = True

    def give_back(self) -> bool:
        """Whether there was a link; it may be anybody's from now on."""
        link = self.link
        if link is None:
            return False
        self.link = self._lending.link = None
        link.settings = self._c.confirmed.track.settings
        return True

    def bound(self, chunk: bytes, name: bytes, prepared: Prepared) -> bytes | None:
        """The chunk, which begins with a Bind to `name`, with the name that the link has for the statement."""
        link = self.link
        assert link is not None
        shared = link.statements.get(prepared.server.key)
        if shared is None or not shared.is_confirmed:
            return None
        size = int.from_bytes(chunk[1:5], "big") - len(name) + len(shared.name)
        return b"B" + size.to_bytes(4, "big") + b"\0" + shared.name + chunk[_NAME_AT + len(name) :]
