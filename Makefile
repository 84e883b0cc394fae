# One environment for everything: .venv, made from requirements/dev.lock, hashes required. docs/adr/0001 says why.
# Needs make and a Python >= 3.11 with venv. To use another Python: make clean, then make install PYTHON=python3.12

SHELL := /bin/sh
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.installed-bench

# The first that really runs, is new enough and can make an environment: a version manager's shim may exist and not run.
USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	if $$p -c '$(USABLE)' >/dev/null 2>&1; then echo $$p; break; fi; done)

CHOOSE = chosen="$(PYTHON)"; \
	if [ -z "$$chosen" ]; then \
		echo "peerway needs Python 3.11 or newer that can make a virtual environment, and found none." >&2; \
		echo "Tried python3.13, python3.12, python3.11, python3 and python." >&2; \
		echo "On Debian and Ubuntu: apt install python3 python3-venv. Or name one: make PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	elif ! "$$chosen" -c '$(USABLE)' >/dev/null 2>&1; then \
		echo "PYTHON=$$chosen does not run, is older than 3.11, or has no venv (on Debian: apt install python3-venv)." >&2; \
		exit 1; \
	fi

.DEFAULT_GOAL := help
.PHONY: help python install demo test test-long lint format proto lock simulate compose-test clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z%-]+:.*## /{printf "make %-13s %s\n", $$1, $$2}' Makefile

python: ## the Python that make install would use
	@$(CHOOSE); echo "$$chosen"

install: $(STAMP) ## make .venv from the lock file, once
$(STAMP): requirements/dev.lock pyproject.toml
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
		$(CHOOSE); echo "Making $(VENV) with $$chosen"; "$$chosen" -m venv --clear $(VENV); }
	@echo "Installing into $(VENV) what requirements/dev.lock names; only what is missing needs a network"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input \
		--only-binary :all: --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input \
		--no-build-isolation --no-deps --editable .
	@touch $@

demo: $(STAMP) ## fifteen real networks on loopback: search, buy, use and release a path
	@$(BIN)/peerway demo $(ARGS)

# One worker per processor; the tests of a file share what is made for them. In the order of folders: files that take
# long come before tests/unit, so no worker is left with a long one at the end. SPREAD= runs all in one process.
SPREAD ?= -n auto --dist loadfile --no-loadscope-reorder
test: $(STAMP) ## the whole suite at everyday figures
	@$(BIN)/python -m pytest $(SPREAD) -m "not long" $(ARGS)

test-long: $(STAMP) ## the same tests and the long ones, at full figures
	@PEERWAY_TEST_LONG=1 $(BIN)/python -m pytest $(SPREAD) $(ARGS)

lint: $(STAMP) ## ruff and mypy; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP) ## let ruff sort imports and lay out the code
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

# The virtual path gives the generated modules their real package name, so that they import each other.
OUT ?= .
proto: $(STAMP) ## regenerate schemas/gen from schemas/proto
	$(BIN)/python -m grpc_tools.protoc --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy \
		--plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc -Ischemas/gen=schemas/proto \
		--python_out=$(OUT) --grpc_python_out=$(OUT) --mypy_out=quiet:$(OUT) --mypy_grpc_out=quiet:$(OUT) \
		$$(cd schemas/proto && find . -name '*.proto' | sed 's|^\./|schemas/gen/|' | sort)

# The largest first: the others may only repeat its versions. UPGRADE=--upgrade takes newer ones.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock" pyproject.toml
lock: $(STAMP) ## write requirements/*.lock anew from pyproject.toml (UPGRADE=--upgrade for newer versions)
	$(COMPILE) --extra dev $(UPGRADE) --output-file requirements/dev.lock
	$(COMPILE) --upgrade --constraint requirements/dev.lock --output-file requirements/base.lock
	$(COMPILE) --upgrade --constraint requirements/dev.lock --extra broker --output-file requirements/broker.lock
	$(COMPILE) --upgrade --constraint requirements/dev.lock --extra demo --output-file requirements/demo.lock
	$(COMPILE) --upgrade --constraint requirements/dev.lock --extra bench --output-file requirements/bench.lock

# SEED=123 PLAN=rough plays one run again.
SEEDS ?= 1000
simulate: $(STAMP) ## whole federations from seeds, with every fault: SEEDS=10000
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) $(if $(SEED),--seed $(SEED)) $(if $(PLAN),--plan "$(PLAN)") $(ARGS)

compose-test: ## buy and release a path between containers
	@test -x compose/run || { echo "compose/run is not there" >&2; exit 1; }
	@compose/run

# As a module: benchmarks is a package, and a folder of it must not hide one of ours.
bench-%: $(STAMP) ## run benchmarks/%.py
	@test -f benchmarks/$*.py || { echo "benchmarks/$*.py is not there" >&2; exit 1; }
	@$(BIN)/python -m benchmarks.$* $(ARGS)

bench-paths: $(BENCH_STAMP)
$(BENCH_STAMP): $(STAMP) requirements/bench.lock
	@echo "Installing into $(VENV) what requirements/bench.lock names: the peers that we are measured against"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input \
		--only-binary :all: --require-hashes -r requirements/bench.lock
	@touch $@

clean: ## remove .venv and every cache
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
