# The README's two commands are `make demo` and `make test`; both set up .venv themselves.
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip install --quiet -c constraints.txt

.PHONY: demo test test-all check docs clean

$(VENV)/demo.stamp: pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing leaq into $(VENV) (about a minute) ..."
	$(PIP) -e ".[molecules,report]"
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing leaq and its development tools into $(VENV) (a few minutes) ..."
	$(PIP) -e ".[dev]"
	@touch $@ $(VENV)/demo.stamp

demo: $(VENV)/demo.stamp  ## audit two real data sets and write their HTML reports
	$(VENV)/bin/leaq audit breast_cancer --out runs/demo-breast-cancer --report demo-breast-cancer.html
	$(VENV)/bin/leaq audit freesolv --out runs/demo-freesolv --report demo-freesolv.html

test: $(VENV)/dev.stamp  ## everything but the tests marked slow
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile

test-all: $(VENV)/dev.stamp  ## the slow statistical tests too
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile -m "slow or not slow"

check: $(VENV)/dev.stamp  ## linting, formatting, types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

docs: $(VENV)/dev.stamp  ## build the documentation into site/, warnings as errors
	$(VENV)/bin/mkdocs build --strict

clean:
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache
