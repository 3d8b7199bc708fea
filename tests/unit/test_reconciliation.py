from collections import Counter

from policies.likeness import likeness
from proxy.reconciliation import Excess, Ran, Reconciliation, reconcile

CUSTOMERS = "select * from shop.customers where id = $1"


def compared(*ran: Ran, own: tuple[str, ...] = (), **recorded: int) -> Reconciliation:
    known = {"customers": CUSTOMERS, "orders": "select * from shop.orders"}
    return reconcile(ran, Counter({likeness(known[name]): count for name, count in recorded.items()}), own, "gateway")


def test_what_was_recorded_often_enough_is_complete() -> None:
    found = compared(Ran("gateway", CUSTOMERS, 3), Ran("gateway", "BEGIN", 9), customers=3)
    assert found.is_complete
    assert (found.matched, found.housekeeping) == (3, 9)


def test_a_failed_statement_is_recorded_and_not_counted() -> None:
    assert compared(Ran("gateway", CUSTOMERS, 3), customers=5).is_complete


def test_other_logins_went_past() -> None:
    found = compared(Ran("dba", CUSTOMERS, 1), Ran("gateway", CUSTOMERS, 1), customers=2)
    assert found.others == [Excess("dba", CUSTOMERS, 1, 0)]
    assert not found.is_complete


def test_the_gateways_password_in_other_hands_shows() -> None:
    salaries = "select * from shop.salaries"
    found = compared(Ran("gateway", salaries, 1), Ran("gateway", CUSTOMERS, 5), customers=3)
    assert found.unknown == [Excess("gateway", salaries, 1, 0)]
    assert found.more == [Excess("gateway", CUSTOMERS, 5, 3)]


def test_texts_that_differ_in_constants_and_blanks_count_together() -> None:
    ran = [Ran("gateway", CUSTOMERS, 2), Ran("gateway", "SELECT *  FROM shop.customers WHERE id = 7 -- x", 2)]
    assert compared(*ran, customers=4).is_complete
    assert [one.calls for one in compared(*ran, customers=3).more] == [4]


def test_what_pgwarden_asks_itself_is_no_finding() -> None:
    own = "select oid from pg_catalog.pg_type where typname = 'x'"
    found = compared(
        Ran("gateway", own, 2),
        Ran("gateway", f"EXPLAIN (FORMAT JSON) {CUSTOMERS}", 3),
        Ran("gateway", "select relname from pg_class", 4),
        own=(own,),
        customers=1,
    )
    assert found.is_complete
    assert (found.housekeeping, found.catalogs) == (5, 4)


def test_explaining_what_nobody_asked_is_a_finding() -> None:
    assert not compared(Ran("gateway", "EXPLAIN (FORMAT JSON) select * from shop.salaries", 1), customers=1).is_complete
