# Two commands on a fresh machine: `make demo` and `make test`. Both call `make setup`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup
setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group test --group lint
	touch $@
