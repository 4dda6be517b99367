# Every target sets up what it needs; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
FORGE = $$($(BIN)/python -c "from engine.app.toolchain import foundry_tool as t; print(t('forge'))")
ARGS ?=

.PHONY: help setup demo test test-python test-contracts lint format bench soak fuzz exactness gas analyse docs lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: ## install everything into .venv/ and node_modules/ and compile the contracts
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "setup: $(PYTHON) is not installed: install Python 3.11 or 3.12 and run make again" >&2; exit 2; }
	@$(PYTHON) tools/setup.py

demo: setup ## find, check and execute real arbitrages on an embedded world (ARGS="--blocks 60 --report out.json")
	@$(BIN)/roundtrip demo $(ARGS)

test: setup test-contracts test-python ## run every test but the long campaigns

test-python: setup
	$(BIN)/pytest -q -m "not campaign" $(ARGS)

test-contracts: setup
	$(FORGE) test

lint: setup ## formatting, style, types and the import rules
	$(BIN)/ruff check engine tests scripts tools benchmarks
	$(BIN)/ruff format --check engine tests scripts tools benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(FORGE) fmt --check
	$(BIN)/python tools/contract_snapshots.py

format: setup ## rewrite the sources in the project's style
	$(BIN)/ruff check --fix engine tests scripts tools benchmarks
	$(BIN)/ruff format engine tests scripts tools benchmarks
	$(FORGE) fmt

fuzz: setup ## long seeded campaigns, resumable (ROUNDTRIP_CAMPAIGN_SEED, ROUNDTRIP_CAMPAIGN_MINUTES): kernels and contracts
	$(BIN)/pytest -q -s -m campaign $(ARGS)
	FOUNDRY_PROFILE=campaign $(FORGE) test

exactness: setup ## write what the campaigns have counted into docs/exactness.md
	@PYTHONPATH=. $(BIN)/python tests/exactness/exact_table.py

bench: setup ## speed, beside peers, as JSON and tables in benchmarks/results/
	@$(BIN)/python -m benchmarks $(ARGS)

soak: setup ## a live engine over 20,000 blocks (about half an hour): memory, files, tasks and latency must stay level
	@$(BIN)/python -m benchmarks.soak $(ARGS)

gas: setup ## gas of each kind of cycle on real bytecode, into benchmarks/results/gas.json
	@$(BIN)/python -m benchmarks.gas

analyse: setup ## slither against its explained findings, halmos's proofs of the router (about 3 minutes)
	@$(BIN)/python tools/analyse.py

docs: setup ## check that the documents match the tree
	$(BIN)/pytest -q tests/docs

lock: setup ## resolve requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate -q --upgrade -o requirements.lock

clean: ## remove everything set-up and the builds made
	rm -rf .venv node_modules out cache .build .pytest_cache .ruff_cache .mypy_cache .hypothesis contracts/.cache
