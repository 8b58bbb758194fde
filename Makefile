# One entry point for people and CI alike: `make` alone lists what there is.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo run test system fuzz chaos browser check bench lock clean
MAKEFLAGS += --no-print-directory

PYTHON ?=
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
PYTEST := $(BIN)/python -m pytest

# Stamps say what the environment holds. Whoever has installed the tools keeps them for `demo`, too.
MADE := $(VENV)/.made
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
READY := $(if $(wildcard $(DEV)),$(DEV),$(RUNTIME))

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' Makefile
	@echo "  Options: ARGS='…' is passed on (demo, run, test, system, fuzz, chaos, browser, bench, lock); PYTHON=python3.12 picks the interpreter."

$(MADE):
	@set -e; \
	python="$(PYTHON)"; \
	for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
		[ -z "$$python" ] || break; \
		"$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && python="$$candidate"; \
	done; \
	if ! "$${python:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "Python 3.11 or newer is needed; '$${python:-python3}' is older or missing. Name one: make PYTHON=/path/to/python3.12" >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "'$$python' cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv --clear $(VENV)
	@touch $@

$(RUNTIME): requirements/runtime.lock requirements/build.lock pyproject.toml | $(MADE)
	@echo "Installing reelgate and the packages it runs on"
	@$(PIP) install --require-hashes -r requirements/runtime.lock -r requirements/build.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements/dev.lock pyproject.toml | $(MADE)
	@echo "Installing reelgate, the packages it runs on and the tools to work on it"
	@$(PIP) install --require-hashes -r requirements/dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

install: $(DEV) ## make the development environment in .venv

demo: $(READY) ## start everything, follow one video to its end, serve until Ctrl-C
	@$(BIN)/reelgate demo $(ARGS)

run: $(READY) ## start the gateway with your settings
	@$(BIN)/reelgate serve $(ARGS)

test: $(DEV) ## run the test suite, all but the lanes below
	@$(PYTEST) -n 2 $(addprefix --ignore=tests/,experiments system cli fuzz chaos browser) $(ARGS)

system: $(DEV) ## run the tests that start processes, and experiments in numbers
	@$(PYTEST) -n 2 tests/system tests/cli tests/experiments $(ARGS)

fuzz: $(DEV) ## send thousands of requests made from the OpenAPI document
	@$(PYTEST) tests/fuzz $(ARGS)

chaos: $(DEV) ## run the tests that kill processes and cut connections
	@$(PYTEST) -n 2 tests/chaos $(ARGS)

browser: $(DEV) ## run the tests that need Chromium
	@$(PYTEST) -n 2 -rs tests/browser $(ARGS)

check: $(DEV) ## lint, formatting, types, import layers, Dockerfile, sizes
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/hadolint Dockerfile
	$(PYTEST) -q -p no:randomly --durations-min=1 tests/test_style.py

bench: $(DEV) ## measure throughput and latency on this machine
	@if [ -d bench ]; then $(BIN)/python -m bench $(ARGS); else echo "There is no benchmark yet."; fi

# A pin stays while it satisfies pyproject.toml; `make lock ARGS=--upgrade` renews all of them.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate
lock: $(DEV) ## write the lock files anew from pyproject.toml
	@$(COMPILE) $(ARGS) --extra embedded --extra dev -o requirements/dev.lock pyproject.toml
	@$(COMPILE) --extra embedded -c requirements/dev.lock -o requirements/runtime.lock pyproject.toml
	@echo hatchling | $(COMPILE) -c requirements/dev.lock -o requirements/build.lock -

clean: ## remove the environment and everything that was generated
	@rm -rf $(VENV) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
