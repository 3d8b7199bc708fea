"""The settings of a configuration that were given, as one text for the records; what could be a secret isn't in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

_HIDDEN: Final = "..."
# Beside the fields that are marked as not to be shown: a name such as these is one of a later field that wasn't.
_SECRET: Final = re.compile(r"secret|passw|credential|token|key|dsn|url|upstream|store$|servers", re.IGNORECASE)


def settings_text(config: BaseModel) -> str:
    """JSON in one line, as the YAML is nested; defaults are left out."""
    return json.dumps(_shown(config), ensure_ascii=False, default=str, sort_keys=True)


def _shown(value: Any) -> Any:
    match value:
        case BaseModel():
            fields = type(value).model_fields
            given = sorted(value.model_fields_set)
            return {name: _value(name, getattr(value, name), is_open=fields[name].repr) for name in given}
        case Mapping():
            return {str(name): _value(str(name), one, is_open=True) for name, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_shown(one) for one in value]
        case None | bool() | int() | float():
            return value
        case _:
            return str(value)


def _value(name: str, value: Any, *, is_open: bool) -> Any:
    """A name inside of a mapping may be anybody's, such as a database's: what stands below it is looked at again."""
    if isinstance(value, BaseModel):
        return _shown(value)
    return _shown(value) if is_open and not _SECRET.search(name) else _HIDDEN
