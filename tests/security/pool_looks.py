"""What can be told of a server session from inside, for tests of links that sessions share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.fix_pgwarden import Pgwarden
from tests.security.canary_shop import connect
from tests.security.raw_client import RawClient

# The order matters: the last ones pin the link, and a pinned link forgets what others prepared.
LOOKS = (
    "SELECT string_agg(name || '=' || setting, E'\\n' ORDER BY name) FROM pg_settings WHERE name NOT IN ("
    "'application_name', 'transaction_isolation', 'in_hot_standby')",
    "SELECT current_user, session_user, current_schemas(false), coalesce(current_setting('my.own', true), '')",
    "SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()",
    "SELECT count(*) FROM pg_type WHERE typnamespace = pg_my_temp_schema()",
    "SELECT count(*) FROM pg_proc WHERE pronamespace = pg_my_temp_schema()",
    "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'",
    "SELECT txid_current_if_assigned()",
    "SELECT count(*) FROM pg_cursors",
    "SELECT * FROM own",
    "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%ours%' AND name <> ''",
    "SELECT count(*) FROM pg_backend_memory_contexts WHERE ident LIKE '%ours%' AND ident NOT LIKE '%memory%'",
    "SELECT pg_listening_channels()",
    "SELECT lastval()",
    "FETCH ALL FROM own",
    "EXECUTE own",
)
Seen = tuple[tuple[str, tuple[tuple[bytes | None, ...], ...]], ...]


@contextmanager
def client(instance: Pgwarden, user: str = "admin", **options: str) -> Iterator[RawClient]:
    with connect(instance.dsn(user), options) as opened:
        yield opened


def seen_by(looker: RawClient, looks: tuple[str, ...] = LOOKS) -> Seen:
    """One answer for each look: SQLSTATE and rows."""
    answers = [looker.simple(look) for look in looks]
    return tuple((answer.sqlstate, tuple(answer.rows)) for answer in answers)
