"""TLS contexts for both sides, as configuration and DSN say. It knows files and modes, no connections."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from proxy.dsn import Upstream

OFFERING: Final = frozenset({"prefer", "require", "verify-ca", "verify-full"})
DEMANDING: Final = frozenset({"require", "verify-ca", "verify-full"})


def client_side_context(certificate: Path, key: Path, client_ca: Path | None) -> ssl.SSLContext:
    """For links from clients. With `client_ca` they must show a certificate that it signed. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


def upstream_context(upstream: Upstream) -> ssl.SSLContext:
    """For the link to the server: libpq's meaning of sslmode and sslrootcert. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = upstream.sslmode == "verify-full"
    # libpq verifies the chain whenever a root certificate is named, "require" included.
    is_verified = upstream.sslmode in ("verify-ca", "verify-full") or (
        upstream.sslmode == "require" and bool(upstream.sslrootcert)
    )
    context.verify_mode = ssl.CERT_REQUIRED if is_verified else ssl.CERT_NONE
    if upstream.sslrootcert == "system" or (is_verified and not upstream.sslrootcert):
        context.load_default_certs()
    elif upstream.sslrootcert:
        context.load_verify_locations(upstream.sslrootcert)
    if upstream.sslcert:
        context.load_cert_chain(upstream.sslcert, upstream.sslkey or None)
    return context
