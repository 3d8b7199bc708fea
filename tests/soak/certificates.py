"""A certificate for a run, signed by itself: what it costs to encrypt is measured, not whom to trust."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def self_signed(folder: Path) -> dict[str, str]:
    """Writes it; where certificate and key are, as `tls` of pgwarden.yaml names them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    paths = {"certificate": folder / "own.crt", "key": folder / "own.key"}
    paths["certificate"].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths["key"].write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
    paths["key"].chmod(0o600)
    return {what: str(path) for what, path in paths.items()}
