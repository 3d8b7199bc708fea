"""COPY TO's options, as far as it is certain how the server will write rows under them.

Where anything isn't (an option that isn't known, one that stands twice, a value that the server may refuse), there is
no answer, and masks stay in the statement. NULL in text format is such a thing, unless it is its default: a client
could give somebody's value for it, which a row then shows just as it shows NULL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from policies.compile.tree import Tree, is_node, string_of, strings_of
from policies.copy_masks import CopyFormat, CopyLayout

_FORMATS: Final = {one.value: one for one in CopyFormat}
_ALLOWED: Final = {
    CopyFormat.TEXT: frozenset({"format", "delimiter", "null", "header", "encoding"}),
    CopyFormat.CSV: frozenset({"format", "delimiter", "null", "header", "encoding", "quote", "escape", "force_quote"}),
    CopyFormat.BINARY: frozenset({"format", "encoding"}),
}
_TRUE: Final = frozenset({"true", "on"})
_FALSE: Final = frozenset({"false", "off"})
# What a text's escapes may begin with can't delimit its columns.
_NO_DELIMITERS: Final = frozenset("\\.abcdefghijklmnopqrstuvwxyz0123456789")
_TEXT_NULL: Final = "\\N"


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """`forced`: the columns that FORCE_QUOTE names; None for all."""

    layout: CopyLayout
    forced: frozenset[str] | None = frozenset()


def copy_options(tree: Tree) -> CopyOptions | None:
    """Of a CopyStmt; None when it isn't certain what they mean."""
    found = [option["DefElem"] for option in tree.get("options") or ()]
    options = {str(one["defname"]): one.get("arg") for one in found}
    if len(options) < len(found):
        return None
    name = string_of(options["format"]) if "format" in options else "text"
    form = _FORMATS.get(name or "")
    if form is None or not options.keys() <= _ALLOWED[form]:
        return None
    if form is CopyFormat.BINARY:
        return CopyOptions(CopyLayout(form))
    layout, forced = _layout(form, options), _forced(options)
    return None if layout is None or forced is _UNKNOWN else CopyOptions(layout, forced)


def _layout(form: CopyFormat, options: Mapping[str, Any]) -> CopyLayout | None:
    is_csv = form is CopyFormat.CSV
    delimiter = _text(options, "delimiter", "," if is_csv else "\t")
    null = _text(options, "null", "" if is_csv else _TEXT_NULL)
    quote = _text(options, "quote", '"')
    escape = _text(options, "escape", quote or "")
    header = _is_asked_for(options["header"]) if "header" in options else False
    if delimiter is None or null is None or quote is None or escape is None or header is None:
        return None
    is_certain = _is_csv_certain if is_csv else _is_text_certain
    if not is_certain(delimiter, null, quote, escape):
        return None
    return CopyLayout(form, delimiter.encode(), null.encode(), quote.encode(), escape.encode(), header)


def _is_text_certain(delimiter: str, null: str, quote: str, escape: str) -> bool:
    return len(delimiter) == 1 and delimiter not in _NO_DELIMITERS and delimiter not in "\r\nN" and null == _TEXT_NULL


def _is_csv_certain(delimiter: str, null: str, quote: str, escape: str) -> bool:
    """A value that reads like NULL is quoted, so any text will do that can't be taken for something else."""
    if not len(delimiter) == len(quote) == len(escape) == 1 or delimiter in (quote, escape):
        return False
    return not set("\r\n") & {delimiter, quote, escape} and not set(null) & {delimiter, quote, "\r", "\n"}


def _text(options: Mapping[str, Any], name: str, default: str) -> str | None:
    """None for what isn't a plain text."""
    if name not in options:
        return default
    arg = options[name]
    if not is_node(arg, "String"):
        return None
    text = str(arg["String"].get("sval", ""))
    return text if text.isascii() and "\0" not in text else None


def _is_asked_for(arg: Any) -> bool | None:
    """HEADER's value; None for MATCH and whatever the server would refuse."""
    if arg is None:
        return True
    if is_node(arg, "Boolean"):
        return bool(arg["Boolean"].get("boolval", False))
    if is_node(arg, "Integer"):
        return {0: False, 1: True}.get(arg["Integer"].get("ival", 0))
    word = (string_of(arg) or "").lower()
    return word in _TRUE if word in _TRUE | _FALSE else None


_UNKNOWN: Final = frozenset({"\0"})  # no column bears that name


def _forced(options: Mapping[str, Any]) -> frozenset[str] | None:
    if "force_quote" not in options:
        return frozenset()
    arg = options["force_quote"]
    if is_node(arg, "A_Star"):
        return None
    return frozenset(strings_of(arg["List"].get("items"))) if is_node(arg, "List") else _UNKNOWN
