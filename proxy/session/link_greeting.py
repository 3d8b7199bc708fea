"""The login of a server link that sessions share, until its first ReadyForQuery. Bytes in, bytes out.

It knows no client: what the server says then is what clients of the pool are greeted with.
"""

from __future__ import annotations

from typing import Final

from proxy.session.conversation import SessionEnds, Unexpected
from proxy.session.ports import Channel, Gateway
from proxy.session.server_greeting import check_attributes, refusal_of
from proxy.session.shared_link import LinkKind, SharedLink
from proxy.session.upstream_login import LoginImpossible, UpstreamLogin
from proxy.wire import messages as m
from proxy.wire.codec import decode_backend, encode
from proxy.wire.frames import FrameCutter

_READY: Final = ord("Z")
_ROW: Final = ord("D")
# Functions of users in other languages than C: a library can leave more behind than anybody could clean, but those that
# databases are full of (uuid-ossp, pg_trgm) leave nothing. A text may call some without a name that tells: overloads of
# built-ins, and functions of a row written as its column. No dependency is kept on built-ins, so those that leave
# something behind are looked for in what is stored.
ASK_ABOUT_CODE: Final = b"""
WITH code AS (
    SELECT p.oid, p.proname, p.proargtypes
    FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
    WHERE p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal')
), used AS (
    SELECT d.classid, d.objid FROM pg_catalog.pg_depend AS d JOIN code AS c ON c.oid = d.refobjid
    WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
), hidden AS (
    SELECT FROM code AS c WHERE c.proname IN (SELECT b.proname FROM pg_catalog.pg_proc AS b WHERE b.oid < 16384)
        OR EXISTS (SELECT FROM pg_catalog.pg_type AS t WHERE t.oid = c.proargtypes[0] AND t.typtype IN ('c', 'd', 'p'))
), stateful AS (
    SELECT p.oid, p.proname FROM pg_catalog.pg_proc AS p WHERE p.oid < 16384 AND (
        p.proname IN ('set_config', 'setseed', 'nextval', 'setval', 'query_to_xml', 'query_to_xml_and_xmlschema')
        OR p.proname LIKE '%advisory%' AND p.proname NOT LIKE '%xact%')
), stored AS (
    SELECT true AS is_read, r.ev_action::pg_catalog.text AS code
    FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class >= 16384
    UNION ALL SELECT true, p.polqual::pg_catalog.text FROM pg_catalog.pg_policy AS p
    UNION ALL SELECT false, p.polwithcheck::pg_catalog.text FROM pg_catalog.pg_policy AS p
    UNION ALL SELECT k.contypid <> 0, k.conbin::pg_catalog.text
    FROM pg_catalog.pg_constraint AS k WHERE k.oid >= 16384 AND k.conbin IS NOT NULL
    UNION ALL SELECT false, d.adbin::pg_catalog.text FROM pg_catalog.pg_attrdef AS d
), leaving AS (
    SELECT s.is_read FROM stored AS s JOIN stateful AS f
    ON pg_catalog.strpos(s.code, ':funcid ' || f.oid || ' ') > 0
    WHERE s.is_read OR f.proname <> 'nextval'
)
SELECT EXISTS (SELECT FROM used AS u WHERE u.classid NOT IN (
           'pg_catalog.pg_trigger'::pg_catalog.regclass, 'pg_catalog.pg_attrdef'::pg_catalog.regclass,
           'pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass))
       OR EXISTS (SELECT FROM used AS u JOIN pg_catalog.pg_constraint AS k ON k.oid = u.objid
           WHERE u.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.contypid <> 0)
       OR EXISTS (SELECT FROM hidden) OR EXISTS (SELECT FROM leaving AS l WHERE l.is_read),
       EXISTS (SELECT FROM used AS u WHERE u.classid <> 'pg_catalog.pg_proc'::pg_catalog.regclass)
       OR EXISTS (SELECT FROM pg_catalog.pg_rewrite AS r WHERE r.ev_type <> '1' AND r.ev_class >= 16384)
       OR EXISTS (SELECT FROM leaving)
"""


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
        self._known: SharedLink | None = None
        self.link: SharedLink | None = None

    def startup_packet(self) -> bytes:
        own = {b"user": self._gateway.user.encode(), b"database": self._gateway.database.encode()}
        return encode(m.StartupMessage(m.PROTOCOL_3_0, own | dict(self._kind.startup)))

    def receive(self, chunk: bytes) -> bytes:
        """What goes back. Raises SessionEnds (ServerUnfit where another server may do), Unexpected, WireError."""
        self._cutter.feed(chunk)
        answer = b""
        for type_byte, start, end in self._cutter:
            body = self._cutter.buffer[start + 5 : end]
            answer += (
                self._receive(decode_backend(type_byte, body)) if self._known is None else self._code(type_byte, body)
            )
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
                self._known = SharedLink(self._kind, key.process_id, key.secret_key, self._token, self._reported)
                return encode(m.Query(ASK_ABOUT_CODE))
            case _:
                raise Unexpected("an unknown message in the server's greeting")
        return b""

    def _code(self, type_byte: int, body: bytes) -> bytes:
        """The answer about the database's own code. An error instead of it: then there is some."""
        assert self._known is not None
        if type_byte == _ROW:
            # Two columns, each a length and one letter.
            self._known.reads_run_code = body[6:7] != b"f"
            self._known.writes_run_code = body[11:12] != b"f"
        elif type_byte == _READY:
            self.link = self._known
        return b""

    def _answer(self, message: m.BackendMessage) -> bytes:
        try:
            answer = self._login.answer(message)
        except LoginImpossible as error:
            raise SessionEnds("08006", str(error)) from error
        self._has_asked = True
        return answer
