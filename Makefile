# Every target makes .venv itself if it is missing or older than pyproject.toml.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
FUZZ_SECONDS ?= 60
MUTANT_JOBS ?= 2

.PHONY: prove test test-programs test-code guests lint fuzz mutants corpus peers bench clean
.DEFAULT_GOAL := prove

prove: $(STAMP)  ## the corpus through the running kernel, then through the reference
	$(BIN)/tunproof kernel --report build/report/kernel
	$(BIN)/tunproof check --report build/report/reference reference
	$(BIN)/tunproof report build/report/kernel build/report/reference --out build/report

ifdef PYTEST_ARGS
test: $(STAMP)  ## all tests, in two parallel halves, or those of PYTEST_ARGS
	$(BIN)/python -m pytest $(PYTEST_ARGS)
else
test: $(STAMP)
	@echo "Two parallel halves, some minutes: each prints when it is done. (PYTEST_ARGS=tests: one, with live output.)"
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-programs test-code
endif

# Tests that start programs, and tests that call functions: each takes about half the time, without make's job server.
PYTEST := env -u MAKEFLAGS -u MFLAGS $(BIN)/python -m pytest

test-programs: $(STAMP)
	@$(PYTEST) tests/adapters tests/browser tests/repo

test-code: $(STAMP)
	@$(PYTEST) tests/unit tests/property tests/lab tests/quality

guests: $(STAMP)  ## boot an old and a new kernel in QEMU, and run the corpus against them
	$(BIN)/python -m pytest -m guests tests/lab/test_matrix_guests.py

lint: $(STAMP)  ## ruff, mypy --strict, and zizmor for the workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/zizmor --offline --no-progress .github action.yml

fuzz: $(STAMP)  ## coverage-guided targets, the kernel differential and the properties, FUZZ_SECONDS in total
	$(BIN)/tunproof fuzz all --seconds $(FUZZ_SECONDS)

mutants: $(STAMP)  ## would the corpus detect a fault in the reference? writes corpora/MUTANTS.md
	$(BIN)/python tools/mutation/run.py --jobs $(MUTANT_JOBS) --report corpora/MUTANTS.md

corpus: $(STAMP)  ## record the golden cases from the running kernel
	$(BIN)/tunproof corpus build

peers: $(STAMP)  ## build the implementations in harness/peers (or those of PEERS), and run the corpus against them
	$(BIN)/python tools/peers/run.py $(PEERS)

bench: $(STAMP)  ## rates beside the floor
	$(BIN)/tunproof bench

clean:
	rm -rf $(VENV) build dist .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis tunproof-findings

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "tunproof needs Python 3.11 or newer with venv (Debian, Ubuntu: apt-get install python3-venv)." >&2; \
	    echo "Another interpreter: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 3; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@
