"""Where a private key is kept outside of the folder that it belongs to: `env:NAME` or `file:PATH`. Knows no keys."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from proxy.config_model import ConfigError, reason_of

_PEM: Final = b"-----BEGIN"


def read_key(source: str | None, environment: Mapping[str, str], key: str = "audit.signing_key") -> bytes | None:
    """A PEM, which an environment variable may also hold in base64, in one line; None without a source.

    `key`: what the errors name. Raises ConfigError.
    """
    if source is None:
        return None
    kind, _, name = source.partition(":")
    if kind == "file":
        try:
            return Path(name).read_bytes()
        except OSError as error:
            raise ConfigError([f"{key}: {name}: {reason_of(error)}"]) from None
    text = environment.get(name, "").strip().encode()
    if not text:
        raise ConfigError([f"{key}: the environment variable {name} isn't set"])
    if text.startswith(_PEM):
        return text + b"\n"
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError([f"{key}: the environment variable {name} holds neither a PEM nor base64 of one"]) from None
