"""The grammar of the long run: one statement per seed."""

from __future__ import annotations

import re
from random import Random

from tests.oracle.mutate import mutated
from tests.oracle.pipe import Path, Statement
from tests.oracle.wide_odd import OddShapes

_PARAMETER = re.compile(r"\$(\d+)")


def statement_of(seed: int, number: int) -> Statement:
    """The statement of that number under a seed, whatever came before it."""
    random = Random(f"{seed}:{number}")
    path = random.choice(tuple(Path))
    shapes = OddShapes(random, can_bind=path is not Path.SIMPLE and random.random() < 0.3)
    sql, parameters = _bound(shapes.statement(), shapes.parameters)
    return Statement(number, mutated(random, sql), path, parameters, is_ordered=shapes.is_ordered)


def _bound(sql: str, parameters: list[bytes]) -> tuple[str, tuple[bytes, ...]]:
    """The text with the parameters that are left in it, counted from 1."""
    used = list(dict.fromkeys(int(number) for number in _PARAMETER.findall(sql)))
    places = {number: index + 1 for index, number in enumerate(used)}
    text = _PARAMETER.sub(lambda match: f"${places[int(match[1])]}", sql)
    return text, tuple(parameters[number - 1] for number in used)
