# Fentan's chores. A fresh clone needs Python 3.11 or newer and make; `make demo` and `make test` do the rest.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# Which Python makes .venv; by default the first of these that is new enough.
PYTHONS := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
BIN := .venv/bin
READY := .venv/ready
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
# Everything is pinned with its hash. What comes as source is built with the setuptools that was pinned too.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --progress-bar off
INSTALL := $(PIP) --require-hashes --no-build-isolation --use-pep517

# The tests start hundreds of processes: each would compile the whole program anew, which is longer than most of them take.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test lint docs bench chaos chaos-kafka bench-kafka kafka kafka-stop lock clean

help: ## Shows this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Makes .venv with everything pinned; does nothing if it is up to date.

$(READY): requirements/build.txt requirements/runtime.txt requirements/dev.txt pyproject.toml
	@$(BIN)/python -c 'import pip; $(NEW_ENOUGH)' 2>/dev/null || { \
	    for python in $(PYTHONS) none; do \
	        $$python -c '$(NEW_ENOUGH)' 2>/dev/null && break; \
	    done; \
	    if [ $$python = none ]; then \
	        echo "Fentan needs Python 3.11 or newer, and none of these is: $(PYTHONS)." \
	            "Install one, or name it: make setup PYTHON=/path/to/python3.12" >&2; \
	        exit 1; \
	    fi; \
	    echo "Making .venv with $$($$python --version)."; \
	    $$python -m venv --clear .venv; \
	}
	@echo "Installing the pinned requirements into .venv; this takes a minute or two."
	@$(INSTALL) -r requirements/build.txt
	@$(INSTALL) -r requirements/runtime.txt -r requirements/dev.txt
	@$(PIP) --no-build-isolation --no-deps --no-index --editable .
	@touch $@

demo: $(READY) ## Bills a make-believe town: three months, 300,000 calls. More: make demo ARGS="--calls 1000000"
	@$(BIN)/python -m fentan demo $(ARGS)

test: lint ## Checks the style and the types, and runs all tests. Some: make test ARGS="-k ratchet"
	$(BIN)/python -m pytest -n 3 $(ARGS)

lint: $(READY) ## Checks style, formatting, types and the direction of imports.
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports --no-logo --no-cache

docs: $(READY) ## Writes the generated parts of README.md and docs/ anew, and what their examples print.
	@$(BIN)/python -m tests.generated_docs

bench: $(READY) ## Measures what docs/benchmarks.md reports.
	$(BIN)/python -m bench $(ARGS)

chaos: $(READY) ## Kills the program at random and compares ledgers.
	$(BIN)/python -m tests.chaos $(ARGS)

chaos-kafka: $(READY) ## Kills workers and the broker at random: make chaos-kafka SEED=7 RUNS=20
	$(BIN)/python -m tests.chaos_kafka --seed $(or $(SEED),1) --runs $(or $(RUNS),20) $(ARGS)

bench-kafka: $(READY) ## Measures the Kafka side: docs/benchmarks.md
	$(BIN)/python -m bench.kafka $(ARGS)
	$(BIN)/python -m bench.kafka_day
	$(BIN)/python -m bench.kafka_watcher

kafka: $(READY) ## Starts a Kafka of one node on port 9092; needs Java and Maven. Another port: make kafka ARGS=9095
	@$(BIN)/python -m broker start $(ARGS)

kafka-stop: $(READY) ## Ends that Kafka; what it holds stays.
	@$(BIN)/python -m broker stop

lock: ## Pins anew what requirements/*.in ask for; needs uv. Newer versions: make lock ARGS=--upgrade
	@for part in build runtime dev; do \
	    echo "requirements/$$part.txt"; \
	    (cd requirements && uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	        --generate-hashes --no-header --no-emit-index-url --no-emit-find-links $(ARGS) $$part.in -o $$part.txt) || exit 1; \
	done

clean: ## Removes what make made: .venv and caches. Ledgers stay.
	rm -rf .venv .kafka_cache build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
