"""Whether a COPY that was decided already begins its data with the columns' names."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from policies.compile.parse import ParseError, parse

_NO: Final = frozenset({"false", "off", "0"})


@lru_cache(maxsize=256)
def asks_for_header(text: str) -> bool:
    """As its options say, not its query or a comment."""
    try:
        statements = parse(text)
    except ParseError:
        return False
    options = statements[0].tree.get("options") or () if statements else ()
    found = [option["DefElem"] for option in options if option.get("DefElem", {}).get("defname") == "header"]
    return bool(found) and _value(found[-1].get("arg", {})) not in _NO


def _value(arg: dict[str, Any]) -> str:
    """libpg_query leaves out what is false or zero; no value at all is a yes."""
    for kind, name, default in (("Boolean", "boolval", False), ("Integer", "ival", 0), ("String", "sval", "")):
        if kind in arg:
            return str(arg[kind].get(name, default)).lower()
    return "true"
