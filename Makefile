# The commands to know: demo, test, check, bench, fuzz, docs. Each installs what it needs into .venv, once.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: demo test test-base lint check bench fuzz docs
.DEFAULT_GOAL := demo

demo: .venv/demo-installed  ## age a real photo
	@$(BIN)/python examples/demo.py demo/astronaut.png
	@$(BIN)/reage age demo/astronaut.png --sweep 20:80:15 -o demo/before-after.png
	@echo "Aged photo:       $(CURDIR)/demo/astronaut-80.png"
	@echo "Before and after: $(CURDIR)/demo/before-after.png"

test: .venv/dev-installed  ## run all tests
	$(BIN)/pytest

test-base: .venv/demo-installed .venv-base/installed  ## every command where no extra is installed
	@$(BIN)/python examples/demo.py demo/astronaut.png
	.venv-base/bin/python tests/base_install.py demo/astronaut.png

lint: .venv/dev-installed
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/mypy benchmarks
	$(BIN)/lint-imports

check: lint test  ## format, lint, types, import rules, tests

bench: .venv/dev-installed  ## seconds and memory from photo to photo
	$(BIN)/python benchmarks/end_to_end.py

fuzz: .venv/dev-installed  ## damaged pictures and killed runs; about an hour
	$(BIN)/python benchmarks/fuzz.py files
	$(BIN)/python benchmarks/fuzz.py kills

docs: .venv/docs-installed  ## build the documentation as a site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "Documentation:    $(CURDIR)/site/index.html"

.venv/demo-installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing reage and its demo photo into .venv, once ..."
	@$(INSTALL) '.[demo]'
	@touch $@

.venv/dev-installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing reage and its tests and checks into .venv, once ..."
	@$(INSTALL) '.[dev]'
	@touch $@

.venv/docs-installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what builds the documentation into .venv, once ..."
	@$(INSTALL) '.[docs]'
	@touch $@

.venv-base/installed: pyproject.toml constraints.txt $(shell find src -name '*.py')
	@echo "Installing reage alone into .venv-base ..."
	@test -e .venv-base/bin/python || $(PYTHON) -m venv .venv-base
	@.venv-base/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt .
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; old = sys.version_info < (3, 11); sys.exit(old and "reage needs Python 3.11 or newer: make PYTHON=python3.11")'
	@$(PYTHON) -m venv .venv
