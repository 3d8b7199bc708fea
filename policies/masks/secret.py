"""A text that is never shown: keys and salts, which stand in masks' parameters. It must not know masks."""

from __future__ import annotations


class Secret(str):
    """Works as the text it is; whatever prints, formats or logs it gets ``(secret)``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "(secret)"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return "(secret)"
