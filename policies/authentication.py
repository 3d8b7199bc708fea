"""Reads a principal's `auth`: by which proof a client is taken for it. Checks no proof; that is the proxy's."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from datetime import date

from policies.fields import Fields
from policies.model import ApiKey
from policies.outside import Outside, read_secret, read_secret_file
from policies.yaml_nodes import Node

KEYS = ("scram", "scram_file", "certificate", "api_keys", "stored_keys")
API_KEY_KEYS = ("id", "sha256", "expires")
SHA256_PATTERN = r"[0-9a-fA-F]{64}"
KEY_ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
SUBJECT_KINDS = ("CN", "O", "OU", "C", "ST", "L", "DC", "UID", "emailAddress")

_VERIFIER = re.compile(r"SCRAM-SHA-256\$([0-9]{1,9}):([^$:]+)\$([^$:]+):([^$:]+)\Z", re.ASCII)
_VERIFIER_FORM = "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>"
_SHA256_BYTES = 32
_SHA256_HEX = re.compile(SHA256_PATTERN + r"\Z")
_KEY_ID = re.compile(KEY_ID_PATTERN + r"\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", re.ASCII)
# One part of a subject (RFC 4514): kind=value, with backslashes before what would end it.
_SUBJECT_PART = re.compile(r"\s*([A-Za-z]+)\s*=((?:\\.|[^\\,])+)(?:,|\Z)")


@dataclass(frozen=True, slots=True)
class Authentication:
    """What `auth` says. All that is given has to be proved."""

    scram: str | None = field(default=None, repr=False)
    certificate: tuple[tuple[str, str], ...] = ()
    api_keys: tuple[ApiKey, ...] = ()
    has_stored_keys: bool = False


def read_authentication(fields: Fields, node: Node, outside: Outside) -> Authentication:
    entries = fields.mapping(node, "'auth'", KEYS)
    if entries is None:
        return Authentication()
    if not entries:
        fields.report(node, f"'auth' needs 'scram' or another of {', '.join(KEYS)}")
    _check_combination(fields, entries)
    return Authentication(
        _scram(fields, entries, outside),
        _certificate(fields, entries.get("certificate")),
        _api_keys(fields, entries.get("api_keys")),
        "stored_keys" in entries and fields.boolean(entries["stored_keys"], "'stored_keys'") is True,
    )


def _check_combination(fields: Fields, entries: dict[str, Node]) -> None:
    given = [key for key in entries if key in ("scram", "scram_file", "api_keys", "stored_keys")]
    for key in given[1:]:
        if (given[0], key) in (("api_keys", "stored_keys"), ("stored_keys", "api_keys")):
            continue
        message = f"{key!r} beside {given[0]!r}: a client can be asked for one secret only; make it two principals"
        fields.report(entries[key], message)


def _scram(fields: Fields, entries: dict[str, Node], outside: Outside) -> str | None:
    for key in ("scram", "scram_file"):
        node = entries.get(key)
        text = fields.text(node, f"'{key}'")
        if node is None or text is None:
            continue
        if key == "scram":
            verifier = read_secret(fields, node, text, outside.environment)
        else:
            verifier = read_secret_file(fields, node, text, outside)
        if verifier is None or _is_verifier(verifier):
            return verifier
        fields.report(node, f"{key!r} is no verifier; it looks like {_VERIFIER_FORM}, as in pg_authid.rolpassword")
    return None


def _is_verifier(text: str) -> bool:
    match = _VERIFIER.match(text)
    if match is None or int(match[1]) < 1:
        return False
    salt, stored_key, server_key = (_decoded(match[i]) for i in (2, 3, 4))
    return bool(salt) and all(key and len(key) == _SHA256_BYTES for key in (stored_key, server_key))


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _certificate(fields: Fields, node: Node | None) -> tuple[tuple[str, str], ...]:
    """A subject's parts; a text without ``=`` is a common name."""
    text = fields.text(node, "'certificate'")
    if node is None or text is None:
        return ()
    if "=" not in text:
        return (("CN", text.strip()),)
    kinds = {kind.lower(): kind for kind in SUBJECT_KINDS}
    parts: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        match = _SUBJECT_PART.match(text, at)
        if match is None or match[1].lower() not in kinds:
            form = f"'CN=name' or 'CN=name,OU=unit,O=organization' (known: {', '.join(SUBJECT_KINDS)})"
            fields.report(node, f"'certificate' is no subject that can be read; it looks like {form}")
            return ()
        parts.append((kinds[match[1].lower()], re.sub(r"\\(.)", r"\1", match[2]).strip()))
        at = match.end()
    return tuple(parts)


def _api_keys(fields: Fields, node: Node | None) -> tuple[ApiKey, ...]:
    items = fields.items(node, "'api_keys'")
    if items is not None and not items and node is not None:
        fields.report(node, "'api_keys' is empty, so nobody could log in")
    found: dict[str, ApiKey] = {}
    for item in items or ():
        key = _api_key(fields, item)
        if key is None:
            continue
        if key.id in found or any(key.sha256 == other.sha256 for other in found.values()):
            fields.report(item, f"the API key {key.id!r}, or another of its hash, stands twice")
        found.setdefault(key.id, key)
    return tuple(found.values())


def _api_key(fields: Fields, node: Node) -> ApiKey | None:
    entries = fields.mapping(node, "an API key", API_KEY_KEYS)
    if entries is None:
        return None
    key_id = fields.text(id_node := fields.require(entries, "id", "an API key", node), "'id'")
    digest = fields.text(digest_node := fields.require(entries, "sha256", "an API key", node), "'sha256'")
    if id_node and key_id and not is_key_id(key_id):
        fields.report(id_node, "'id' must be letters, digits, dots, dashes and underscores, 63 at most")
        return None
    if digest_node and digest and not _SHA256_HEX.match(digest):
        fields.report(digest_node, "'sha256' must be 64 hexadecimal digits, as `pgwarden api-key` prints them")
        return None
    expires = _expires(fields, entries.get("expires"))
    return ApiKey(key_id, digest.lower(), expires) if key_id and digest else None


def _expires(fields: Fields, node: Node | None) -> date | None:
    text = fields.text(node, "'expires'")
    if node is None or text is None:
        return None
    if not is_day(text):
        fields.report(node, "'expires' must be a day, such as 2027-01-01")
        return None
    return date.fromisoformat(text)


def is_key_id(text: str) -> bool:
    return _KEY_ID.match(text) is not None


def is_day(text: str) -> bool:
    try:
        return _DATE.match(text) is not None and bool(date.fromisoformat(text))
    except ValueError:  # such as the 31st of June
        return False
