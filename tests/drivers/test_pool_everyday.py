"""Everyday use through a pool: tests of sessions with links of their own, run again where two links serve everybody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.drivers.test_asyncpg import test_a_cursor_of_the_protocol as test_asyncpg_cursor
from tests.drivers.test_asyncpg import test_a_timeout_cancels as test_asyncpg_timeout
from tests.drivers.test_asyncpg import test_an_analyst_gets_masks_in_binary as test_asyncpg_masks
from tests.drivers.test_asyncpg import test_copy as test_asyncpg_copy
from tests.drivers.test_asyncpg import test_types_are_introspected as test_asyncpg_types
from tests.drivers.test_jdbc import (
    classes,
    test_a_writer_sees_masks_on_every_path,
    test_an_analyst_sees_masks_on_every_path,
)
from tests.drivers.test_psql import (
    test_a_script_with_several_statements,
    test_an_analyst_describes_a_table,
    test_an_analyst_sees_own_rows_and_masks,
    test_on_error_stop_ends_a_script_at_a_refusal,
)
from tests.drivers.test_psycopg import (
    test_a_refusal_in_a_pipeline_stands_in_its_own_place,
    test_a_refusal_inside_a_transaction_aborts_it,
    test_a_refusal_leaves_the_connection_usable,
    test_application_name_may_change,
    test_cancel,
    test_intent_and_outcome_are_recorded,
    test_masked_values_are_the_same_in_text_and_binary,
    test_row_limit,
    test_rows_are_filtered_by_tenant,
    test_rows_come_in_chunks,
    test_runtime_limit,
    test_server_cursors,
)
from tests.drivers.test_psycopg_sessions import (
    test_a_cancel_within_a_transaction,
    test_a_pool_checks_and_resets_its_connections,
    test_transactions_and_savepoints,
    test_two_connections_keep_apart,
    test_writes_in_a_pipeline,
    test_writes_with_returning,
)
from tests.drivers.test_sqlalchemy import (
    direct,
    engine,
    test_reflection,
    test_the_mapper_loads_objects_and_their_relations,
    test_the_mapper_writes_as_administrator_and_not_as_analyst,
)
from tests.fix_pgwarden import Pgwarden, run_pgwarden
from tests.fix_servers import TestServer


@pytest.fixture(scope="module")
def pgwarden(server18: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    pool = {"mode": "transaction", "size": 2, "wait": "20s"}
    with run_pgwarden(tmp_path_factory.mktemp("everyday"), server18, pool=pool) as instance:
        yield instance
        assert instance.metric("pgwarden_pool_waiting") == 0
        assert instance.stop() == 0
        assert instance.faults() == []


__all__ = [
    "classes",
    "direct",
    "engine",
    "test_a_cancel_within_a_transaction",
    "test_a_pool_checks_and_resets_its_connections",
    "test_a_refusal_in_a_pipeline_stands_in_its_own_place",
    "test_a_refusal_inside_a_transaction_aborts_it",
    "test_a_refusal_leaves_the_connection_usable",
    "test_a_script_with_several_statements",
    "test_a_writer_sees_masks_on_every_path",
    "test_an_analyst_describes_a_table",
    "test_an_analyst_sees_masks_on_every_path",
    "test_an_analyst_sees_own_rows_and_masks",
    "test_application_name_may_change",
    "test_asyncpg_copy",
    "test_asyncpg_cursor",
    "test_asyncpg_masks",
    "test_asyncpg_timeout",
    "test_asyncpg_types",
    "test_cancel",
    "test_intent_and_outcome_are_recorded",
    "test_masked_values_are_the_same_in_text_and_binary",
    "test_on_error_stop_ends_a_script_at_a_refusal",
    "test_reflection",
    "test_row_limit",
    "test_rows_are_filtered_by_tenant",
    "test_rows_come_in_chunks",
    "test_runtime_limit",
    "test_server_cursors",
    "test_the_mapper_loads_objects_and_their_relations",
    "test_the_mapper_writes_as_administrator_and_not_as_analyst",
    "test_transactions_and_savepoints",
    "test_two_connections_keep_apart",
    "test_writes_in_a_pipeline",
    "test_writes_with_returning",
]
