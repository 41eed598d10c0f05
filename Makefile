# Two commands on a fresh machine: `make demo` and `make test`. Both call `make setup`.
PYTHON ?= python3
BIN := .venv/bin
# Half as many again as there are processors: end-to-end tests wait more than they work.
WORKERS ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) * 3 / 2 )))
# Contracts that install packages or start PostgreSQL.
SLOW := tests/contract/test_third_parties.py tests/contract/test_queue.py
FAST := tests/unit tests/contract tests/test_architecture.py tests/test_docs.py $(SLOW:%=--ignore=%)

.PHONY: help setup parts demo test test-fast lint bench generate lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready ## Make .venv with .venv/bin/skillrunner

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group test --group lint
	touch $@

parts: ## Install the servers that the tests talk to (needs root on Debian or Ubuntu; says so otherwise)
	scripts/test_parts.sh

demo: setup ## From a release event to a pull request, on this machine, with nothing else
	$(BIN)/python demo/demo.py

test: setup parts ## Run all tests; a missing part is a visible skip, and a failure where CI is set
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --cov --cov-report=term --cov-fail-under=90

test-fast: setup ## Run unit, contract and architecture tests that need no server, with fewer examples
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not docker" --hypothesis-profile=fast $(FAST)

lint: setup ## Format, lint and type checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: setup ## Each measure beside its floor, in the same run
	for file in bench/[a-z]*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

generate: setup ## Write schemas/, docs/cli.md and the table of rooms from the code
	$(BIN)/python -m runner.skills.schema
	$(BIN)/python scripts/cli_docs.py
	$(BIN)/python -m tests.test_architecture

lock: setup ## Write the versions that CI uses
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

clean: ## Remove what the targets above made
	rm -rf .venv .cache .skillrunner-demo build dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
