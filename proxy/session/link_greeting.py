"""The login of a server link that sessions share, until its first ReadyForQuery. Bytes in, bytes out.

It knows no client: what the server says then is what clients of the pool are greeted with.
"""

from __future__ import annotations

from proxy.session.conversation import SessionEnds, Unexpected
from proxy.session.ports import Channel, Gateway
from proxy.session.server_greeting import check_attributes, refusal_of
from proxy.session.shared_link import LinkKind, SharedLink
from proxy.session.upstream_login import LoginImpossible, UpstreamLogin
from proxy.wire import messages as m
from proxy.wire.codec import decode_backend, encode
from proxy.wire.frames import FrameCutter


class LinkGreeting:
    """`startup_packet` first, then `receive` until there is a `link`. `random_bytes`: 22 of them."""

    def __init__(self, gateway: Gateway, channel: Channel | None, kind: LinkKind, random_bytes: bytes) -> None:
        self._gateway = gateway
        self._kind = kind
        self._token = random_bytes[:4].hex().encode()
        self._login = UpstreamLogin(gateway, channel, random_bytes[4:])
        self._cutter = FrameCutter()
        self._reported: dict[bytes, bytes] = {}
        self._key: m.BackendKeyData | None = None
        self._has_asked = False
        self.link: SharedLink | None = None

    def startup_packet(self) -> bytes:
        own = {b"user": self._gateway.user.encode(), b"database": self._gateway.database.encode()}
        return encode(m.StartupMessage(m.PROTOCOL_3_0, own | dict(self._kind.startup)))

    def receive(self, chunk: bytes) -> bytes:
        """What goes back. Raises SessionEnds (ServerUnfit where another server may do), Unexpected, WireError."""
        self._cutter.feed(chunk)
        answer = b""
        for type_byte, start, end in self._cutter:
            answer += self._receive(decode_backend(type_byte, self._cutter.buffer[start + 5 : end]))
        return answer

    def _receive(self, message: m.BackendMessage) -> bytes:
        match message:
            case m.ErrorResponse():
                raise refusal_of(message, has_asked=self._has_asked)
            case m.NoticeResponse():
                return b""
            case _ if not self._login.is_ok:
                return self._answer(message)
            case m.ParameterStatus():
                self._reported[message.name] = message.value
            case m.BackendKeyData():
                self._key = message
            case m.ReadyForQuery() if self._key is not None and self.link is None:
                check_attributes(self._gateway.target_session_attrs, self._reported)
                key = self._key
                self.link = SharedLink(self._kind, key.process_id, key.secret_key, self._token, self._reported)
            case _:
                raise Unexpected("an unknown message in the server's greeting")
        return b""

    def _answer(self, message: m.BackendMessage) -> bytes:
        try:
            answer = self._login.answer(message)
        except LoginImpossible as error:
            raise SessionEnds("08006", str(error)) from error
        self._has_asked = True
        return answer
