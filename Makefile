# Everything a clone can do. `make` runs the article's scenarios; `make help` lists the rest.

PYTHON ?= python3
RUNTIME ?= namespaces
OUT ?= results
LAN ?=
WAN ?=
BENCH ?=
ARGS ?=

export RUNTIME OUT LAN WAN BENCH
.NOTPARALLEL:
.DEFAULT_GOAL := kb
.PHONY: kb matrix gear test check bench docs doctor engine images setup setup-gear setup-tests clean help

# -I and -S keep the caller's own modules and settings out, and the set-up quick.
BOOTSTRAP = $(PYTHON) -IS harness/bootstrap.py
# No shell stays in between, so Ctrl-C reaches the program alone and its exit status is make's.
HARNESS = exec .venv/bin/ra-harness

kb: setup ## Run the article's scenarios (RUNTIME=namespaces, OUT=results)
	@$(HARNESS) run --runtime "$$RUNTIME" --out "$$OUT" $(ARGS)

matrix: setup ## Run every device against every device (RUNTIME, OUT as above)
	@$(HARNESS) matrix --runtime "$$RUNTIME" --out "$$OUT" $(ARGS)

gear: setup-gear ## Run against a real router (LAN=nic WAN=nic, or BENCH=file)
	@$(HARNESS) gear $${BENCH:+--bench "$$BENCH"} $${LAN:+--lan "$$LAN"} $${WAN:+--wan "$$WAN"} \
	    --out "$$OUT" $(ARGS)

# Two at a time is what has been tried to disturb no test; ARGS="-n 0" is one after the other. The
# quickest come last, so that neither waits for the other at the end.
test: setup-tests ## Pass the tests (ARGS="-k nat" picks some)
	@exec .venv/bin/pytest -n 2 --no-loadscope-reorder \
	    tests/docker tests/gear tests/lab tests/browser tests/unit $(ARGS)

check: setup-tests ## Check format, lint, types and the import layers
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

bench: setup-tests ## Measure how long scenarios take (RUNTIME)
	@exec .venv/bin/python -m tests.bench --runtime "$$RUNTIME" $(ARGS)

docs: setup ## Write the pages of docs/ that are made from the definitions
	@.venv/bin/python -m harness.report.docs

doctor: setup ## Say what this machine can run, and what it lacks
	@$(HARNESS) doctor $(ARGS)

engine: setup ## Install and start a Docker engine where none answers
	@exec .venv/bin/python -m harness.engine

images: setup ## Build the images that RUNTIME=docker and RUNTIME=boxed use
	@$(HARNESS) images

setup: ## Install what is missing: Debian packages, .venv, the project
	@$(BOOTSTRAP)

setup-gear:
	@$(BOOTSTRAP) --gear

setup-tests:
	@$(BOOTSTRAP) --tests

clean: ## Remove results, caches, .venv, own images, what dead runs left
	@test -f harness/bootstrap.py
	@if [ -x .venv/bin/ra-harness ]; then .venv/bin/ra-harness clean; fi
	@rm -rf results dist .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name .git -prune -o -name __pycache__ -prune -exec rm -rf {} +

help: ## List what make can do
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo 'Variables: RUNTIME (namespaces, docker, boxed), OUT, LAN, WAN and BENCH (for'
	@echo 'gear), ARGS (more arguments for the command), PYTHON (3.11 or newer).'
	@echo 'make itself ends with 0 or 2 and names the status of the command it ran. For'
	@echo 'the exact one, .venv/bin/ra-harness: 0 all as documented, 1 differs, 2 misuse,'
	@echo '3 something proved nothing, 130 interrupted.'
