PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench kafka-jars clean

help: ## what can be done
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "wardbeat needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "no venv: on Debian and Ubuntu, apt-get install python3-venv"; rm -rf .venv; exit 1; }

.venv/run.stamp: pyproject.toml constraints.txt .venv/pyvenv.cfg
	@echo "installing what the ward needs into .venv"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/dev.stamp: .venv/run.stamp
	@echo "installing what the tests need into .venv"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

setup: .venv/run.stamp ## everything the ward needs, in .venv

demo: setup ## a small ward on embedded parts; says which page to open
	@$(BIN)/python -m wardbeat demo $(ARGS)

kafka-jars: setup ## fetch Apache Kafka (Java 17 and Maven needed)
	@$(BIN)/python -m stream.kafka.broker

test: .venv/dev.stamp ## everything the tests need, and the tests
	@if [ -x ../shared/data/unpack ]; then ../shared/data/unpack .data > /dev/null; fi
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

check: .venv/dev.stamp ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: .venv/dev.stamp ## the figures of docs/measurements.md
	@for script in benchmarks/*.py; do echo "== $$script"; \
		OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.$$(basename $$script .py) || exit 1; done

clean: ## what was built and installed
	rm -rf .venv .kafka .wardbeat .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
