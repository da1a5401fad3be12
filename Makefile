# Holdline's commands. `make` alone lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# The stamp's name holds the locks' content, so a changed lock installs again and an unchanged one never does.
STAMP  := $(VENV)/installed-$(shell cat requirements.lock installer.lock pyproject.toml | cksum | cut -d' ' -f1)
STORE  ?= holdline.db
SEEDS  ?= 1000
SCENARIO ?= steady

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench bench-run load simulate torture thorough soak serve profile lock stubs schema clean

help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | awk -F'\t' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: $(STAMP) ## make the virtual environment from the locks (the others do it when needed)

$(STAMP): requirements.lock installer.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit("Holdline needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r installer.lock
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/installed-* && touch $(STAMP)

demo: $(STAMP) ## the main job on real input: a server, thousands of decisions, every promise checked
	$(BIN)/holdline demo

test: check ## everything that must hold before a commit lands, `check` included
	$(BIN)/pytest -q -n auto --maxprocesses 4 --dist worksteal

check: $(STAMP) ## lint, format, types, import contracts, contract lint, stubs and schema fresh
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.house.contract check

bench: $(STAMP) ## figures as ratios inside one run, printed for loadtests/FIGURES.md
	$(BIN)/python -m loadtests.bench

bench-run: $(STAMP) ## the daily run over a million accounts, and what it costs live callers
	$(BIN)/python -m loadtests.daily_run

load: $(STAMP) ## one load scenario on loopback: make load SCENARIO=steady
	$(BIN)/holdline load run $(SCENARIO) --start-server

simulate: $(STAMP) ## the engine under a seeded scheduler, clock, disk and network, then broken on purpose: SEEDS=1000
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)
	$(BIN)/python -m tests.simulation --mutations --seeds 200

torture: $(STAMP) ## the long fault runs, within half an hour: kills, mutations, a million bodies, every load scenario with a fault
	$(BIN)/pytest -q -m torture -n 2 --dist worksteal tests/proof
	$(BIN)/python -m loadtests.torture

thorough: $(STAMP) ## twenty times the examples of every property; hours
	HYPOTHESIS_PROFILE=thorough $(BIN)/pytest -q -n auto --dist worksteal --timeout 3600 tests/proof

soak: $(STAMP) ## ten hours of a day in ten minutes at 70 % of capacity: nothing may grow
	$(BIN)/holdline load run soak --start-server

profile: $(STAMP) ## where a decision's microseconds go, engine alone
	$(BIN)/python -m tests.house.measure profile

serve: $(STAMP) ## a server on 127.0.0.1:50051 with ./holdline.db
	$(BIN)/holdline serve --store sqlite:///$(STORE)

stubs: $(STAMP) ## generate the Python stubs from protos/
	$(BIN)/python -m tests.house.contract generate

schema: $(STAMP) ## generate the policy schema, the settings reference and the table of currencies
	$(BIN)/python -m tests.house.contract documents

lock: ## resolve the dependencies anew, with hashes and without hosts
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --prerelease if-necessary-or-explicit -q --upgrade -o requirements.lock
	echo uv | $(BIN)/uv pip compile - --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links -q --upgrade -o installer.lock

clean: ## remove the environment and what runs have left
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
