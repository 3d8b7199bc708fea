"""A whole row comes through a guard with its table's type, so that clients decode it as without one."""

from __future__ import annotations

from tests.rules.conftest import Guarded


async def test_a_guarded_row_keeps_its_type_and_name(guarded: Guarded) -> None:
    sql = "SELECT t FROM app.t WHERE id = 1"
    text = guarded.text(sql)
    assert "OFFSET 0" not in text
    assert " WHERE (app.mine(owner))" in text
    shown, bare = (guarded.connection.execute(one.encode()) for one in (text, sql))
    assert shown.description is not None
    assert bare.description is not None
    assert [(c.name, c.type_code) for c in shown.description] == [(c.name, c.type_code) for c in bare.description]
    assert shown.fetchall() == bare.fetchall()
