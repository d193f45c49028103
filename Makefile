# Two commands matter: `make demo` runs the main job, `make test` the tests. Each sets up what it needs.
.DEFAULT_GOAL := help
.PHONY: help setup demo up doctor lint test lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DISTRIBUTIONS := libs/common services/registry services/eligibility services/payments services/audit deploy/local examples/partner_bank
PROJECTS := $(addsuffix /pyproject.toml,$(DISTRIBUTIONS))
INTERNAL := salur-common salur-registry salur-eligibility salur-payments salur-audit
PYTEST_ARGS ?=

help: ## Show the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(VENV)/.ready ## Make .venv from requirements.lock (done by the others when needed)

$(VENV)/.ready: requirements.lock $(PROJECTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; say which: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(addprefix -e ./,$(DISTRIBUTIONS))
	@touch $@

demo: setup ## The main job on 8,325 real households, checked (DATA=file, KEEP=1)
	$(BIN)/salur demo

up: setup ## Start the platform and print its addresses; Ctrl-C stops it
	$(BIN)/salur up

doctor: setup ## Say what is missing on this machine and how to mend it
	$(BIN)/salur doctor

lint: setup ## Style, types, layers, dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(addsuffix /src,$(DISTRIBUTIONS)) tests/support
	$(BIN)/lint-imports --no-cache

test: lint ## Lint, then every test on the real Kafka and PostgreSQL
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lock: ## Resolve every version with hashes into requirements.lock
	$(PYTHON) -m venv var/lock-venv
	var/lock-venv/bin/pip install --quiet uv
	var/lock-venv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		$(PROJECTS) requirements.dev.in $(addprefix --no-emit-package ,$(INTERNAL)) -o requirements.lock --quiet

clean: ## Remove the environment and everything runs wrote
	rm -rf $(VENV) var
