.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo quick test test-engines test-ops check docs release-check bench regen pull-specs explore drills record pages lock clean

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
BENCH_BIN := .venv-bench/bin
BENCH_READY := .venv-bench/ready
DOCS_BIN := .venv-docs/bin
DOCS_READY := .venv-docs/ready
COMPILE = $(BIN)/uv pip compile pyproject.toml --extra http --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-annotate --custom-compile-command "make lock" --quiet
EXTRAS = --extra simulator --extra redis --extra postgres --extra opentelemetry
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(3 * os.cpu_count())')  # tests mostly wait
# A company's certificate authority may be in the system's store only.
export UV_SYSTEM_CERTS := 1
# Where it is set, each of the tests' thousand processes compiles each module that it loads, and each worker all tests.
unexport PYTHONDONTWRITEBYTECODE

help:  ## Print the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(READY)  ## Watch twelve batches of both vendors move to their ends, over a simulator
	$(BIN)/python -m batchstatus.testing.simulator.demo

quick: $(READY)  ## Run the unit tests: values, rules, vendors and scripted clients; half a minute
	$(BIN)/pytest -q -n $(WORKERS) tests/core tests/vendors tests/testing/test_fake_vendors.py

test: $(READY)  ## Run all tests, offline but for the package registry; about five minutes
	$(BIN)/pytest -q -n $(WORKERS) --dist worksteal

test-engines: $(READY)  ## Test the engines against their servers; ONLY="temporal" for some; HA=1 kills processes, too
	$(BIN)/python tests/engines $(ONLY)

test-ops: $(READY)  ## Test the service as it is operated: browser, Prometheus, systemd, image, shells; as root it installs them
	$(BIN)/python tests/ops $(ONLY)

check: $(READY)  ## Check format, lint, types and import contracts, then run all tests; five to six minutes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typing
	$(BIN)/mypy specs
	$(BIN)/mypy examples
	$(BIN)/lint-imports
	$(MAKE) test

docs: $(DOCS_READY)  ## Build the site of docs/ in site/; a broken link or anchor, or any other warning, fails
	@{ told=$$($(DOCS_BIN)/zensical build --clean --strict 2>&1 >&3); } 3>&1; \
	    test "$$told" = "No issues found" || { echo "$$told" >&2; exit 1; }  # griffe only warns
	@! grep --recursive --files-with-matches --fixed-strings "$(CURDIR)" site  # a path of this machine

release-check: $(READY)  ## Build wheel and sdist into dist/, look into them, and use them with each CPython found
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist
	DIST=$(CURDIR)/dist $(BIN)/pytest -q -n $(WORKERS) tests/project/test_packaging.py
	$(BIN)/python tests/release dist/*

bench: $(BENCH_READY)  ## Measure costs and lateness against peers; ONLY="jobs pace" for some of it
	$(BENCH_BIN)/python tests/bench $(ONLY)

regen: $(READY)  ## Regenerate generated/ from specs/
	$(BIN)/python specs/regen.py

pull-specs: $(READY)  ## Take the specs out of the vendors' pages; PAGE=file, VENDOR=name; CHECK=1 writes nothing
	@$(BIN)/python specs/pull.py $(if $(CHECK),--check) $(if $(PAGE),--page "$(PAGE)") $(VENDOR)

explore: $(READY)  ## Try the properties with new examples, EXPLORE=10 times as many as in the tests
	EXPLORE=$(or $(EXPLORE),10) $(BIN)/pytest -q -n $(WORKERS) --dist worksteal --timeout 3600 -m hypothesis

drills: $(READY)  ## Change the vendors' pages in every way that was thought of, and see that each ends as it should
	$(BIN)/pytest -q -n $(WORKERS) -m "" tests/specs/test_drills.py

record: $(READY)  ## Record the cassettes again, from the simulator; LIVE=1 from the vendors, with real keys
	$(BIN)/pytest -q -p no:randomly -o addopts= --record-mode=rewrite tests/vendors/test_recorded.py

pages: $(READY)  ## Draw the generated pages and the picture of docs/ again
	$(BIN)/python tests/support/schema_page.py
	$(BIN)/python tests/support/command_page.py
	$(BIN)/python tests/support/states_page.py
	$(BIN)/python tests/support/picture.py

lock: $(READY)  ## Update the requirements files from pyproject.toml, and the engines' own; ONLY="temporal" for some
	$(COMPILE) $(EXTRAS) --group dev --output-file requirements-dev.txt
	$(COMPILE) $(EXTRAS) --group bench --output-file requirements-bench.txt
	$(COMPILE) $(EXTRAS) --group docs --output-file requirements-docs.txt
	$(COMPILE) --output-file deploy/requirements.txt
	$(BIN)/python tests/engines --lock $(ONLY)

clean:  ## Remove the files of the other targets, .venv included
	rm -rf .venv .venv-bench .venv-docs .venv-engines .regen-* .cache dist site .mypy_cache .pytest_cache .ruff_cache \
	    .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	@echo "Setting up .venv, once: about 15 seconds, and 107 packages from the package registry"
	@$(PYTHON) -m venv .venv
	@sed -n '/^uv==/,/[^\]$$/p' requirements-dev.txt > .venv/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv/uv.txt
	@echo "Installing the pinned packages of requirements-dev.txt"
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.txt
	@echo "Installing this checkout"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(BENCH_READY): requirements-bench.txt $(READY)
	@echo "Setting up .venv-bench, once: the peers of make bench, about 60 packages"
	@$(PYTHON) -m venv --without-pip .venv-bench
	@$(BIN)/uv pip sync --quiet --python $(BENCH_BIN)/python --require-hashes requirements-bench.txt
	@$(BIN)/uv pip install --quiet --python $(BENCH_BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(DOCS_READY): requirements-docs.txt $(READY)
	@echo "Setting up .venv-docs, once: the generator of the site, 54 packages"
	@$(PYTHON) -m venv --without-pip .venv-docs
	@$(BIN)/uv pip sync --quiet --python $(DOCS_BIN)/python --require-hashes requirements-docs.txt
	@$(BIN)/uv pip install --quiet --python $(DOCS_BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
