.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check bench regen pull-specs record lock clean

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(2 * os.cpu_count())')  # as tests mostly wait

help:  ## Print the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(READY)  ## Watch twelve batches of both vendors move to their ends, over a simulator
	$(BIN)/python -m batchstatus.testing.simulator.demo

test: $(READY)  ## Run the tests; offline, but for the package registry
	$(BIN)/pytest -q -n $(WORKERS)

check: $(READY)  ## Format, lint, types, import contracts, then test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typing
	$(BIN)/mypy specs
	$(BIN)/lint-imports
	$(MAKE) test

bench: $(READY)  ## Measure costs and lateness against peers; ONLY="jobs pace" for some of it
	$(BIN)/python tests/bench $(ONLY)

regen: $(READY)  ## Write generated/ anew from specs/
	$(BIN)/python specs/regen.py

pull-specs: $(READY)  ## Take the specs out of the vendors' pages; PAGE=file for a saved one, VENDOR=name for one
	$(BIN)/python specs/pull.py $(if $(PAGE),--page "$(PAGE)") $(VENDOR)

record: $(READY)  ## Record the cassettes anew from the simulator; LIVE=1 from the vendors, with real keys
	$(BIN)/pytest -q -p no:randomly -o addopts= --record-mode=rewrite tests/vendors/test_recorded.py

lock: $(READY)  ## Write requirements-dev.txt anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --group dev --all-extras --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" --quiet \
	    --output-file requirements-dev.txt

clean:  ## Remove what the other targets leave, .venv included
	rm -rf .venv .regen-* dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements-dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	sed -n '/^uv==/,/[^\]$$/p' requirements-dev.txt > .venv/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv/uv.txt
	$(BIN)/uv pip sync --quiet --require-hashes requirements-dev.txt
	$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
