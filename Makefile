# `make run` opens the local workspace with the bot in it; `make test` runs everything CI runs.
# Both install what is missing (Debian packages through apt, Python packages into .venv).
SHELL := /bin/bash
VENV  := .venv
BIN   := $(VENV)/bin
PORT  ?= 3210

.PHONY: run test lint unit bench screenshots clean

run: $(VENV)/.runtime
	@$(BIN)/deploybot local --port $(PORT)

test: lint
	@.ci/install-servers
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/.development
	$(BIN)/python -m pytest tests/unit

bench: $(VENV)/.development
	@.ci/install-servers
	$(BIN)/python -m tests.benchmarks

screenshots: $(VENV)/.development
	@.ci/install-servers
	DEPLOYBOT_SCREENSHOTS=tests/acceptance/pictures $(BIN)/python -m pytest tests/acceptance -k "tour or really_there or gates or home_play or install or queue or report_play"

$(VENV)/bin/uv:
	@.ci/install-python $(VENV)

$(VENV)/.runtime: $(VENV)/bin/uv pyproject.toml uv.lock
	@$(BIN)/uv sync --quiet --frozen --inexact --no-dev
	@touch $@

$(VENV)/.development: $(VENV)/bin/uv pyproject.toml uv.lock
	@$(BIN)/uv sync --quiet --frozen --inexact
	@touch $@ $(VENV)/.runtime

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
