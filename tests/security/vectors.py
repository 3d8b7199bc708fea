"""All vectors, in the order of VECTORS.md."""

from __future__ import annotations

from tests.security.vector import Vector
from tests.security.vectors_catalogs import CATALOGS
from tests.security.vectors_channels import CHANNEL_TALKS, CHANNELS
from tests.security.vectors_columns import BLOCKED_COLUMNS, INFERENCE, ORACLES
from tests.security.vectors_laundering import LAUNDERING
from tests.security.vectors_names import NAMES
from tests.security.vectors_protocol import MESSAGES, PARAMETERS, SEVERAL, SIZES
from tests.security.vectors_reach import FUNCTIONS, RELATIONS, STATEMENTS
from tests.security.vectors_rows import CORNERS, NESTING, SHAPES
from tests.security.vectors_statements import COPIES, CURSORS, OTHERS, PREPARED, STATE
from tests.security.vectors_temporary import DEFINITIONS, TEMPORARY
from tests.security.vectors_writes import EFFECTS, WRITES

TEXTS: tuple[Vector, ...] = (
    *SHAPES,
    *NESTING,
    *CORNERS,
    *INFERENCE,
    *BLOCKED_COLUMNS,
    *ORACLES,
    *RELATIONS,
    *LAUNDERING,
    *FUNCTIONS,
    *STATEMENTS,
    *CATALOGS,
    *WRITES,
    *COPIES,
    *OTHERS,
    *CHANNELS,
)
CONVERSATIONS: tuple[Vector, ...] = (
    *SEVERAL,
    *MESSAGES,
    *PARAMETERS,
    *SIZES,
    *EFFECTS,
    *CURSORS,
    *PREPARED,
    *STATE,
    *TEMPORARY,
    *DEFINITIONS,
    *NAMES,
    *CHANNEL_TALKS,
)
VECTORS: tuple[Vector, ...] = (*TEXTS, *CONVERSATIONS)
