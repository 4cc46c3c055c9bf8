# Two commands: `make lab` opens the first notebook, `make test` runs every test.
# Each makes the environment in .venv if it is not there or no longer what the lock says.

PYTHON ?= python3
PORT ?= 8888
VENV ?= .venv

BIN := $(VENV)/bin
READY := $(VENV)/installed
NOTEBOOK := 01-first-backtest.ipynb
LOCK := requirements-dev.lock

# The browser tests drive a real Chromium; a machine without one leaves them out.
BESTBT_CHROMIUM ?= $(firstword $(shell command -v chromium chromium-browser google-chrome))
export BESTBT_CHROMIUM

# In the order of the folders: the browser's files are few and long, and must not come last.
SPREAD := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: help lab test lint lock clean check-python check-port

help:
	@echo "make lab     install, load the demo market, open JupyterLab on the first notebook (PORT=$(PORT))"
	@echo "make test    install, then lint and run every test"
	@echo "make lint    check style and types"
	@echo "make lock    pin the newest releases of everything in $(LOCK)"
	@echo "make clean   remove the environment and the caches; your data stay"

lab: check-port $(READY)
	@echo "==> The demo market (synthetic), if the store is empty"
	@$(BIN)/bestbt demo --if-empty
	@echo "==> JupyterLab on port $(PORT); Ctrl-C twice ends it"
	@$(BIN)/jupyter lab --port=$(PORT) --ServerApp.port_retries=0 $(AS_ROOT) \
		--ServerApp.root_dir=notebooks --LabApp.default_url=/lab/tree/$(NOTEBOOK)

test: lint
ifeq ($(BESTBT_CHROMIUM),)
	@echo "==> Tests; browser tests are left out: no Chromium (sudo apt install chromium, or set BESTBT_CHROMIUM)"
	@$(BIN)/python -m pytest $(SPREAD) -m "not browser"
else
	@echo "==> Tests, with $(BESTBT_CHROMIUM) for the browser tests"
	@$(BIN)/python -m pytest $(SPREAD)
endif

lint: $(READY)
	@echo "==> Style and types"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# Written last, so that an installation that was broken off is begun anew.
$(READY): $(LOCK) pyproject.toml | check-python
	@echo "==> Installing bestbt and what it needs into $(VENV) (a minute or two, once)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(LOCK) -e .
	@touch $@

# Only names and versions: which index they come from is the installing machine's business.
lock: check-python
	@echo "==> The newest releases that pyproject.toml admits, into $(LOCK)"
	@$(PYTHON) -m venv --clear build/lock
	@build/lock/bin/python -m pip install --quiet --disable-pip-version-check --upgrade '.[dev]'
	@build/lock/bin/python -m pip freeze --exclude bestbt > $(LOCK)
	@rm -r build/lock
	@echo "==> Run \"make test\" before committing it"

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis

check-python:
	@command -v $(PYTHON) > /dev/null || { echo "error: no $(PYTHON) here. Install it: sudo apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) scripts/preflight.py python

check-port: check-python
	@$(PYTHON) scripts/preflight.py port $(PORT)

# Jupyter refuses to run as root (a container's only user) unless told so.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
