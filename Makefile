# `make` alone says what there is. Every recipe is the same on a developer's machine and in CI.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# What somebody's shell exports for other projects has no say here.
unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV

# The interpreter that .venv is made with; empty: see requirements/find-python.
PYTHON ?=
# More arguments for pytest: make test ARGS="-k smpp -x"
ARGS ?=
# pytest's worker processes.
JOBS ?= 3

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

# A virtual environment does not survive being copied to another place, so it says where it was made.
ifneq ($(shell cat .venv/.made-in 2>/dev/null),$(CURDIR))
.PHONY: .venv/.made-in
endif

.PHONY: help setup demo test quick lint peers console-tests fuzz chaos bench simulation docs sbom show-main-job show-rcs show-contract show-pools show-events show-nothing-lost show-speed show-console show-connectors

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r target text; do \
		printf '%-14s %s\n' "$$target" "$$text"; done

setup: .venv/.runtime ## make .venv with everything that the server needs, and .venv/bin/sendpool

demo: setup ## run the main job: RCS first, then SMS over two carriers, with trouble on both channels
	@$(BIN)/sendpool demo

test: .venv/.dev ## run every test that needs Python alone
	$(PYTEST) --ignore=tests/peers --ignore=tests/browser --ignore=tests/chaos --ignore=tests/journeys/test_every_point.py $(ARGS)

quick: .venv/.dev ## run the tests without the journeys, which start whole servers
	$(PYTEST) --ignore=tests/peers --ignore=tests/browser --ignore=tests/chaos --ignore=tests/journeys $(ARGS)

lint: .venv/.dev ## check style, layout and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

peers: .venv/.dev build/smsc ## test against implementations that are not ours; conversations go to build/conversations
	$(BIN)/python -m pytest tests/peers $(ARGS)

console-tests: .venv/.dev ## test the console in Chromium (as root it installs it); pictures of each page go to build/console
	@./bench/need-chromium
	$(BIN)/python -m pytest tests/browser $(ARGS)

fuzz: .venv/.dev ## ask a server everything that the contract's document allows, and what it does not
	$(BIN)/python -m bench.fuzz $(ARGS)

chaos: .venv/.dev ## break disks, clocks and networks under whole servers; needs a C compiler, and root for some
	@./bench/need-cc
	$(BIN)/python -m pytest tests/chaos tests/journeys/test_every_point.py $(ARGS)

bench: .venv/.dev build/smsc ## measure whole processes, from the first HTTP byte to the last receipt
	$(BIN)/python -m bench.run $(ARGS)

simulation: .venv/.dev ## let an hour of a pool's traffic pass in virtual time, under three ways of choosing a sender
	$(BIN)/python -m bench.simulation $(ARGS)

show-main-job: .venv/.dev build/smsc ## print the figures of the main job as JSON
	@$(BIN)/python -m bench.show_main_job $(ARGS)

show-rcs: .venv/.dev build/smsc ## print the figures of RCS first as JSON
	@$(BIN)/python -m bench.show_rcs $(ARGS)

show-events: .venv/.dev build/smsc ## print the figures of events as JSON
	@$(BIN)/python -m bench.show_events $(ARGS)

show-connectors: .venv/.dev build/smsc ## print the figures of connectors as JSON
	@$(BIN)/python -m bench.show_connectors $(ARGS)

show-console: .venv/.dev build/smsc ## print the figures of the console as JSON, measured in Chromium
	@./bench/need-chromium
	@$(BIN)/python -m bench.show_console $(ARGS)

show-contract: .venv/.dev ## print the figures of the whole contract as JSON
	@$(BIN)/python -m bench.show_contract $(ARGS)

show-pools: .venv/.dev build/smsc ## print the figures of sender pools as JSON
	@$(BIN)/python -m bench.show_pools $(ARGS)

show-nothing-lost: .venv/.dev build/smsc ## print the figures of breaking everything on purpose as JSON
	@$(BIN)/python -m bench.show_nothing_lost $(ARGS)

show-speed: .venv/.dev build/smsc ## print the figures of speed, beside Kannel, as JSON; as root it installs Kannel
	@./bench/need-kannel
	@$(BIN)/python -m bench.show_speed $(ARGS)

docs: .venv/.tools ## make the pages of docs/ a site, in build/site
	$(BIN)/mkdocs build --strict --site-dir build/site $(ARGS)

sbom: .venv/.tools ## write what is installed with the server as CycloneDX, to build/sbom.cdx.json
	@mkdir -p build
	$(BIN)/cyclonedx-py requirements requirements/runtime.txt --pyproject pyproject.toml \
		--output-reproducible --output-file build/sbom.cdx.json

.venv/.made-in:
	@./requirements/make-venv '$(PYTHON)'
	@printf '%s\n' '$(CURDIR)' > $@

.venv/.runtime: .venv/.made-in requirements/runtime.txt pyproject.toml
	@echo 'Installing what the server needs ...'
	@$(PIP) install --require-hashes --requirement requirements/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.runtime requirements/dev.txt
	@echo 'Installing what the tests need ...'
	@# Not compiled ahead, by one processor: the tests' own processes compile what they import, beside each other.
	@$(PIP) install --no-compile --require-hashes --requirement requirements/dev.txt
	@touch $@

.venv/.tools: .venv/.runtime requirements/tools.txt
	@echo 'Installing what makes the pages and the release ...'
	@$(PIP) install --require-hashes --requirement requirements/tools.txt
	@touch $@

build/smsc: bench/smsc.c
	@./bench/need-cc
	@mkdir -p build
	cc -O2 -o $@ bench/smsc.c
