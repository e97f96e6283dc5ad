# `make demo` and `make test` are all that a newcomer needs; both set up first what is missing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
CACHES := var/java-of-tests/spark.aot
# The machine's own certificates: behind a company's proxy only they are right.
INSTALL := $(UV) pip install --system-certs --require-hashes --compile-bytecode --python $(BIN)/python

.PHONY: demo test setup setup-dev lint types bench lock screenshots clean

demo: setup
	@$(BIN)/bike up --demo

setup: $(VENV)/.installed
	@echo "[3/3] Jars of Spark and Kafka"
	@$(BIN)/bike setup

# One file a state: a second start sees that nothing changed and asks no registry.
$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/.uv
	@echo "[2/3] Python packages"
	@$(INSTALL) -r requirements.lock
	@$(UV) pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python -e .
	@touch $@

$(VENV)/.uv: requirements-uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11, 3.12 or 3.13 is needed; name one with PYTHON=...")'
	@echo "[1/3] Python environment"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "Installing development packages..."
	@$(INSTALL) -r requirements-dev.lock
	@touch $@

setup-dev: $(VENV)/.installed-dev setup
	@tools/ensure chromium chromium chromium-browser google-chrome
	@PATH="$$PATH:$$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')" tools/ensure postgresql postgres
	@PATH="$$PATH:/usr/sbin" tools/ensure mariadb-server mariadbd
	@tools/ensure openjdk-17-jre-headless /usr/lib/jvm/java-17-openjdk-*/bin/java
	@docker compose version >/dev/null 2>&1 || tools/ensure docker-compose docker-compose

test: setup-dev lint types $(CACHES)
	@$(BIN)/dg check defs
	@$(BIN)/pytest

# Made anew with the jars and Java; the tests do without, only slower.
$(CACHES): requirements.lock bike_assets/local/jars.lock | setup-dev
	@echo "A cache of what the tests' JVMs load..."
	-@$(BIN)/python -m bike_assets_tests.caches

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check .

types: $(VENV)/.installed-dev
	@$(BIN)/mypy

bench: setup-dev
	@$(BIN)/python -m bench

screenshots: setup-dev
	@$(BIN)/python -m tools.screenshots

# The locks, made anew from pyproject.toml; hashes, and no address.
lock: | $(VENV)/.uv
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements.lock
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --extra postgres pyproject.toml -c requirements.lock -o docker/requirements.lock
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group dev --extra postgres pyproject.toml -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf $(VENV) var
