# Everything starts here: `make demo` and `make test` set up what they need by themselves.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# What people and CI may set: make test PYTEST_ARGS="-k budget -x" JOBS=0
PYTEST_ARGS ?=
# How many test files run side by side; 0 runs all in one process, as a debugger wants it.
JOBS ?= 2
BENCH_ARGS ?=

# A file stays in one process, as its tests share what is costly; which comes when says tests/conftest.py.
DEAL := --dist loadfile --no-loadscope-reorder

# In CI a test that cannot reach Docker is a failure, not a skip.
ifdef CI
export WAVEPOOL_REQUIRE_DOCKER ?= 1
endif

BIN := .venv/bin
READY := .venv/.ready
# The page of `wavepool serve`, built anew where its sources have changed.
PAGE := src/wavepool/web/static/.sources

.PHONY: help demo test prove bench check format image dashboard env clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

$(READY): pyproject.toml constraints.txt scripts/environment
	scripts/environment
	touch $@

$(PAGE): $(READY) hatch_build.py $(shell find dashboard -name node_modules -prune -o -type f -print)
	$(BIN)/python hatch_build.py
	touch $@

dashboard: $(PAGE) ## build the page that `wavepool serve` shows

env: $(READY) ## make .venv, with everything under the pins of constraints.txt

demo: $(PAGE) ## run a real plan in waves, with live progress
	@scripts/engine run scripts/demo

test: $(PAGE) ## all tests but the long proofs (PYTEST_ARGS="..." passes options on)
	scripts/engine run $(BIN)/pytest -m "not slow" -n $(JOBS) $(DEAL) $(PYTEST_ARGS)

prove: $(PAGE) ## the long proofs
	scripts/engine run $(BIN)/pytest -m slow -n $(JOBS) $(DEAL) $(PYTEST_ARGS)

bench: $(PAGE) ## measure against the rivals (BENCH_ARGS="NAME... --json")
	scripts/engine run $(BIN)/python -m bench $(BENCH_ARGS)

check: $(READY) ## lint, format, types, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## put the code into the house's form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

image: $(READY) ## build the test image
	scripts/test-image

clean: ## remove what was built here (not the engine, nor any run's state)
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist dashboard/node_modules \
	    src/wavepool/web/static src/wavepool/reporting/static
	find src tests bench scripts -name __pycache__ -type d -prune -exec rm -rf {} +
