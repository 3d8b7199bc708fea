"""The sample shop's guided tour, station by station. `proxy.demo.steps` says what a station is."""

from __future__ import annotations

from typing import Final

from proxy.demo.steps import Seen, Step, Views, unmet

EVERYBODY: Final = ("admin", "ada", "sam")


def _are_rows(views: Views) -> bool:
    return all(seen.refused is None and seen.rows for seen in views.values())


def _same_query(views: Views) -> list[str]:
    if not _are_rows(views):
        return ["all three see rows"]
    admin, ada, sam = (views[user] for user in EVERYBODY)
    return unmet(
        admin_sees_both_tenants=set(admin.column("tenant_id")) == {"1", "2"},
        ada_sees_only_acme=set(ada.column("tenant_id")) == {"1"},
        sam_sees_only_globex=set(sam.column("tenant_id")) == {"2"},
        ada_sees_no_whole_email=_hides(ada, admin, "email"),
        sam_sees_no_whole_email=_hides(sam, admin, "email"),
        ada_sees_no_ssn=_hides(ada, admin, "ssn"),
        sam_sees_no_ssn=_hides(sam, admin, "ssn"),
    )


def _hides(seen: Seen, admin: Seen, column: str) -> bool:
    """Where both see the same row, the value differs. There must be such a row."""
    raw = dict(zip(admin.column("id"), admin.column(column), strict=True))
    pairs = [(raw[row], value) for row, value in zip(seen.column("id"), seen.column(column), strict=True) if row in raw]
    return bool(pairs) and all(before != after for before, after in pairs)


def _refused(views: Views) -> list[str]:
    refused = views["ada"].refused
    if refused is None:
        return ["ada is refused"]
    return unmet(
        the_SQLSTATE_is_42501=refused.sqlstate == "42501",
        the_reason_names_file_and_line=".yaml:" in refused.detail,
        there_is_a_hint=bool(refused.hint),
    )


def _join(views: Views) -> list[str]:
    if not _are_rows(views):
        return ["all three see rows"]
    return unmet(
        the_masked_email_stays_masked_in_a_join=all("***" in str(e) for e in views["ada"].column("email")),
        admin_sees_whole_emails=all("***" not in str(e) for e in views["admin"].column("email")),
    )


def _aggregate(views: Views) -> list[str]:
    if not _are_rows(views):
        return ["all three see rows"]
    admin, ada, sam = (int(str(views[user].column("customers")[0])) for user in EVERYBODY)
    return unmet(
        each_tenant_counts_its_own=0 < ada < admin and 0 < sam < admin,
        together_they_are_what_admin_counts=ada + sam == admin,
    )


def _whole_row(views: Views) -> list[str]:
    if not _are_rows(views):
        return ["both see rows"]
    raw = views["admin"].column("ssn")
    return unmet(the_whole_row_holds_no_ssn=all(str(ssn) not in views["ada"].text() for ssn in raw))


def _guess(views: Views) -> list[str]:
    if not _are_rows(views):
        return ["both see rows"]
    return unmet(
        admin_finds_the_customer=views["admin"].rows[0][0] != "0",
        ada_finds_nobody=views["ada"].rows[0][0] == "0",
    )


STEPS: Final = (
    Step(
        "The same query, three users",
        "Rows are filtered by tenant; protected columns are masked on the way out.",
        "SELECT id, tenant_id, email, ssn, phone FROM shop.customers WHERE id <= 6 ORDER BY id",
        EVERYBODY,
        _same_query,
    ),
    Step(
        "A refused statement",
        "The reason names the rule, its file and line, and what would make it pass.",
        "SELECT * FROM shop.salaries",
        ("ada",),
        _refused,
    ),
    Step(
        "A join",
        "Guards stand where the tables stand, so a join needs no case of its own.",
        "SELECT o.id AS order_id, c.email, o.total\n"
        "FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id\n"
        "ORDER BY o.total DESC, o.id LIMIT 3",
        EVERYBODY,
        _join,
    ),
    Step(
        "An aggregate",
        "Everybody counts only what is there for them.",
        "SELECT count(*) AS customers, min(email) AS first_email FROM shop.customers",
        EVERYBODY,
        _aggregate,
    ),
    Step(
        "A whole-row trick",
        "A row as JSON names no column, and still carries none that is hidden.",
        "SELECT c.ssn, left(row_to_json(c)::text, 190) AS whole_row\nFROM shop.customers c WHERE id <= 2 ORDER BY id",
        ("admin", "ada"),
        _whole_row,
    ),
    Step(
        "Guessing a hidden value",
        "A masked column is masked in conditions too, so questions about it find nothing.",
        "SELECT count(*) FROM shop.customers\nWHERE ssn = '819-41-4001'",
        ("admin", "ada"),
        _guess,
    ),
)
