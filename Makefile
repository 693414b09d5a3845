# Each target sets up what it needs: a clone, Python 3.11 or newer and the package index suffice.

.PHONY: help demo run test check torture clients bench format lock
.DELETE_ON_ERROR:

# The first of these that runs and is new enough; `make PYTHON=/path/to/python3.12` names one.
CANDIDATES := python3.13 python3.12 python3.11 python3
PYTHON ?=
# More for the program or the tests: `make run ARGS=--help`, `make test ARGS=tests/market`.
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
READY := $(VENV)/.program-installed

CLIENTS := .venv-clients
CLIENTS_READY := $(CLIENTS)/.requirements-installed

help:
	@echo "make demo      the whole program on a simulated market: no token, no network"
	@echo "make run       the bot, with the settings of the environment and .env"
	@echo "make test      the tests"
	@echo "make check     format, lint, types and the order of imports"
	@echo "make torture   the long tests: kills, power cuts, storms, fuzzing (about two hours);"
	@echo "               one of them: make torture ARGS=tests/torture/test_kills.py"
	@echo "make clients   clients that others wrote, installed for this alone, against the simulator"
	@echo "make bench     the measurements of docs/performance.md"
	@echo "make format    writes the format that check asks for"
	@echo "make lock      requirements files anew from pyproject.toml (needs uv)"

demo: $(READY)
	$(BIN)/fundingbot demo $(ARGS)

run: $(READY)
	$(BIN)/fundingbot run $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

torture: $(READY)
	$(BIN)/python -m pytest -m torture $(ARGS)

clients: $(READY) $(CLIENTS_READY)
	CLIENTS_PYTHON=$(CLIENTS)/bin/python $(BIN)/python -m pytest tests/clients $(ARGS)

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: $(READY)
	@set -e; for file in benchmarks/[a-z]*.py; do $(BIN)/python $$file $(ARGS); done

lock:
	@command -v uv >/dev/null || { echo "make lock needs uv (https://docs.astral.sh/uv)"; exit 1; }
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
		--no-header --extra build --extra fallback pyproject.toml -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
		--no-header --extra build --extra fallback --extra dev pyproject.toml -o requirements-dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
		--no-header requirements-clients.in -o requirements-clients.txt

# Looked up by running each one: a name on the path may be a launcher without its Python.
$(BIN)/python:
	@for candidate in $(or $(PYTHON),$(CANDIDATES)); do \
		if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Setting up $(VENV) with $$candidate (once, about a minute)"; \
			$$candidate -m venv $(VENV) && exit 0; \
			rm -rf $(VENV); \
			echo "$$candidate cannot make a virtual environment; on Debian: apt install python3-venv"; \
			exit 1; \
		fi; \
	done; \
	echo "Python 3.11 or newer is needed; tried: $(or $(PYTHON),$(CANDIDATES))"; \
	echo "Install one, or name it: make PYTHON=/path/to/python3"; exit 1

$(VENV)/.requirements-installed: requirements-dev.txt | $(BIN)/python
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@

$(READY): $(VENV)/.requirements-installed pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# Wheels alone: whoever runs this need not have a compiler.
$(CLIENTS_READY): requirements-clients.txt | $(BIN)/python
	@$(BIN)/python -m venv --clear $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip --disable-pip-version-check --quiet install \
		--only-binary :all: --require-hashes -r requirements-clients.txt
	@touch $@
