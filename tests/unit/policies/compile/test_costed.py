import pytest

from policies.compile.costed import Costed, costed_statement


@pytest.mark.parametrize(
    ("text", "costed"),
    [
        ("select 1", Costed("select 1")),
        ("  with x as (select 1) select * from x -- end", Costed("with x as (select 1) select * from x -- end")),
        ("insert into t values (1)", Costed("insert into t values (1)")),
        ("declare \"for\" cursor with hold for select 'ä' from t for update", Costed("select 'ä' from t for update")),
        ("prepare p as select 1", Costed("select 1")),
        ("prepare p(int, numeric(10, 2)) as select $1 as x", Costed("select $1 as x", "int, numeric(10, 2)")),
        ("explain analyze select 1", Costed("select 1")),
        ("explain (analyze, verbose) select 1", Costed("select 1")),
        ("explain (analyze off) (select 1)", Costed("(select 1)")),
        ("explain analyze (select 1) union select 2", Costed("(select 1) union select 2")),
        ("copy (select ')' from t) to stdout (format csv)", Costed("select ')' from t")),
        ('copy S."T" (x) to stdout', Costed('SELECT * FROM ONLY "s"."T"')),
        ("create table a as select 1", Costed("create table a as select 1", is_whole=True)),
        ("select 1 into a", Costed("select 1 into a", is_whole=True)),
        ("explain select 1", None),
        ("copy t from stdin", None),
        ("commit", None),
        ("create table t (x int)", None),
        ("call p()", None),
    ],
)
def test_what_the_planner_can_be_asked(text: str, costed: Costed | None) -> None:
    assert costed_statement(text, 0) == costed


def test_statements_of_a_text_are_counted() -> None:
    assert costed_statement("begin; select 'ä'; select 2", 0) is None
    assert costed_statement("begin; select 'ä'; select 2", 2) == Costed("select 2")
