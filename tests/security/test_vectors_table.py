"""VECTORS.md says what the tests do."""

from __future__ import annotations

import ast
import re
from collections import Counter

from tests.security.canary_shop import SECURITY
from tests.security.special import SPECIAL
from tests.security.vectors import VECTORS
from tests.security.vectors_table import FILE, rows, table


def test_the_table_is_made_from_the_vectors() -> None:
    assert FILE.read_text("utf-8") == table()


def test_names_are_unique_and_ways_differ() -> None:
    names = Counter([vector.name for vector in VECTORS] + [special.name for special in SPECIAL])
    assert [name for name, count in names.items() if count > 1] == []
    asked = Counter((vector.user, vector.ask) for vector in VECTORS if isinstance(vector.ask, str))
    assert [text for text, count in asked.items() if count > 1] == []


def test_there_are_enough_ways() -> None:
    assert len(list(rows())) >= 1250


# What a list of ways must have, and in which words the names of its vectors tell of it.
TOPICS = {
    "error oracles": "divide|cast_fails|overflow|fails",
    "statistics views": "stat|statio",
    "EXPLAIN": "explain|row_estimate",
    "query_to_xml and its family": "_xml",
    "dblink": "dblink",
    "large objects": "lo_|large_object|loread",
    "settings as hiding places": "set_config|setting",
    "sequences as hiding places": "sequence",
    "notifications": "notify|notif|listen",
    "temporary tables": "^temp_|temp_table",
    "search_path tricks": "path",
    "unicode-escaped names": "unicode",
    "comments": "comment",
    "dollar quotes": "dollar",
    "standard_conforming_strings": "strings|backslash|back_slash|escape",
    "casts that fail": "^cast|_cast",
    "constraint DETAILs": "constraint|hidden_key",
    "views": "view",
    "functions": "function",
    "binary cursors": "binary",
    "prepared statements over a policy change": "reload|policy_change|prepared_before",
    "COPY": "copy",
    "MERGE RETURNING": "merge.*returning",
    "raw types of parameters": "parse_type|parameter|prepare_",
    "locks": "lock",
    "time as an answer": "sleep",
    "files": "read_file|ls_dir|stat_file|logfile",
    "what is raised": "raise|notice|complain|error",
    "row types": "row_type|whole_row|row_to_json",
    "spellings": "escape|unicode|adjacent|dollar|quote",
    "renames": "rename|swapped|detached",
}


def test_every_topic_is_there() -> None:
    """Three ways at least; dblink has nothing but its functions."""
    names = [name for name, *_ in rows()]
    few = {topic: sum(bool(re.search(words, name)) for name in names) for topic, words in TOPICS.items()}
    assert {topic: count for topic, count in few.items() if count < 3} == {}


def test_special_tests_exist() -> None:
    for special in SPECIAL:
        tree = ast.parse((SECURITY.parent / special.file).read_text("utf-8"))
        found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert special.test in found, special.name
