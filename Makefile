# Two commands: `make run` starts the toolbox, `make test` passes the tests. Each sets up what it needs, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: run test check screenshots benchmark clean

run:
	@if scripts/has_display; then \
		$(MAKE) --no-print-directory $(VENV)/.run-ready && exec $(BIN)/python demo_toolbox.py; \
	else \
		echo "The toolbox needs a display and none was found (DISPLAY and WAYLAND_DISPLAY are empty); demo_cli.py works without one."; \
	fi

test: $(VENV)/.test-ready
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest

check: $(VENV)/.test-ready
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache

screenshots: $(VENV)/.test-ready
	$(BIN)/python scripts/screenshots.py

benchmark: $(VENV)/.run-ready
	$(BIN)/python demo_cli.py benchmark

$(VENV)/.run-ready: requirements.txt scripts/system_libraries | $(VENV)/bin/pip
	scripts/system_libraries run
	$(BIN)/pip install --quiet -r requirements.txt
	@touch $@

$(VENV)/.test-ready: requirements.txt requirements-test.txt scripts/system_libraries | $(VENV)/bin/pip
	scripts/system_libraries run test
	$(BIN)/pip install --quiet -r requirements-test.txt
	@touch $@

$(VENV)/bin/pip:
	scripts/system_libraries python
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV)
