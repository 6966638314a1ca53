# make train   set up .venv, then train configs/lcp_cifar.py --quick (or go on with it)
# make test    set up .venv, then run the test suite without the slow tests
# make salts   the same five times: global random numbers are seeded by each test's name and SALT, here 1 to 5
# make bench   how fast the hot loops are, in pairs; ARGS=--write puts the table into docs/benchmarks.md
# make gpu     everything worth knowing of a GPU, in nine minutes (ARGS="--minutes 4"); without one, a line
# PYTHON=python3.12 names the interpreter, VENV=FOLDER the environment, ARGS=... what is added to the command.
# TORCH_INDEX=URL names a package index with another build of torch (PyPI's own is the CUDA build on Linux).

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
ARGS ?=
JOBS ?= 2
SALT ?= 0

BIN = $(VENV)/bin
SETUP = $(PYTHON) tools/setup_venv.py --venv $(VENV) --torch-index "$(TORCH_INDEX)"
PYTEST = OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(BIN)/python -m pytest
# A file stays on one worker, for its fixtures; files in their own order, since those of few tests are the long ones.
SHARED = -n $(JOBS) --dist loadfile --no-loadscope-reorder
FAST = $(PYTEST) -m "not slow and not gpu" --benchmark-disable $(SHARED) $(ARGS)

.PHONY: train test salts slow bench gpu lint venv clean

train: venv
	@echo "training configs/lcp_cifar.py --quick ..."
	@$(BIN)/python tools/train.py configs/lcp_cifar.py --quick --resume $(ARGS)

test:
	@$(SETUP) --extra test
	@echo "running the tests without the slow ones, salt $(SALT) ..."
	@TOOLBOX_TEST_SALT=$(SALT) $(FAST)

salts:
	@$(SETUP) --extra test
	@failed=""; for salt in 1 2 3 4 5; do \
		echo "running the tests without the slow ones, salt $$salt ..."; \
		TOOLBOX_TEST_SALT=$$salt $(FAST) || failed="$$failed $$salt"; \
	done; test -z "$$failed" || { echo "failed with salt$$failed"; exit 1; }

slow:
	@$(SETUP) --extra test
	@echo "running the slow tests, salt $(SALT) ..."
	@TOOLBOX_TEST_SALT=$(SALT) $(PYTEST) -m "slow and not gpu" $(ARGS)

bench:
	@$(SETUP) --extra test --extra bench
	@echo "measuring speeds ..."
	@$(BIN)/python tools/bench.py $(ARGS)

gpu:
	@$(SETUP) --extra test
	@$(BIN)/python tools/gpu.py $(ARGS)

lint:
	@$(SETUP) --extra test --extra lint
	@echo "ruff, mypy and the import contracts ..."
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

venv:
	@$(SETUP)

clean:
	rm -rf .venv build dist *.egg-info plugins/*/*.egg-info plugins/*/build
