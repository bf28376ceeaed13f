# The commands to know: demo, test, check, bench, fuzz, docs. Each installs what it needs into .venv, once;
# with PYTHON=python3.13, into .venv-python3.13.
SHELL := /bin/bash
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell command -v python3.11 || command -v python3 || echo python3.11)
VENV := .venv
else
VENV := .venv-$(notdir $(PYTHON))
endif
NEWEST := $(shell for python in python3.13 $$HOME/.pyenv/versions/3.13*/bin/python3.13 $(PYTHON); do \
	$$python -c '' 2>/dev/null && echo $$python && break; done)
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: demo test test-base test-browser lint check bench fuzz docs dist
.DEFAULT_GOAL := demo

demo: $(VENV)/demo-installed  ## age a real photo
	@$(BIN)/python examples/demo.py demo/astronaut.png
	@$(BIN)/reage age demo/astronaut.png --sweep 20:80:15 -o demo/before-after.png
	@echo "Aged photo:       $(CURDIR)/demo/astronaut-80.png"
	@echo "Before and after: $(CURDIR)/demo/before-after.png"

test: $(VENV)/dev-installed  ## run all tests
	$(BIN)/pytest

test-base: .venv-base/installed .venv-docker/installed $(VENV)/demo-installed  ## every command where no extra is installed
	@$(BIN)/python examples/demo.py demo/astronaut.png
	.venv-base/bin/python tests/base_install.py demo/astronaut.png
	.venv-docker/bin/python tests/base_install.py demo/astronaut.png

test-browser: $(VENV)/browser-installed  ## the page in Debian's chromium; screenshots go to build/browser
	REAGE_BROWSER=1 $(BIN)/pytest --numprocesses 0 -s tests/browser
	@echo "Screenshots:      $(CURDIR)/build/browser"

dist: $(VENV)/dev-installed  ## the wheel and the source distribution, checked
	@rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/python tests/package_build.py check dist

lint: $(VENV)/dev-installed
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/mypy benchmarks
	$(BIN)/lint-imports

check: lint test  ## format, lint, types, import rules, tests

bench: $(VENV)/dev-installed  ## seconds and memory from photo to photo
	$(BIN)/python benchmarks/end_to_end.py

fuzz: $(VENV)/dev-installed  ## damaged pictures and killed runs; about an hour
	$(BIN)/python benchmarks/fuzz.py files
	$(BIN)/python benchmarks/fuzz.py kills

docs: $(VENV)/docs-installed  ## build the documentation as a site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "Documentation:    $(CURDIR)/site/index.html"

$(VENV)/demo-installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing reage and its demo photo into $(VENV), once ..."
	@$(INSTALL) '.[demo]'
	@touch $@

$(VENV)/dev-installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing reage and its tests and checks into $(VENV), once ..."
	@$(INSTALL) '.[dev]'
	@touch $@

$(VENV)/browser-installed: $(VENV)/dev-installed
	@command -v chromium >/dev/null || { echo "Install chromium first, as in: apt-get install chromium"; exit 1; }
	@$(INSTALL) '.[browser]'
	@touch $@

$(VENV)/docs-installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what builds the documentation into $(VENV), once ..."
	@$(INSTALL) '.[docs]'
	@touch $@

.venv-base/installed: dist
	@echo "Installing the wheel into .venv-base ..."
	@$(PYTHON) -m venv --clear .venv-base
	@.venv-base/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt dist/*.whl
	@touch $@

.venv-docker/installed: Dockerfile pyproject.toml constraints.txt $(shell find src -name '*.py')
	@echo "Installing reage into .venv-docker as the Dockerfile does, with $(NEWEST) ..."
	@$(NEWEST) -m venv --clear .venv-docker
	@$(PYTHON) tests/package_build.py docker .venv-docker
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; old = sys.version_info < (3, 11); sys.exit(old and "reage needs Python 3.11 or newer: make PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)
