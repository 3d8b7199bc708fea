"""TLS for both sides, as configuration and DSN say: contexts, and what a finished handshake says of a link.

It knows files, modes and certificates, no connections.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from proxy.dsn import VERIFYING, Upstream
from proxy.session.ports import Channel

ALPN: Final = "postgresql"  # registered for the protocol; what else speaks TLS can't be led here
CLIENT_HELLO: Final = b"\x16"  # the first byte of a TLS link; a startup packet's is 0
_MINIMUM: Final = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_KINDS: Final = {
    NameOID.COMMON_NAME: "CN",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.COUNTRY_NAME: "C",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
    NameOID.LOCALITY_NAME: "L",
    NameOID.DOMAIN_COMPONENT: "DC",
    NameOID.USER_ID: "UID",
    NameOID.EMAIL_ADDRESS: "emailAddress",
}


def client_side_context(
    certificate: Path, key: Path, client_ca: Path | None, is_certificate_optional: bool = False
) -> ssl.SSLContext:
    """For links from clients. With `client_ca` a certificate that they show must be signed by it. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key, password="")
    context.set_alpn_protocols([ALPN])
    # As PostgreSQL: libpq never resumes, so tickets are work and memory for nothing.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    if client_ca is not None:
        context.verify_mode = ssl.CERT_OPTIONAL if is_certificate_optional else ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


def upstream_context(upstream: Upstream) -> ssl.SSLContext:
    """For the link to the server: libpq's meaning of sslmode and sslrootcert. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _MINIMUM[upstream.ssl_min_protocol_version]
    context.set_alpn_protocols([ALPN])
    context.check_hostname = upstream.sslmode == "verify-full"
    # libpq verifies the chain whenever a root certificate is named, "require" included.
    is_verified = upstream.sslmode in VERIFYING or (upstream.sslmode == "require" and bool(upstream.sslrootcert))
    context.verify_mode = ssl.CERT_REQUIRED if is_verified else ssl.CERT_NONE
    if upstream.sslrootcert == "system" or (is_verified and not upstream.sslrootcert):
        context.load_default_certs()
    elif upstream.sslrootcert:
        context.load_verify_locations(upstream.sslrootcert)
    if upstream.sslcert:
        # A password, even an empty one: OpenSSL would ask on the terminal.
        context.load_cert_chain(upstream.sslcert, upstream.sslkey or None, password=upstream.sslpassword)
    return context


def own_binding(certificate: Path) -> bytes:
    """The mark of links to clients. Raises OSError or ValueError."""
    return _binding(x509.load_pem_x509_certificate(certificate.read_bytes()))


def client_channel(transport: asyncio.BaseTransport, binding: bytes) -> Channel:
    """`binding` is our certificate's: that is what clients see of us."""
    shown = _peer_certificate(transport)
    return Channel(binding, None if shown is None else _subject(shown))


def server_channel(transport: asyncio.BaseTransport) -> Channel:
    shown = _peer_certificate(transport)
    return Channel(b"" if shown is None else _binding(shown))


def selected_alpn(transport: asyncio.BaseTransport) -> str | None:
    found = transport.get_extra_info("ssl_object")
    selected: str | None = found.selected_alpn_protocol()
    return selected


def _peer_certificate(transport: asyncio.BaseTransport) -> x509.Certificate | None:
    found = transport.get_extra_info("ssl_object")
    data: bytes | None = found.getpeercert(binary_form=True)
    return None if data is None else x509.load_der_x509_certificate(data)


def _binding(certificate: x509.Certificate) -> bytes:
    """tls-server-end-point (RFC 5929, section 4.1); b"" where the signature has no hash of its own (Ed25519)."""
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return b""
    if algorithm is None:
        return b""
    # MD5 and SHA-1 are too weak to be what two ends agree on.
    is_weak = isinstance(algorithm, hashes.MD5 | hashes.SHA1)
    return certificate.fingerprint(hashes.SHA256() if is_weak else algorithm)


def _subject(certificate: x509.Certificate) -> tuple[tuple[str, str], ...]:
    return tuple((_KINDS.get(part.oid, part.oid.dotted_string), str(part.value)) for part in certificate.subject)
