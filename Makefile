# make             print this
# make run         set up .venv, then run the main job: results/tables/summary.csv
# make test        set up .venv, then run the linters and the tests, about a quarter of an hour on two quiet cores
# make test-slow   whole workflows killed at every stage, weights removed, the GPU script in miniature
# make bench       set up .venv, then measure speed and size, beside yardsticks timed in the same run
# make vllm        set up .venv-vllm, for models whose config has scoring.backend: vllm (on GPUs)
# make setup       set up .venv alone
# make lint        check the code (for developers);  make lock: pin the newest packages

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
VLLM_STAMP := .venv-vllm/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Progress appears at once, and threads that wait do not burn a busy machine's cores.
export PYTHONUNBUFFERED = 1
export OMP_WAIT_POLICY = passive

.PHONY: help run test test-first-half test-second-half test-slow bench lint setup vllm lock
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# make/make/p' $(MAKEFILE_LIST)

run: setup
	@s2h unlock
	@snakemake results/tables/summary.csv
	@echo && cat results/tables/summary.md

# In two processes of about equal length, for most of the time is spent in one core of each.
FIRST_HALF := tests/workflow tests/faults tests/corpora tests/scoring

test: setup lint
	@$(MAKE) --no-print-directory -j2 -Oline test-first-half test-second-half

test-first-half:
	@python -m pytest $(FIRST_HALF)

test-second-half:
	@python -m pytest $(FIRST_HALF:%=--ignore=%)

test-slow: setup
	@python -m pytest -m slow

bench: setup
	@python -m benchmarks.puzzles
	@echo && python -m benchmarks.loader
	@echo && python -m benchmarks.training
	@echo && python -m benchmarks.decoding
	@echo && python -m benchmarks.plan

lint: setup
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile rules
	mypy
	snakemake --lint

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "s2h needs Python 3.11 or later; no '$(PYTHON)' was found. Install it, or name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "s2h needs Python 3.11 or later, but '$(PYTHON)' is $$($(PYTHON) -V). Name another: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "s2h needs Python's venv module; install it (Debian: apt-get install python3-venv)"; exit 1; }
	@command -v c++ >/dev/null || command -v g++ >/dev/null || { echo "s2h needs a C++ compiler; install one (Debian: apt-get install g++)"; exit 1; }
	@echo "Setting up .venv: about 7 GB, some minutes on a fast line ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# A server beside .venv, never imported into it: vLLM pins another torch and another transformers than training does.
vllm: $(VLLM_STAMP)

$(VLLM_STAMP): requirements-vllm.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "vLLM needs Python 3.11 or later, but '$(PYTHON)' is $$($(PYTHON) -V). Name another: make vllm PYTHON=/path/to/python3"; exit 1; }
	@echo "Setting up .venv-vllm: about 10 GB, some minutes on a fast line ..."
	@test -x .venv-vllm/bin/python || $(PYTHON) -m venv .venv-vllm
	@.venv-vllm/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-vllm.lock
	@touch $@

lock:
	@python -m pip install --quiet uv
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	    --no-emit-index-url --all-extras pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	    --no-emit-index-url --group pyproject.toml:vllm -o requirements-vllm.lock
	@$(MAKE) --no-print-directory setup
	@python -m tools.environments
