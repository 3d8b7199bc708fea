"""Reads `principals`: who may connect, with which attributes and which SCRAM verifier. Knows no policy."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

from policies.fields import Fields, kind_of
from policies.model import Principal, Value
from policies.yaml_nodes import Mapping as MappingNode
from policies.yaml_nodes import Node, Scalar, Sequence

KEYS = ("user", "tenant", "team", "roles", "attributes", "auth")
MAX_NAME_BYTES = 63  # NAMEDATALEN - 1: the server cuts longer names of users

_ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_VERIFIER = re.compile(r"SCRAM-SHA-256\$([0-9]{1,9}):([^$:]+)\$([^$:]+):([^$:]+)\Z", re.ASCII)
_SHA256_BYTES = 32
_RESERVED = frozenset({"column"})  # {column} is the masked column in a mask's expression


def read_principal(fields: Fields, node: Node, env: Mapping[str, str]) -> Principal | None:
    """One principal, or None when it has no usable name."""
    entries = fields.mapping(node, "a principal", KEYS)
    if entries is None:
        return None
    user = read_name(fields, fields.require(entries, "user", "a principal", node), "'user'")
    auth = entries.get("auth")
    principal = Principal(
        user=user or "",
        tenant=read_name(fields, entries.get("tenant"), "'tenant'"),
        team=read_name(fields, entries.get("team"), "'team'"),
        roles=tuple(role for _, role in fields.parsed(entries.get("roles"), "'roles'", str)),
        attributes=_attributes(fields, entries.get("attributes")),
        scram=_scram(fields, auth, env) if auth else None,
        source=node.source,
    )
    return principal if user else None


def read_name(fields: Fields, node: Node | None, what: str) -> str | None:
    """A name that stays as written; bounded because it travels in startup packets, records and labels."""
    name = fields.text(node, what)
    if name is None or node is None:
        return None
    if len(name.encode()) > MAX_NAME_BYTES or not name.isprintable() or name != name.strip():
        form = f"printable, without spaces around, {MAX_NAME_BYTES} bytes at most"
        fields.report(node, f"{what} must be {form}")
        return None
    return name


def read_secret(fields: Fields, node: Node, text: str, env: Mapping[str, str]) -> str | None:
    """`text` itself, or the environment's value for ``env:NAME``. No problem ever quotes the value."""
    if not text.startswith("env:"):
        return text
    name = text.removeprefix("env:")
    if not env.get(name):
        fields.report(node, f"the environment variable {name!r} is not set")
        return None
    return env[name]


def _scram(fields: Fields, auth: Node, env: Mapping[str, str]) -> str | None:
    entries = fields.mapping(auth, "'auth'", ("scram",))
    node = fields.require(entries, "scram", "'auth'", auth) if entries is not None else None
    text = fields.text(node, "'scram'")
    if node is None or text is None:
        return None
    verifier = read_secret(fields, node, text, env)
    if verifier is None or _is_verifier(verifier):
        return verifier
    form = "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>"
    fields.report(node, f"'scram' is no verifier; it looks like {form}, as in pg_authid.rolpassword")
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


def _attributes(fields: Fields, node: Node | None) -> dict[str, Value]:
    if node is None:
        return {}
    if not isinstance(node, MappingNode):
        fields.report(node, f"'attributes' must be a mapping of names to values, not {kind_of(node)}")
        return {}
    attributes: dict[str, Value] = {}
    for key, value_node in node.entries:
        if not _ATTRIBUTE.match(key.text) or key.text in _RESERVED:
            form = "letters, digits and underscores, and not 'column'"
            fields.report(key, f"{key.text!r} can't name an attribute: {form}")
            continue
        value = _attribute(fields, key.text, value_node)
        if value is not None:
            attributes[key.text] = value
    return attributes


def _attribute(fields: Fields, name: str, node: Node) -> Value | None:
    match node:
        case Scalar(value=str() | int() | float() as value):
            return value
        case Sequence():
            return _list_attribute(fields, name, node)
        case _:
            fields.report(node, f"attribute {name!r} must be text, a number, true, false or a list of such")
            return None


def _list_attribute(fields: Fields, name: str, node: Sequence) -> Value | None:
    values = [item.value for item in node.items if isinstance(item, Scalar) and item.value is not None]
    kinds = {"number" if type(value) in (int, float) else type(value).__name__ for value in values}
    if len(values) != len(node.items) or len(kinds) > 1:
        fields.report(node, f"attribute {name!r} must be a list of texts, of numbers or of truth values")
        return None
    return tuple(values)
