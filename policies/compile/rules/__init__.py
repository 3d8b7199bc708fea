"""The rules, in the order in which they work on a draft. Each is a function that edits it or raises Refused."""

from __future__ import annotations

from collections.abc import Callable

from policies.compile.draft import Draft
from policies.compile.rules.arguments import guard_arguments
from policies.compile.rules.columns import check_columns
from policies.compile.rules.fences import choose_fence
from policies.compile.rules.functions import check_attributes, check_functions
from policies.compile.rules.group_by import restore_dependencies
from policies.compile.rules.guard import guard_relations
from policies.compile.rules.locking import check_locking
from policies.compile.rules.masks import choose_masks
from policies.compile.rules.names import shorten_names
from policies.compile.rules.object_names import check_object_names
from policies.compile.rules.relations import resolve_relations
from policies.compile.rules.sequences import replace_sequence_data
from policies.compile.rules.system_columns import supply_system_columns
from policies.compile.rules.types import check_casts, check_types
from policies.compile.rules.whole_rows import type_rows
from policies.compile.usage import narrow_guards
from policies.compile.writes.guard import guard_writes
from policies.compile.writes.influence import check_influences
from policies.compile.writes.reads import check_writes
from policies.compile.writes.targets import resolve_writes

RULES: tuple[Callable[[Draft], None], ...] = (
    replace_sequence_data,
    check_functions,
    check_types,
    resolve_relations,
    resolve_writes,
    check_locking,
    check_attributes,
    check_columns,
    check_casts,
    check_object_names,
    check_writes,
    check_influences,
    supply_system_columns,
    choose_masks,
    choose_fence,
    narrow_guards,
    guard_relations,
    guard_writes,
    shorten_names,
    type_rows,
    guard_arguments,
    restore_dependencies,
)
