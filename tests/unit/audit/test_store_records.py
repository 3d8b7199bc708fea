"""Reading many records of a real store: all that match, what is new in each chain, what was sent."""

import itertools
from datetime import UTC, datetime, timedelta

from audit_samples import START_US, intent, outcome

from audit.ids import Ids
from audit.query import Filters, matches
from audit.record import NO_HASH, Record, Stage, Verdict, body_of, completed, hash_of, record_of
from audit.store import Store
from audit.store_records import StoreRecords
from audit.store_rows import ChainedRecord
from audit.store_seals import StoreSeals
from audit.store_shapes import StoreShapes

MONTH_US = 31 * 86_400_000_000
START = datetime.fromtimestamp(START_US // 1_000_000, UTC)


def chain_of(name: str, *records: Record) -> list[ChainedRecord]:
    made, prev_hash, ids = [], NO_HASH, Ids(lambda: START_US)
    for number, record in enumerate(records, 1):
        body = body_of(completed(record, ids.next(), START_US + number))
        own_hash = hash_of(prev_hash, body)
        made.append(ChainedRecord(name, number, record_of(body, prev_hash, own_hash)))
        prev_hash = own_hash
    return made


async def filled(store: Store) -> list[ChainedRecord]:
    """Of two chains over three months, of all that filters look at."""
    tenants, decisions = ("acme", "globex"), (Verdict.ALLOW, Verdict.DENY)
    columns = ((), ("shop.customers.email",), ("shop.customers.email", "hr.people.phone"))
    made = [
        intent(
            f"{number}", at=START_US + number * MONTH_US // 5, tenant=tenant, decision=decision, masked_columns=names
        )
        for number, (tenant, decision, names) in enumerate(itertools.product(tenants, decisions, columns))
    ]
    first = chain_of("a/1", *made[::2], Record(stage=Stage.EVENT, at=START_US, shape="login", user="eve"))
    second = chain_of("b/1", *made[1::2], outcome("1", at=START_US + MONTH_US, workload="dbt", tables=("hr.people",)))
    await store.copy_records([*first, *second])
    return [*first, *second]


async def test_all_are_those_that_a_newest_first_question_finds_and_that_match(store: Store) -> None:
    every = await filled(store)
    middle = START + timedelta(days=20)
    wanted = [
        Filters(),
        Filters(tenant="acme"),
        Filters(tenant="acme", column="email"),
        Filters(tenant="globex", decision=Verdict.DENY, since=middle),
        Filters(column="phone", until=middle),
        Filters(column="people.phone", decision=Verdict.ALLOW),
        Filters(table="customers", column="email", stage=Stage.INTENT),
        Filters(table="people"),
        Filters(user="eve"),
        Filters(workload="dbt"),
        Filters(statement="1"),
        Filters(stage=Stage.EVENT),
        Filters(user="nobody"),
    ]
    for filters in wanted:
        oldest = [one async for one in StoreRecords(store).all(filters)]
        expected = sorted((one for one in every if matches(filters, one.record)), key=lambda one: one.record.at)
        assert [one.record.at for one in oldest] == [one.record.at for one in expected], filters
        assert {one.record.id for one in oldest} == {one.record.id for one in expected}, filters
        newest = await store.query(filters)
        assert [record.at for record in newest] == [one.record.at for one in reversed(expected)], filters
        assert {record.id for record in newest} == {one.record.id for one in expected}, filters


async def test_each_chain_is_read_on_from_its_place(store: Store) -> None:
    every = await filled(store)
    records = StoreRecords(store)
    ends = await records.ends()
    assert ends == {"a/1": 7, "b/1": 7}
    found = await records.behind({"a/1": 5, "b/1": 7}, 100)
    assert {chain: [one.sequence for one in ones] for chain, ones in found.items()} == {"a/1": [6, 7]}
    assert found["a/1"] == [one for one in every if one.chain == "a/1" and one.sequence > 5]
    found = await records.behind({}, 2)
    assert {chain: [one.sequence for one in ones] for chain, ones in found.items()} == {"a/1": [1, 2], "b/1": [1, 2]}
    assert await records.behind(ends, 2) == {}


async def test_an_empty_store_has_no_chains(store: Store) -> None:
    assert await StoreRecords(store).ends() == {}
    assert await StoreRecords(store).behind({}, 10) == {}
    assert [one async for one in StoreRecords(store).all(Filters())] == []
    assert await store.query(Filters(table="x")) == []


async def test_a_record_is_found_by_its_id_whatever_the_clock_did(store: Store) -> None:
    near, far = chain_of("a/1", intent("near", at=START_US + 1_000), intent("far", at=START_US - 3 * MONTH_US))
    await store.copy_records([near, far])
    seals = StoreSeals(store)
    assert await seals.record(near.record.id) == near
    assert await seals.record(far.record.id) == far
    assert await seals.record("0" * 32) is None
    assert await seals.record("f" * 32) is None


async def test_what_was_sent_is_counted_by_shape(store: Store) -> None:
    common = {"shape": "s1", "decision": Verdict.ALLOW, "masked_columns": (), "database": "shop"}
    made = [intent(str(n), sql_text=f"select {n}", at=START_US + n * 1_000_000, **common) for n in range(4)]
    others = [intent("d", **common | {"decision": Verdict.DENY}), intent("o", **common | {"database": "other"})]
    await store.copy_records(chain_of("a/1", *made, *others, outcome("1", **common)))
    (found,) = await StoreShapes(store).since("shop", START + timedelta(seconds=2))
    assert (found.user, found.statements, found.decision) == ("ada", 2, Verdict.ALLOW)
    assert found.sql_text in ("select 2", "select 3")
    assert found.at == START + timedelta(seconds=3, microseconds=123_456)
