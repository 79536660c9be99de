# Python 3.11 or newer and make are all this needs; see devtools/bootstrap.sh.
MAKEFLAGS += --no-print-directory
BIN := .venv/bin
LOCKED := pyproject.toml uv.lock devtools/bootstrap.sh
# A newer or older Python than the one found first: make PYTHON=python3.13 ...
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo up test check audit bench docs fix clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.ready ## Set up and run the main job on demo input (ARGS="--headless --json" for one JSON document)
	@$(BIN)/bailiwick demo $(ARGS)

up: .venv/.ready ## Set up and run the platform on its own data folder
	@$(BIN)/bailiwick up $(ARGS)

test: .venv/.ready-dev ## Set up and run everything: lint, format, import contract, types, whole suite
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache
	$(BIN)/basedpyright
	$(BIN)/pytest -n 2 $(ARGS)

check: .venv/.ready-dev ## The quick gate: lint, format, types, import contract, unit tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -n 2 tests/unit $(ARGS)

audit: .venv/.ready-dev ## Known weaknesses of dependencies, static scan, search for secrets (ARGS=--strict needs the network)
	@$(BIN)/python -m devtools.audit $(ARGS)

bench: .venv/.ready-bench ## Measure speed and memory beside the rivals (ARGS="engine --json" for one part)
	@$(BIN)/bailiwick bench $(ARGS)

docs: .venv/.ready-dev ## Write the generated parts of the documentation anew (ARGS=--check only compares)
	@$(BIN)/python -m devtools.make_reference $(ARGS)

fix: .venv/.ready-dev ## Repair what the linter and formatter can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## Remove what set-up made here; data folders stay
	rm -rf .venv .tools .pytest_cache .ruff_cache .import_linter_cache .hypothesis

.venv/.ready: $(LOCKED)
	@devtools/bootstrap.sh
	@touch $@

.venv/.ready-dev: $(LOCKED)
	@devtools/bootstrap.sh dev
	@touch $@ .venv/.ready

.venv/.ready-bench: $(LOCKED)
	@devtools/bootstrap.sh dev bench
	@touch $@ .venv/.ready-dev .venv/.ready
