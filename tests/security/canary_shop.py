"""The canary shop as tests see it: two databases, their canaries, the catalog snapshot and the policy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from policies.catalog import Catalog
from policies.load import load_texts
from policies.model import EffectivePolicy
from policies.resolve import resolve
from proxy.wire.scram import make_verifier
from tests.fix_pgwarden import password_of
from tests.security.canaries import Canaries
from tests.security.raw_client import RawClient

SECURITY = Path(__file__).parent
USERS = ("ada", "max", "wes", "fay", "root")


@cache
def policy_text() -> str:
    """The policy file of tests/security, with verifiers for `password_of` filled in."""
    text = (SECURITY / "policies.yaml").read_text("utf-8")
    for user in USERS:
        text = text.replace(f"@{user}@", make_verifier(password_of(user), 4096, b"0123456789abcdef"))
    return text


@dataclass(frozen=True, slots=True)
class CanaryShop:
    """`dsn` and `copy_dsn` are superuser URLs; `user_oid` lists nothing but what was made by DDL."""

    dsn: str
    copy_dsn: str
    canaries: Canaries
    catalog: Catalog

    def policy(self, user: str) -> EffectivePolicy:
        found = resolve(load_texts({"policies.yaml": policy_text().encode()}, {}), user, "shop")
        assert found is not None
        return found

    def direct(self) -> RawClient:
        """A client of the database itself."""
        return connect(self.dsn)

    def copy(self) -> RawClient:
        """A client of the sanitized copy."""
        return connect(self.copy_dsn)


def connect(dsn: str, options: dict[str, str] | None = None) -> RawClient:
    url = urlsplit(dsn)
    assert url.hostname
    assert url.port
    return RawClient(url.hostname, url.port, url.username or "", url.password or "", url.path[1:], options)
