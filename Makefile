# truelift: `make run` runs the whole job, `make test` tests it; each sets the machine up first.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
# pytest keeps its tests compiled, in images too whose Python is told to keep nothing: 9 of 22 CPU
# seconds that each worker takes to collect them.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
# In the order of tests/seconds.json: files that take minutes come first, those of seconds fill up.
IN_ORDER = -n $(or $(WORKERS),2) --dist loadfile --no-loadscope-reorder
LINT = $(BIN)/ruff format --check --quiet --diff . && $(BIN)/ruff check --quiet . && \
	PYTHONPATH=lib $(BIN)/lint-imports --no-cache && $(BIN)/vulture && $(BIN)/mypy
# Set-up has written down which Java it found; one that you name yourself goes first.
WITH_JAVA = export JAVA_HOME="$${JAVA_HOME:-$$(cat .venv/.truelift-java)}";

export PYTHON TRUELIFT_GPU

# ENV is a variable of the shell's own, so it counts only on make's command line.
RUN_ENV = $(if $(filter command%,$(origin ENV)),$(ENV))
RUN_OPTIONS = $(if $(RUN_ENV),--env '$(RUN_ENV)') \
	$(if $(DATASET),--dataset '$(DATASET)') \
	$(if $(LAKE),--lake '$(LAKE)') \
	$(if $(SAMPLE),--set 'sample=$(SAMPLE)') \
	$(foreach item,$(SET),--set '$(item)') \
	$(if $(FROM),--from '$(FROM)') \
	$(if $(ONLY),--only '$(ONLY)')

.PHONY: help
help: ## this list
	@echo 'make TARGET [VARIABLE=value ...]'
	@sed -nE 's/^([a-z][a-z-]*):.*## (.*)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS=$$'\t' read -r target text; do printf '  %-18s %s\n' "$$target" "$$text"; done

.PHONY: setup
setup: ## system parts, .venv, Horovod, Delta's jars (PYTHON=python3.12 TRUELIFT_GPU=1)
	@conf/setup/setup.sh

.PHONY: horovod-gpu
horovod-gpu: ## set-up with CUDA's libraries and Horovod's collectives through NCCL (needs nvcc)
	@TRUELIFT_GPU=1 conf/setup/setup.sh
	@$(BIN)/python -c 'import horovod.tensorflow as hvd, sys; \
		sys.exit(0 if hvd.nccl_built() else "Horovod was built without NCCL.")'

.PHONY: run
run: setup ## the whole job (DATASET= SAMPLE=0.05 LAKE= ENV= FROM=step ONLY=step SET="key=value ...")
	@$(WITH_JAVA) exec $(BIN)/truelift run_pipeline $(strip $(RUN_OPTIONS))

.PHONY: ui
ui: setup ## MLflow's pages over the embedded store (PORT=5000)
	@$(BIN)/mlflow ui --backend-store-uri sqlite:///.truelift/mlflow.db --port $(or $(PORT),5000)

.PHONY: test
test: setup ## lint, types and every test, side by side: mypy alone takes one core 74 s (WORKERS=2)
	@$(WITH_JAVA) failed=0; said=$$(mktemp); trap 'rm -f $$said' EXIT; ($(LINT)) >$$said 2>&1 & lint=$$!; \
		trap 'kill $$lint 2>/dev/null || :; exit 130' INT TERM; $(PYTEST) $(IN_ORDER) $(TRACED) $(ARGS) || failed=$$?; \
		wait $$lint || { failed=$$?; cat $$said >&2; echo 'make lint fails' >&2; }; exit $$failed

.PHONY: test-changed
test-changed: setup ## tests that what changed since a branch can reach (BASE=main)
	@$(WITH_JAVA) files=$$($(BIN)/python -m tests.changed '$(or $(BASE),main)'); \
		if [ -z "$$files" ]; then echo 'No test runs, reads or names what changed.'; \
		else $(PYTEST) -n $(or $(WORKERS),2) --dist loadfile --no-loadscope-reorder $$files $(ARGS); fi

.PHONY: seconds
seconds: ARGS = --write-seconds tests/seconds.json
seconds: test ## the same, and tests/seconds.json anew: seconds by file and phase, Java starts, Spark jobs

.PHONY: coverage
coverage: TRACED = --cov=lib/truelift --cov-report=term
coverage: test ## the same, and which lines of lib/ they run; takes longer

.PHONY: test-unit
test-unit: setup ## tests without Spark (WORKERS=2; ARGS= for pytest, in all of these)
	@$(PYTEST) tests/unit $(IN_ORDER) $(ARGS)

.PHONY: test-study
test-study: setup ## seeded coverage studies: intervals cover, tests keep their level
	@$(PYTEST) tests/study $(IN_ORDER) $(ARGS)

.PHONY: test-spark
test-spark: setup ## tests on one embedded Spark session
	@$(WITH_JAVA) $(PYTEST) tests/spark $(ARGS)

.PHONY: test-distributed
test-distributed: setup ## tests with two Horovod processes and with a Spark cluster
	@$(WITH_JAVA) $(PYTEST) tests/distributed $(ARGS)

.PHONY: test-pipeline
test-pipeline: setup ## the whole job on a small sample, twice
	@$(WITH_JAVA) $(PYTEST) tests/pipeline $(ARGS)

.PHONY: lint
lint: setup ## format and rules (ruff), walls (import-linter), dead code (vulture), types (mypy); changes nothing
	@$(LINT)

.PHONY: format
format: setup ## rewrite the sources as lint wants them
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: lock
lock: setup ## make the lock files anew from conf/requirements/*.in (UPGRADE=1: newest versions)
	@$(WITH_JAVA) UPGRADE='$(UPGRADE)' conf/setup/lock.sh $(BIN)/python

.PHONY: wheel
wheel: setup ## dist/truelift-*.whl for spark-submit --py-files
	@rm -rf build dist
	@$(BIN)/uv build --quiet --offline --wheel --no-build-isolation --python $(BIN)/python --out-dir dist .
	@rm -rf build
	@ls dist/*.whl

.PHONY: bench
bench: setup ## the scripts of benchmarks/ (installs the peers of bench.lock; ONLY=name ARGS=)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r conf/requirements/bench.lock
	@$(WITH_JAVA) for file in $$(grep -l '__main__' benchmarks/$(or $(ONLY),*).py); do \
		echo "$$file"; $(BIN)/python "$$file" $(ARGS); done

.PHONY: clean
clean: ## remove .venv and what was built; keeps .truelift (lake, runs, report) and the caches
	@rm -rf .venv build dist .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* spark-warehouse
	@find lib jobs tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
	@rm -rf lib/*.egg-info
