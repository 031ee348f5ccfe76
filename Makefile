# Two commands are enough on a fresh machine: `make demo` and `make test`.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first of these that runs and is 3.11; python3 if none is, and the message tells its version.
PYTHON ?= $(or $(shell for p in python3.11 python3; do \
    $$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && echo $$p && break; done),python3)
VENV := .venv
BIN := $(VENV)/bin
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
BENCHES := store cost artifact host training proposal
TEST_WORKERS ?= $(shell nproc)

# Waiting OpenMP threads must sleep: spinning ones made an epoch ten times slower on shared cores.
export OMP_WAIT_POLICY := PASSIVE
export RAY_USAGE_STATS_ENABLED := 0

.PHONY: help install demo characters weights pairs test test-fast test-long networks coverage check wheel bench clean distclean bench-record bench-compare bench-own-data bench-table bench-search bench-ideas bench-techniques bench-targets bench-vela bench-integers $(BENCHES:%=bench-%)

help: ## Show this list
	@echo "make TARGET [PYTHON=python3.11] [TORCH_INDEX=URL of an extra package index for PyTorch]"
	sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

install: $(VENV)/.installed $(VENV)/.runtimes ## Create .venv and install the pinned set into it

$(VENV)/.created:
	@if [ "$$(uname -s) $$(uname -m)" != "Linux x86_64" ]; then
	    echo "Atoll runs on Linux x86_64; this machine is $$(uname -s) $$(uname -m)." >&2; exit 1; fi
	if ! version=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); then
	    echo "Atoll needs Python 3.11, and '$(PYTHON)' does not run: install it or say make PYTHON=/path/to/python3.11." >&2; exit 1; fi
	if [ "$$version" != 3.11 ]; then
	    echo "Atoll needs Python 3.11; '$(PYTHON)' is $$version: say make PYTHON=/path/to/python3.11." >&2; exit 1; fi
	echo "== Creating $(VENV) with $(PYTHON) ($$version)" >&2
	$(PYTHON) -m venv $(VENV)
	touch $@

# torch goes first and alone: asked for with the others, pip may backtrack to another build.
$(VENV)/.torch: $(VENV)/.created constraints.txt
	@version=$$(sed -n 's/^torch==//p' constraints.txt)
	index=($(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)))
	if nvidia-smi >/dev/null 2>&1; then
	    echo "== Installing PyTorch $$version (NVIDIA driver found)" >&2
	    $(PIP) "$${index[@]}" "torch==$$version"
	else
	    echo "== Installing PyTorch $$version for the CPU (no NVIDIA driver)" >&2
	    if ! $(PIP) "$${index[@]}" "torch==$$version+cpu" 2>$(VENV)/torch-cpu.log; then
	        echo "   No index in use has $$version+cpu (see $(VENV)/torch-cpu.log): taking the plain build, several GB more" \
	             "to download and keep; TORCH_INDEX=URL names an index that has it (after make distclean)." >&2
	        $(PIP) "$${index[@]}" "torch==$$version"
	    fi
	fi
	echo "   PyTorch build: $$($(BIN)/python -c 'import importlib.metadata as m; print(m.version("torch"))')" >&2
	touch $@

$(VENV)/.installed: $(VENV)/.torch pyproject.toml constraints.txt
	@echo "== Installing Atoll and the rest of the pinned set" >&2
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(PIP) -e '.[characters,dev,micro,ethos,onnx]'
	touch $@

# The oldest package that boards have: a file of every technique is run in it (tests/evaluators/runtimes).
$(VENV)/.runtimes: $(VENV)/.installed hw_models/runtimes/wheels.py
	@echo "== Installing tflite-runtime 2.14.0, to run files in" >&2
	ATOLL_CACHE=$(CURDIR)/$(VENV) $(BIN)/python -m atoll.evaluators.runtimes.packages tflite-2.14
	touch $@

demo: $(VENV)/.installed ## Search with the built-in study and export its winner (about 2 minutes on two free cores, 6 at most)
	@echo "== Running the built-in study; trials go to ./atoll.duckdb" >&2
	$(BIN)/atoll search
	echo "== Exporting the winner" >&2
	$(BIN)/atoll export best

characters: $(VENV)/.installed ## Search the characters task (under 90 minutes; run again to go on)
	@echo "== Searching the characters task; trials go to ./atoll.duckdb" >&2
	$(BIN)/atoll search characters

weights: $(VENV)/.installed ## Train the shipped baseline weights anew
	@echo "== Training the baseline weights anew" >&2
	$(BIN)/python -m atoll.evaluators.tasks.train_given characters
	$(BIN)/python -m atoll.evaluators.tasks.train_given digits
	$(BIN)/python -m atoll.evaluators.tasks.train_given small_characters

pairs: $(VENV)/.installed ## Write anew what later steps do to earlier ones (spaces/techniques/PAIRS.md)
	@echo "== Comparing the plans of every ordered pair of techniques" >&2
	$(BIN)/python -m atoll.spaces.recipes.pair_table

# Tests compute with one thread, so a process a core; a file stays whole, since its tests share what they make.
PYTEST := $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile

test: $(VENV)/.installed $(VENV)/.runtimes ## Run the tests that decide whether a change lands
	@echo "== Running the tests, $(TEST_WORKERS) at a time" >&2
	$(PYTEST) -m "not long"

test-fast: $(VENV)/.installed $(VENV)/.runtimes ## Run the tests that take about a second each
	@echo "== Running the fast tests, $(TEST_WORKERS) at a time" >&2
	$(PYTEST) -m "not slow and not long"

test-long: $(VENV)/.installed ## Search for faults for minutes a test (run again to go on; a table in results/)
	@echo "== Running the long tests, one at a time; rows go to results/test_long/rows.jsonl" >&2
	$(BIN)/python tests/long_tests.py

networks: $(VENV)/.installed ## Try networks with every technique, untrained (run again to go on; a table in results/)
	@echo "== Trying every network; rows go to results/networks/rows.jsonl" >&2
	$(BIN)/python tests/networks_table.py

coverage: $(VENV)/.installed $(VENV)/.runtimes ## Run the tests and print which branches they take
	@echo "== Running the tests with coverage, $(TEST_WORKERS) at a time" >&2
	$(PYTEST) -m "not long" --cov --cov-report=term:skip-covered

# mypy knows the package as `atoll` through a link, since the folder may be called anything.
check: $(VENV)/.installed ## Lint, format, types, layout, rooms, and the wheel from another folder
	@echo "== ruff check" >&2
	$(BIN)/ruff check .
	echo "== ruff format --check" >&2
	$(BIN)/ruff format --check .
	echo "== mypy" >&2
	mkdir -p $(VENV)/mypy && ln -sfn ../.. $(VENV)/mypy/atoll
	MYPYPATH=$(VENV)/mypy $(BIN)/mypy -p atoll | sed "s|^$(VENV)/mypy/atoll/||"
	echo "== layout, rooms, and the wheel built, installed and imported from another folder" >&2
	$(BIN)/python -m pytest tests/test_layout.py tests/test_rooms.py tests/test_wheel.py

wheel: $(VENV)/.installed ## Build dist/atoll-*.whl, for other machines
	@echo "== Building the wheel into dist/" >&2
	rm -rf build dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	rm -rf build
	ls dist/*.whl

bench: $(BENCHES:%=bench-%) ## Measure the speed claims: a JSON line a figure on stdout (bench-NAME: one alone)

$(BENCHES:%=bench-%): bench-%: $(VENV)/.installed
	@echo "== Measuring: $*" >&2
	$(BIN)/python tests/bench/$*.py

bench-record: $(VENV)/.installed ## Measure every figure of `make bench` three times and write results/bench/
	@echo "== Measuring every figure three times; records go to results/bench/" >&2
	$(BIN)/python tests/bench/recorded.py record 3

# BENCH_ARGS="store cost" compares these suites alone.
bench-compare: $(VENV)/.installed ## Measure once and name what is worse than the record
	@echo "== Measuring, to compare with results/bench/" >&2
	$(BIN)/python tests/bench/recorded.py compare $(BENCH_ARGS)

# 11 GB of temporary files, so not among the benches above; BENCH_ARGS="--images 5000" tries it out.
bench-own-data: $(VENV)/.installed ## Measure memory and speed of 200,000 images of one's own (minutes, 11 GB of disk)
	@echo "== Measuring memory and speed of own data" >&2
	$(BIN)/python tests/bench/own_data.py $(BENCH_ARGS)

# Half an hour on two free cores; BENCH_ARGS="--most 20" makes so many rows more.
bench-table: $(VENV)/.installed ## Train every recipe of a small space, for bench-search (run again to go on)
	@echo "== Training the table; rows go to results/search_table/" >&2
	$(BIN)/python tests/bench/search_table.py $(BENCH_ARGS)

bench-search: $(VENV)/.installed ## Replay searches on that table: training until as good as plain Optuna
	@echo "== Replaying searches" >&2
	$(BIN)/python tests/bench/replayed_search.py $(BENCH_ARGS)

bench-ideas: $(VENV)/.installed ## Replay them again with each idea of the sampler atoll switched off
	@echo "== Replaying searches, each idea switched off in turn" >&2
	$(BIN)/python tests/bench/ideas.py

# Hours, so not among the benches above; BENCH_ARGS="--task digits" tries it out in minutes.
bench-techniques: $(VENV)/.installed ## Measure every technique alone on characters (an hour or two; run again to go on)
	@echo "== Measuring every technique alone; rows go to results/techniques/rows.jsonl" >&2
	$(BIN)/python tests/bench/techniques.py $(BENCH_ARGS)

# 13 GB of releases in the cache, so not among the benches above; BENCH_ARGS="tflite-2.14" tries one alone.
bench-targets: $(VENV)/.installed ## Run a file of every technique in every release of the runtime and on devices (half an hour)
	@echo "== Running files in releases; rows go to results/targets/" >&2
	$(BIN)/python tests/bench/targets.py $(BENCH_ARGS)
	$(BIN)/python tests/bench/targets_devices.py

bench-integers: $(VENV)/.installed ## Train networks and put them on integers (an hour or more; run again to go on)
	@echo "== Networks on integers; rows go to results/integers/" >&2
	$(BIN)/python tests/bench/integers.py $(BENCH_ARGS)

bench-vela: $(VENV)/.installed ## Compare Vela's figures before and after training, 20 recipes (half an hour; goes on)
	@echo "== Comparing Vela's figures; rows go to results/vela/rows.jsonl" >&2
	$(BIN)/python tests/bench/vela.py $(BENCH_ARGS)

clean: ## Remove caches and build outputs; keep .venv, stores and exports
	@echo "== Removing caches and build outputs" >&2
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## clean, and remove .venv
	@echo "== Removing $(VENV)" >&2
	rm -rf $(VENV)
