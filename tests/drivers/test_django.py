"""Django's PostgreSQL backend on psycopg 3: migrations, the mapper, transactions, iterators, inspectdb."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.drivers.sanitized import COUNTS, on_the_copy
from tests.fix_pgwarden import Pgwarden

django = pytest.importorskip("django", reason="Django isn't installed")
pytest.importorskip("django.contrib.postgres.fields", reason="Django finds no psycopg")

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import DatabaseError, IntegrityError, connections, models, transaction  # noqa: E402
from django.db.models import functions  # noqa: E402

settings.configure(
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "tests.drivers.django_shop",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "none"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    TIME_ZONE="UTC",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # fast
)
django.setup()

from tests.drivers.django_shop.models import Customer, Order, Remark  # noqa: E402

EVERYBODY = ["admin", "ada", "wes"]
GRANTED = ["admin", "wes"]
SCHEMA = "django_site"


def configured(alias: str, dsn: str, **options: Any) -> str:
    """Makes `alias` a database of Django's, as a settings file would."""
    url = urlsplit(dsn)
    parts = {
        "USER": url.username,
        "PASSWORD": url.password,
        "HOST": url.hostname,
        "PORT": url.port,
        "NAME": url.path[1:],
    }
    database = {"ENGINE": "django.db.backends.postgresql", **parts, "OPTIONS": options}
    connections.databases[alias] = connections.configure_settings({"default": {}, alias: database})[alias]
    return alias


@pytest.fixture(params=[False, True], ids=["client-side", "server-side"])
def is_bound_by_server(request: pytest.FixtureRequest) -> bool:
    """Django's option server_side_binding."""
    return bool(request.param)


@pytest.fixture(params=EVERYBODY)
def user(request: pytest.FixtureRequest, pgwarden: Pgwarden, is_bound_by_server: bool) -> Iterator[str]:
    """A user whose name is also that of the database to use; `direct` is the bare server's."""
    configured("direct", pgwarden.direct_dsn)
    configured(request.param, pgwarden.dsn(request.param), server_side_binding=is_bound_by_server)
    yield request.param
    for alias in ("direct", request.param):
        connections[alias].close()
        del connections[alias]


def test_rows_become_objects(user: str) -> None:
    columns = ", ".join(field.column for field in Customer._meta.fields)
    question = on_the_copy(user, f"SELECT {columns} FROM shop.customers WHERE id < 400 ORDER BY id")
    expected = [_fields(row) for row in Customer.objects.using("direct").raw(question)]
    found = [_fields(row) for row in Customer.objects.using(user).filter(id__lt=400).order_by("id")]
    assert found == expected
    assert len(found) > 200


def _fields(row: models.Model) -> dict[str, Any]:
    values = {field.attname: getattr(row, field.attname) for field in row._meta.fields}
    return {name: bytes(value) if isinstance(value, memoryview) else value for name, value in values.items()}


def test_queries(user: str) -> None:
    """Lookups, aggregates, annotations, windows, subqueries, JSON, unions, prefetches."""
    customers, orders = Customer.objects.using(user), Order.objects.using(user)
    assert customers.count() == COUNTS[user]
    assert orders.filter(customer__name__icontains="knuth", total__gt=10).exists()
    spent = customers.annotate(spent=models.Sum("orders__total")).filter(spent__gt=5000)
    assert {row.tenant_id for row in spent[:50]} <= ({1, 2} if user == "admin" else {1})
    by_month = orders.annotate(month=functions.TruncMonth("ordered_at")).values("month")
    assert len(by_month.annotate(many=models.Count("id"), average=models.Avg("total")).order_by("month")) == 12
    ranked = orders.annotate(
        rank=models.Window(functions.RowNumber(), partition_by="customer_id", order_by="-total")
    ).filter(customer_id=1)
    assert all(row.rank >= 1 for row in ranked)
    newest = Order.objects.filter(customer=models.OuterRef("pk")).order_by("-ordered_at").values("id")[:1]
    assert customers.annotate(newest=models.Subquery(newest)).filter(newest__isnull=False).exists()
    assert (customers.filter(preferences__newsletter=True).count() > 0) == (user == "admin")
    assert (customers.filter(tags__contains=["vip"]).count() > 0) == (user == "admin")
    both = customers.filter(id=1).values("id").union(customers.filter(id=3).values("id"))
    assert [row["id"] for row in both.order_by("id")] == [1, 3]
    with_orders = list(customers.filter(id__in=[1, 3]).prefetch_related("orders").order_by("id"))
    assert [row.id for row in with_orders] == [1, 3]
    assert all(order.customer_id == row.id for row in with_orders for order in row.orders.all())
    assert orders.select_related("customer").order_by("id")[0].customer.name
    assert list(customers.dates("created_at", "year"))
    assert customers.in_bulk([1, 3]).keys() == {1, 3}
    assert customers.aggregate(first=models.Min("id"), mean=models.Avg("balance"))["first"] == 1


def test_transactions(user: str) -> None:
    with transaction.atomic(using=user):
        for question in ("SELECT 1 / 0", "SELECT missing FROM shop.customers"):
            with pytest.raises(DatabaseError), transaction.atomic(using=user), connections[user].cursor() as cursor:
                cursor.execute(question)
        assert Customer.objects.using(user).count() == COUNTS[user]
    if user != "admin":
        with pytest.raises(DatabaseError, match="tables.block"), connections[user].cursor() as cursor:
            cursor.execute("SELECT * FROM shop.salaries")
    assert connections[user].is_usable()


def test_writes(user: str, is_bound_by_server: bool) -> None:
    if user not in GRANTED:
        order = Order.objects.using(user).order_by("id")[0]
        with pytest.raises(DatabaseError, match="statements"):
            order.save(using=user)
        return
    with transaction.atomic(using=user):
        orders = Order.objects.using(user)
        fields = {"tenant_id": 1, "customer_id": 1, "ordered_at": "2025-05-05 05:05:05Z"}
        made = orders.create(**fields, note="made")
        made.total = 12
        made.save()
        made.refresh_from_db()
        assert (made.total, made.note) == (12, "made")
        several = orders.bulk_create([Order(**fields, note=str(number)) for number in range(30)])
        assert all(order.pk for order in several)
        for order in several:
            order.total = int(order.note)
        assert orders.bulk_update(several, ["total"]) == 30
        mine = orders.filter(pk__in=[order.pk for order in several])
        assert mine.update(total=models.F("total") + 1) == 30
        assert mine.aggregate(sum=models.Sum("total"))["sum"] == sum(range(1, 31))
        assert mine.select_for_update(of=("self",)).count() == 30
        assert orders.update_or_create(pk=made.pk, defaults={**fields, "note": "again"})[1] is False
        assert mine.delete()[0] == 30
        assert made.delete() == (1, {"django_shop.Order": 1})
        transaction.set_rollback(True, using=user)


def test_iterators_read_by_server_side_cursors(user: str) -> None:
    """Declared WITH HOLD outside of transactions. Who may not declare hears so; `DISABLE_SERVER_SIDE_CURSORS` helps."""
    rows = Order.objects.using(user).order_by("id").values_list("id", flat=True)
    if user not in GRANTED:
        with pytest.raises(DatabaseError, match="cursor"):
            next(rows.iterator(chunk_size=500))
        connections[user].settings_dict["DISABLE_SERVER_SIDE_CURSORS"] = True
    found = list(rows.iterator(chunk_size=500))
    question = on_the_copy(user, "SELECT id FROM shop.orders ORDER BY id")
    assert found == [row.id for row in Order.objects.using("direct").raw(question)]
    with transaction.atomic(using=user):
        assert list(rows.iterator(chunk_size=2000)) == found


def test_explain(user: str) -> None:
    question = Customer.objects.using(user).filter(id=1)
    if user == "ada":
        with pytest.raises(DatabaseError, match="explain"):
            question.explain()
    elif user == "admin":
        assert "customers" in question.explain(format="json")


@pytest.mark.parametrize("name", ["admin", "ada"])
def test_inspectdb(pgwarden: Pgwarden, name: str) -> None:
    """Models made from what the catalogs say: nothing of a blocked table or column."""
    texts = []
    for alias, dsn in ((name, pgwarden.dsn(name)), ("direct", pgwarden.direct_dsn)):
        configured(alias, dsn, options="-c search_path=shop")
        out = io.StringIO()
        call_command("inspectdb", "--include-views", database=alias, stdout=out)
        connections[alias].close()
        del connections[alias]
        texts.append(out.getvalue())
    through, direct = texts
    assert "class Customers(models.Model):" in through
    assert "class CustomerTotals(models.Model):" in through
    if name == "admin":
        assert through == direct
    else:
        assert "Unable to inspect" not in through
        assert "salaries" not in through.lower()
        assert "card_number" not in through
        assert {line for line in through.splitlines() if line.strip()} <= set(direct.splitlines())


@pytest.fixture
def site(pgwarden: Pgwarden) -> Iterator[str]:
    """Django's own tables in a schema of their own, as administrator."""
    with psycopg.connect(pgwarden.server.dsn(pgwarden.database), autocommit=True) as direct:
        direct.execute(f"CREATE SCHEMA {SCHEMA} AUTHORIZATION gateway".encode())
        yield configured("site", pgwarden.dsn(), options=f"-c search_path={SCHEMA}")
        connections["site"].close()
        del connections["site"]
        direct.execute(f"DROP SCHEMA {SCHEMA} CASCADE".encode())


def test_migrations_and_a_site(site: str) -> None:
    from django.contrib.auth.models import User
    from django.contrib.contenttypes.models import ContentType

    call_command("migrate", database=site, verbosity=0)
    call_command("migrate", database=site, run_syncdb=True, verbosity=0)
    out = io.StringIO()
    call_command("showmigrations", database=site, stdout=out)
    assert "[ ]" not in out.getvalue()
    assert ContentType.objects.using(site).filter(app_label="django_shop").exists()
    reader = User.objects.db_manager(site).create_user("reader", password="unusual")
    assert reader.check_password("unusual")
    remarks = Remark.objects.using(site)
    first = remarks.create(text="first", stars=3, details={"a": [1, None]})
    first.readers.add(reader)
    remarks.bulk_create([Remark(text=f"more {number}", answers_to=first) for number in range(20)])
    added = [Remark(text="more 1", stars=5), Remark(text="new", stars=4)]
    remarks.bulk_create(added, update_conflicts=True, unique_fields=["text"], update_fields=["stars"])
    assert remarks.get(text="more 1").stars == 5
    for wrong in ({"text": "first"}, {"text": "six", "stars": 6}):
        with pytest.raises(IntegrityError), transaction.atomic(using=site):
            remarks.create(**wrong)
    assert list(first.readers.values_list("username", flat=True)) == ["reader"]
    assert remarks.filter(details__a__0=1, readers__username="reader").get() == first
    assert first.delete()[0] == 22
    call_command("migrate", "sessions", "zero", database=site, verbosity=0)
    call_command("flush", database=site, interactive=False, verbosity=0)
