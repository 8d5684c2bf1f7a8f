# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Needs make, git, Python 3.11 or newer, and a package index (pip's own settings say which).

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?=
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
RUN := PATH="$(BIN):$$PATH" $(BIN)/python

# The PowerShell with which tests run what is sent to Windows hosts (else pwsh from the PATH; without one they skip).
PWSH ?= $(wildcard $(CURDIR)/../shared/powershell/pwsh)
export PWSH

# The commit beside which make bench measures.
BASE ?=

# The environment is as good as new while these files say what they said when it was made.
REQUIREMENTS := requirements.txt tests/requirements.txt tests/constraints.txt
STAMP := $(VENV)/.made-from-$(shell cat $(REQUIREMENTS) | cksum | tr ' ' '-')

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(STAMP) ## Provision an emulated tenant, twice, and show what came of it
	@$(RUN) tests/demo/run.py $(DEMO)

.PHONY: env
env: $(STAMP) ## Print what a shell needs to run the playbooks by hand: eval "$$(make -s env)"
	@$(BIN)/python tests/tools/layout.py --exports

.PHONY: check
check: $(STAMP) ## The quick gates: style, types, unit tests
	@$(RUN) tests/tools/gates.py --quick

.PHONY: test
test: $(STAMP) ## Everything that must pass before a change lands (GATES="mypy unit": only these)
	@$(RUN) tests/tools/gates.py $(GATES)

.PHONY: soak
soak: $(STAMP) ## What is exhaustive, whole (make test takes a sample of it); takes its time (SOAK_ARGS="-k kill": some of it)
	@SOAK=1 $(RUN) -m pytest -q -n 2 --dist loadfile --durations 20 -o cache_dir=.build/pytest_cache/soak -m "not cores" \
		tests/unit tests/fidelity tests/integration $(SOAK_ARGS)
	@SOAK=1 $(RUN) tests/tools/gates.py site sanity-cores molecule

.PHONY: cores
cores: $(STAMP) ## A tenant's life on every supported ansible-core, in both lanes; what differs goes into the guide's table
	@$(RUN) tests/tools/core_differences.py
	@$(RUN) tests/tools/doc_tables.py
	@SOAK=1 $(RUN) -m pytest -q -n 2 --dist loadfile -rs --durations 10 -o cache_dir=.build/pytest_cache/cores -m cores \
		tests/integration/test_canary.py tests/integration/test_cores.py $(CORES_ARGS)

.PHONY: bench
bench: $(STAMP) ## What one more tenant costs (BASE=<commit>: beside that commit; BENCH="--pairs 1 --tenants 2,4": less of it)
ifneq ($(BASE),)
	@$(RUN) -m tests.bench.against $(BASE) $(BENCH)
else
	@$(RUN) -m tests.bench.windows_host
	@$(RUN) tests/bench/run.py $(BENCH)
	@$(RUN) tests/bench/scale.py $(SCALE)
endif

.PHONY: scale
scale: $(STAMP) ## What 10, 100 and 300 tenants cost, and what grows with them (SCALE="--tenants 10,40": others)
	@$(RUN) tests/bench/scale.py $(SCALE)

.PHONY: format
format: $(STAMP) ## Format the Python code, and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: build
build: $(STAMP) ## Build the artifact, into .build/artifact
	@$(RUN) tests/tools/artifact.py --build-only

.PHONY: pictures
pictures: $(STAMP) ## Draw the pictures of the README from what the demo really prints and writes
	@$(RUN) tests/demo/run.py --picture docs/pictures/demo.svg
	@$(RUN) tests/demo/run.py --profile imagicle_imap_smtp --picture docs/pictures/demo-imap-smtp.svg
	@$(RUN) tests/docs/browser.py .build/demo/handover/imagicleucdev.html docs/pictures/sheet.png \
		--instead "$(CURDIR)/.build/demo" /srv/fax

.PHONY: constraints
constraints: ## Fix the versions of what the requirements need in turn, from an empty environment
	@PYTHON="$(PYTHON)" sh tests/tools/constraints.sh

.PHONY: clean
clean: ## Remove what was built and the virtual environment
	rm -rf .build .venv tests/output

.PHONY: docs
docs: $(STAMP) ## Build the documentation site, into .build/docs/html
	@$(RUN) tests/tools/docs.py

.PHONY: docs-tables
docs-tables: $(STAMP) ## Write the tables of the guides anew that come from the code
	@$(RUN) tests/tools/doc_tables.py

$(STAMP): $(REQUIREMENTS)
	@exec >&2; PYTHON="$(PYTHON)" sh tests/tools/environment.sh "$(VENV)" "$@"
