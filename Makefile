# Everything runs in .venv, which the first target makes; nothing else has to be installed but Python and make.
PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test test-all browser postgres lint bench tiny clean

demo: $(READY)
	$(BIN)/loopwise demo --dir demo

test: $(READY)
	$(BIN)/python -m pytest -m "not slow"

test-all: $(READY) lint browser postgres
	$(BIN)/python -m pytest

# The page is tested in a real browser; without one, and without leave to install one, that test says so and is skipped.
browser:
	command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
		{ test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -qq -y chromium >/dev/null; } || true

# The store is tested on a private Postgres besides SQLite; without one, and without leave to install one, likewise.
postgres:
	command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
		{ test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -qq -y postgresql >/dev/null; } || true

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(READY)
	$(BIN)/python benchmarks/sampling.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python -m benchmarks.gateway
	$(BIN)/python benchmarks/simulate.py
	$(BIN)/python benchmarks/aa.py
	$(BIN)/python benchmarks/curation.py
	$(BIN)/python benchmarks/loop_vs_corpus.py
	$(BIN)/python -m benchmarks.redaction
	$(BIN)/python -m benchmarks.guards
	$(BIN)/python -m benchmarks.exchange_rate
	$(BIN)/python -m benchmarks.rounds

# Makes the embedded model again: the same fingerprint for the same seed, thread count and machine type.
tiny: $(READY)
	$(BIN)/python -m loopwise.tiny.recipe

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Loopwise needs Python 3.11 or newer; set PYTHON=…" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --constraint constraints.txt --editable '.[loop,dev]'
	touch $(READY)

clean:
	rm -rf .venv demo build dist
