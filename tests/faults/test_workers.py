"""Two workers as one sidecar: links are shared out, limits and cancels hold over both, either may go at any time."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest
from psycopg import errors

from tests.fix_pgwarden import PATIENCE_S, MakePgwarden, Pgwarden, policy_text, run_pgwarden, until
from tests.fix_servers import TestServer
from tests.fix_workers import is_running, replaced, workers_of

POLICIES = """
principals:
  - {user: admin, tenant: hq, roles: [admin], auth: {scram: "@admin@"}}
  - {user: ada, tenant: acme, roles: [plain], auth: {scram: "@ada@"}}
  - {user: sam, tenant: acme, roles: [alone], auth: {scram: "@sam@"}}
  - {user: tim, tenant: acme, roles: [slow], auth: {scram: "@tim@"}}
  - {user: wes, tenant: acme, roles: [curious], auth: {scram: "@wes@"}}
policies:
  - name: administrators
    subjects: {roles: [admin]}
    statements: [all]
    tables: {allow: ["*.*"]}
    functions: {allow: ["*"]}
  - name: plain
    subjects: {roles: [plain]}
    statements: [select]
    tables: {allow: ["shop.*"]}
    masks:
      - {column: shop.customers.ssn, mask: {kind: redact}}
  - name: alone
    subjects: {roles: [alone]}
    statements: [select]
    tables: {allow: ["shop.*"]}
    limits: {concurrent: 1}
  - name: slow
    subjects: {roles: [slow]}
    statements: [select]
    tables: {allow: ["shop.*"]}
    limits: {statements_per_minute: 10}
  - name: curious
    subjects: {roles: [curious]}
    statements: [select]
    tables: {allow: ["shop.*"]}
    masks:
      - {column: shop.customers.email, mask: {kind: email}, use: {equality: raw}, probes_per_hour: 6}
"""


@pytest.fixture(scope="module")
def pair(server18: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    with run_pgwarden(tmp_path_factory.mktemp("pair"), server18, policies=POLICIES, workers=2) as instance:
        yield instance
        assert instance.terminate() == 0
        assert instance.faults() == []


def connect(instance: Pgwarden, user: str = "ada") -> psycopg.Connection:
    return psycopg.connect(instance.dsn(user, connect_timeout="20"), autocommit=True)


def is_active(instance: Pgwarden, pattern: str, count: int) -> None:
    """Returns when the server works on so many statements that match."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE query ~ %s AND state = 'active' AND pid <> pg_backend_pid()"
    with psycopg.connect(instance.direct_dsn, autocommit=True) as direct:
        until(lambda: direct.execute(query, (pattern,)).fetchone() == (count,), f"{count} of {pattern}")


def chains_of_logins(instance: Pgwarden, application: str, count: int) -> Counter[str]:
    """How many logins each worker has recorded."""
    query = "SELECT chain FROM pgwarden.records WHERE shape = 'login' AND application = %s"

    def look() -> list[str]:
        with psycopg.connect(instance.store_dsn) as store:
            found = [row[0].rpartition("/")[2] for row in store.execute(query, (application,))]
        return found if len(found) >= count else []

    return Counter(until(look, "the logins' records"))


@pytest.mark.parametrize("count", [16, 64])
def test_links_are_shared_out(pair: Pgwarden, count: int) -> None:
    name = f"shared out {count}"
    with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        dsn = pair.dsn("ada", application_name=name)
        for link in pool.map(lambda _: psycopg.connect(dsn), range(count)):
            stack.enter_context(link)
        found = chains_of_logins(pair, name, count)
    assert found.total() == count
    assert max(found.values()) <= count * 3 // 4, "a machine that is busy elsewhere may keep a worker from its turn"


def test_cancels_find_their_worker(pair: Pgwarden) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(6) as pool:
        links = [stack.enter_context(connect(pair, "admin")) for _ in range(6)]
        running = [pool.submit(link.execute, "SELECT pg_sleep(60)") for link in links]
        is_active(pair, "^SELECT pg_sleep.60", 6)
        for link in links:
            link.cancel_safe(timeout=PATIENCE_S)
        for one in running:
            with pytest.raises(errors.QueryCanceled):
                one.result(PATIENCE_S)
        assert [link.execute("SELECT 1").fetchone() for link in links] == [(1,)] * 6


def test_a_key_of_nobody_is_answered_by_the_end_of_the_link(pair: Pgwarden) -> None:
    with socket.create_connection((pair.host, pair.port), PATIENCE_S) as link:
        link.sendall(struct.pack("!IIII", 16, 80877102, 4711, 4711))
        assert link.recv(1) == b""


def test_one_at_a_time_is_one_at_a_time_everywhere(pair: Pgwarden) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(1) as pool:
        first, *others = [stack.enter_context(connect(pair, "sam")) for _ in range(5)]
        running = pool.submit(first.execute, "SELECT count(*) FROM generate_series(1, 500000000) AS slow")
        is_active(pair, "AS slow$", 1)
        assert all(is_refused(other, "SELECT 1") for other in others)
        first.cancel_safe(timeout=PATIENCE_S)
        with pytest.raises(errors.QueryCanceled):
            running.result(PATIENCE_S)
        assert not any(is_refused(other, "SELECT 1") for other in others)


def test_a_minute_and_an_hour_are_the_same_everywhere(pair: Pgwarden) -> None:
    probe = "SELECT count(*) FROM shop.customers WHERE email = 'a@b.example'"
    for user, query, limit in (("tim", "SELECT 1", 10), ("wes", probe, 6)):
        with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
            links = [stack.enter_context(connect(pair, user)) for _ in range(4)]
            refused = list(pool.map(lambda link, query=query: [is_refused(link, query) for _ in range(8)], links))
        assert sum(each.count(False) for each in refused) == limit, user


def is_refused(link: psycopg.Connection, query: str) -> bool:
    try:
        link.execute(query.encode())
    except errors.ConfigurationLimitExceeded:
        return True
    return False


def test_counts_of_both_are_added_up_and_one_bad_edit_is_one(pair: Pgwarden) -> None:
    before = pair.metric('pgwarden_statements_total{decision="rewrite"}')
    failed = pair.metric('pgwarden_policy_loads_total{outcome="failed"}')
    with ExitStack() as stack:
        links = [stack.enter_context(connect(pair)) for _ in range(4)]
        for link in links:
            link.execute("SELECT ssn FROM shop.customers")
        assert pair.metric("pgwarden_sessions") == 4
        assert pair.metric('pgwarden_statements_total{decision="rewrite"}') == before + 4
        pair.write_policies(POLICIES.replace("kind: redact", "kind: redcat"))
        until(lambda: not pair.readiness()[0], "the bad edit")
        assert "redcat" in pair.readiness()[1]["policies"]
        assert pair.metric('pgwarden_policy_loads_total{outcome="failed"}') == failed + 1
        assert {link.execute("SELECT ssn FROM shop.customers").fetchone() for link in links} == {("REDACTED   ",)}
        pair.write_policies(POLICIES)
        until(lambda: pair.readiness()[0], "the good edit")


class Traffic:
    """Clients that run short transactions and connect again when they are told to."""

    def __init__(self, instance: Pgwarden, clients: int) -> None:
        self.instance = instance
        self.transactions = 0
        self.ended: list[str] = []
        self.errors: list[str] = []
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def more(self, count: int = 40) -> None:
        """Returns when so many more transactions have been made."""
        wanted = self.transactions + count
        until(lambda: self.errors or self.transactions >= wanted, "transactions")

    def _run(self) -> None:
        while not self._is_over.is_set():
            try:
                with connect(self.instance) as link:
                    self._work(link)
            except psycopg.Error as error:
                self.errors.append(f"{type(error).__name__}: {error}")

    def _work(self, link: psycopg.Connection) -> None:
        while not self._is_over.is_set():
            link.autocommit = True
            try:
                link.execute("BEGIN")
            except psycopg.OperationalError as error:  # told between two transactions: nothing is lost
                self.ended.append(str(error))
                return
            link.execute("SELECT ssn FROM shop.customers WHERE id = 1")
            link.execute("SELECT count(*) FROM shop.orders")
            link.execute("COMMIT")
            self.transactions += 1


def test_reloads_and_one_worker_s_restart_are_no_errors(pair: Pgwarden) -> None:
    assert pair.process is not None
    with Traffic(pair, 6) as traffic:
        traffic.more()
        for number in range(3):
            pair.write_policies(POLICIES.replace("probes_per_hour: 6", f"probes_per_hour: {number + 7}"))
            pair.process.send_signal(signal.SIGHUP)
            traffic.more()
        assert (traffic.errors, traffic.ended) == ([], [])
        replaced(pair, 1, signal.SIGTERM)
        traffic.more()
        assert traffic.errors == []
    assert traffic.errors == []
    assert 1 <= len(traffic.ended) <= 5, "those of one worker"
    pair.write_policies(POLICIES)


def test_a_killed_worker_takes_only_its_own_links_and_its_records_are_kept(pair: Pgwarden) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        links = [connect(pair, "admin") for _ in range(4)]
        for link in links:
            stack.callback(link.close)
        asleep = [pool.submit(link.execute, "SELECT pg_sleep(3), 'killed'") for link in links]
        is_active(pair, "^SELECT pg_sleep.3.*killed", 4)
        killed = workers_of(pair)[2]
        os.kill(killed, signal.SIGKILL)
        with connect(pair) as late:
            assert late.execute("SELECT 1").fetchone() == (1,)
        lost = sum(isinstance(one.exception(PATIENCE_S), psycopg.OperationalError) for one in asleep)
        assert 1 <= lost <= 3
    until(lambda: workers_of(pair).get(2, killed) != killed, "another worker 2")
    until(lambda: pair.readiness()[0], "/readyz")
    records = pair.records_of("'killed'", outcomes=4)
    outcomes = Counter(record["sqlstate"] for record in records if record["stage"] == "outcome")
    assert outcomes == {"": 4 - lost, "08007": lost}
    assert pair.run("audit", "verify").returncode == 0


def test_a_worker_that_dies_beside_a_bad_edit_comes_back_with_the_next_good_one(make_pgwarden: MakePgwarden) -> None:
    instance = make_pgwarden(policies=POLICIES, workers=2)
    instance.policy_file.write_text("policies: [{name: nonsense, rules: none}]")
    until(lambda: not instance.readiness()[0], "/readyz tells of the edit")
    killed = workers_of(instance)[2]
    os.kill(killed, signal.SIGKILL)
    until(lambda: "can't be started again" in instance.log_text, "a word about it")
    assert not instance.readiness()[0]
    with connect(instance) as other:  # by the worker that has the last good policies
        assert other.execute("SELECT 1").fetchone() == (1,)
    instance.write_policies(POLICIES)
    until(lambda: instance.readiness()[0], "/readyz")
    assert workers_of(instance)[2] != killed
    assert instance.stop() == 0


def test_a_worker_that_is_stopped_keeps_nobody_else_waiting(pair: Pgwarden) -> None:
    stopped = workers_of(pair)[1]
    os.kill(stopped, signal.SIGSTOP)
    try:
        for _ in range(4):
            with connect(pair) as link:
                assert link.execute("SELECT 1").fetchone() == (1,)
        until(lambda: "worker 1" in pair.readiness()[1]["workers"], "/readyz names it")
    finally:
        os.kill(stopped, signal.SIGCONT)
    until(lambda: pair.readiness()[0], "/readyz")


def is_known(link: psycopg.Connection, query: str) -> bool:
    try:
        return link.execute(query.encode()).fetchone() is not None
    except errors.UndefinedTable:
        return False


def test_ddl_of_one_worker_s_session_is_known_to_the_others(server18: TestServer, make_pgwarden: MakePgwarden) -> None:
    instance = make_pgwarden(policies=POLICIES, workers=2, is_started=False)
    instance.configuration["databases"]["shop"]["upstream"] = server18.dsn(instance.database)
    instance.start()
    with ExitStack() as stack:
        links = [stack.enter_context(connect(instance)) for _ in range(4)]
        admin = stack.enter_context(connect(instance, "admin"))
        for number in range(3):
            admin.execute(f"CREATE TABLE shop.novelty{number} AS SELECT {number} AS x".encode())
            for link in links:
                until(lambda link=link, query=f"SELECT x FROM shop.novelty{number}": is_known(link, query), "the table")
        names = (instance.folder / "journal" / "names.json").read_text()
        assert "customers" in names
    assert instance.terminate() == 0


def test_without_a_supervisor_workers_end_and_what_they_left_is_shipped_by_fewer(make_pgwarden: MakePgwarden) -> None:
    instance = make_pgwarden(policies=POLICIES, workers=2)
    pids = list(workers_of(instance).values())
    with ExitStack() as stack:
        links = [connect(instance) for _ in range(4)]
        for link in links:
            stack.callback(link.close)
        for number, link in enumerate(links):
            link.execute(f"SELECT {number}, 'orphan'".encode())
        instance.kill()
        for link in links:
            with pytest.raises(psycopg.OperationalError):
                link.execute("SELECT 1")
                time.sleep(0.2)
                link.execute("SELECT 1")
    until(lambda: not any(map(is_running, pids)), "the workers' end")
    instance.configuration["workers"] = 1
    instance.start()
    records = instance.records_of("'orphan'", outcomes=4)
    assert {record["chain"].rpartition("/")[2] for record in records} == {"1", "2"}
    assert until(lambda: instance.run("audit", "verify").returncode == 0, "audit verify")
    assert instance.stop() == 0


def test_a_start_that_fails_says_why_and_leaves_no_process(make_pgwarden: MakePgwarden) -> None:
    instance = make_pgwarden(is_started=False, workers=2)
    instance.policy_file.write_text(policy_text().replace("kind: redact", "kind: redcat"))
    instance.write_configuration()
    ran = instance.run("serve")
    assert ran.returncode == 3
    assert "policies.yaml:" in ran.stderr
    assert "Traceback" not in ran.stderr
    with (instance.folder / "journal" / "worker-001" / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody is left who holds it
