# pgwarden: `make run` shows it, `make test` proves it. Everything it needs goes into .venv.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed
SOURCES := proxy policies audit admin tests

.PHONY: help run test test-drivers compat bench soak readings fuzz lint fmt clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

run: $(STAMP) ## a sample shop, pgwarden before it, a guided tour; stays up until Ctrl-C
	@$(VENV)/bin/pgwarden demo

# Each process has servers of its own. A file's tests stay together: they share what they set up.
test: $(STAMP) ## all tests, on real PostgreSQL servers
	@$(PYTHON) -m pytest -q -n auto --maxprocesses=4 --dist=loadfile

test-drivers: $(STAMP) ## installs every client that has tests (Debian's as root, PyPI's, npm's) and runs their tests
	@tests/drivers/install $(VENV)
	@$(PYTHON) -m pytest -q -rs tests/drivers

compat: $(STAMP) ## other projects' test suites, directly and through pgwarden, compared (45 minutes; needs Debian's -dev packages)
	@tests/compat/run

bench: $(STAMP) ## pgwarden beside PgBouncer and the bare server: docs/benchmarks.md (25 minutes; QUICK=1: 3, coarse)
	@tests/bench/install $(VENV)
	@$(PYTHON) -m tests.bench all $(if $(filter-out 0,$(QUICK)),--quick)

MINUTES := 10
WORKERS := 1

soak: $(STAMP) ## mixed traffic for MINUTES=10 with WORKERS=1; nothing may be lost, nothing may grow: docs/soak.md
	@$(PYTHON) -m tests.soak --minutes $(MINUTES) --workers $(WORKERS)

SECONDS := 600
SEED := $(shell date +%Y%m%d)

fuzz: $(STAMP) ## statements against the sanitized copy for SECONDS=600 from SEED=today; what differs becomes a test: docs/fuzz.md
	@$(PYTHON) -m tests.oracle.run var/fuzz/$(SEED) --seed=$(SEED) --seconds=$(SECONDS) --statements=100000000 \
	  || { $(PYTHON) -m tests.oracle.run var/fuzz/$(SEED) --keep=tests/oracle/counterexamples; exit 1; }

readings: $(STAMP) ## PostgreSQL's regression queries, read twice and run rewritten: docs/readings.md (needs Debian's -dev package)
	@$(PYTHON) -m tests.readings

lint: $(STAMP) ## style, types and import rules
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check -q .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo 2>/dev/null || $(VENV)/bin/lint-imports

fmt: $(STAMP) ## formats the code
	@$(VENV)/bin/ruff check --fix -q . ; $(VENV)/bin/ruff format -q .

clean: ## removes what make made, but not your data in var/
	rm -rf $(VENV) build *.egg-info tests/drivers/node/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find proxy policies audit -name '*.so' -delete

$(STAMP): pyproject.toml setup.py deploy/make-venv
	@deploy/make-venv $(VENV)
	@touch $@
