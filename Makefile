# make train   set up .venv, then train configs/lcp_cifar.py --quick (or go on with it)
# make test    set up .venv, then run the test suite without the slow tests
# PYTHON=python3.12 names the interpreter, VENV=FOLDER the environment, ARGS=... what is added to the command.
# TORCH_INDEX=URL names a package index with another build of torch (PyPI's own is the CUDA build on Linux).

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
ARGS ?=
JOBS ?= 2

BIN = $(VENV)/bin
SETUP = $(PYTHON) tools/setup_venv.py --venv $(VENV) --torch-index "$(TORCH_INDEX)"
PYTEST = OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(BIN)/python -m pytest

.PHONY: train test slow bench lint venv clean

train: venv
	$(BIN)/python tools/train.py configs/lcp_cifar.py --quick --resume $(ARGS)

test:
	$(SETUP) --extra test
	$(PYTEST) -m "not slow" --benchmark-disable -n $(JOBS) $(ARGS)

slow:
	$(SETUP) --extra test
	$(PYTEST) -m slow $(ARGS)

bench:
	$(SETUP) --extra test
	$(PYTEST) tests/benchmarks -o python_files="bench_*.py" --benchmark-only $(ARGS)

lint:
	$(SETUP) --extra test --extra lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

venv:
	$(SETUP)

clean:
	rm -rf .venv build dist *.egg-info plugins/*/*.egg-info plugins/*/build
