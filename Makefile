# make demo    set up and run the demonstration        make test    set up and run the whole gate
# make lint    ruff and mypy only                      make docs    the documentation, to build/docs/index.html
# make clean   remove what the above made, but not .venv
#
# TORCH_INDEX: another index for torch alone, for instance https://download.pytorch.org/whl/cpu (no CUDA, far smaller).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INPUTS := pyproject.toml constraints.txt $(wildcard native/CMakeLists.txt native/*.h native/*.cpp native/*/*.h)

.PHONY: help demo test lint native-test docs clean

help:
	@sed -n '1,5s/^# \{0,1\}//p' Makefile

demo: $(VENV)/.installed-run
	$(BIN)/longspan demo

test: lint native-test
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 POLARS_MAX_THREADS=1 $(BIN)/python -m pytest -n 2

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# The engine's own tests, without Python.
native-test: $(VENV)/.installed-dev
	$(BIN)/cmake -S native -B build/native > /dev/null
	$(BIN)/cmake --build build/native -j 2 > /dev/null
	$(BIN)/ctest --test-dir build/native --output-on-failure

docs: $(VENV)/.installed-dev
	$(BIN)/python -m sphinx -W -q -b html docs build/docs
	@echo "Written to build/docs/index.html"

clean:
	rm -rf build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed-run: $(VENV)/.installed-torch $(INPUTS)
	$(PIP) install -c constraints.txt --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-run
	$(PIP) install -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

# torch alone and first, since only it may come from another index; what it needs comes with the rest.
$(VENV)/.installed-torch: constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV); the first time takes a few minutes."
	$(PIP) install -c constraints.txt --no-deps $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP) install -c constraints.txt scikit-build-core cmake ninja
	@touch $@

$(BIN)/python:
	@found=""; \
	for each in $${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do \
	    if "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found="$$each"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "longspan needs Python 3.11 or later, and there is none on the PATH. Name one: make PYTHON=/path/to/python" >&2; \
	    exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "This Python cannot make environments yet: sudo apt-get install python3-venv" >&2; \
	    exit 1; \
	fi; \
	"$$found" -m venv $(VENV)
