"""Reads `principals`: who may connect, and with which attributes. Knows no policy; `authentication` reads `auth`."""

from __future__ import annotations

import re

from policies.authentication import Authentication, read_authentication
from policies.fields import Fields, kind_of
from policies.model import Principal, Value
from policies.outside import Outside
from policies.yaml_nodes import Mapping as MappingNode
from policies.yaml_nodes import Node, Scalar, Sequence

KEYS = ("user", "tenant", "team", "roles", "attributes", "auth", "speaks_for")
MAX_NAME_BYTES = 63  # NAMEDATALEN - 1: the server cuts longer names of users

ATTRIBUTE_PATTERN = r"[A-Za-z_][A-Za-z0-9_]*"

_ATTRIBUTE = re.compile(ATTRIBUTE_PATTERN + r"\Z")
_RESERVED = frozenset({"column"})  # {column} is the masked column in a mask's expression


def read_principal(fields: Fields, node: Node, outside: Outside) -> Principal | None:
    """One principal, or None when it has no usable name."""
    entries = fields.mapping(node, "a principal", KEYS)
    if entries is None:
        return None
    user = read_name(fields, fields.require(entries, "user", "a principal", node), "'user'")
    auth = entries.get("auth")
    proof = read_authentication(fields, auth, outside) if auth else Authentication()
    principal = Principal(
        user=user or "",
        tenant=read_name(fields, entries.get("tenant"), "'tenant'"),
        team=read_name(fields, entries.get("team"), "'team'"),
        roles=tuple(role for _, role in fields.parsed(entries.get("roles"), "'roles'", str)),
        attributes=_attributes(fields, entries.get("attributes")),
        scram=proof.scram,
        certificate=proof.certificate,
        api_keys=proof.api_keys,
        has_stored_keys=proof.has_stored_keys,
        speaks_for=tuple(name for _, name in fields.parsed(entries.get("speaks_for"), "'speaks_for'", str)),
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
