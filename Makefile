# Every target sets up what it needs in .venv by itself; .venv/bin/driftline works after any of them.
# A machine with Python 3.11 or later and make is enough; `make PYTHON=python3.12 …` takes another Python.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

define NEW_ENOUGH
@command -v $(PYTHON) >/dev/null || { \
  echo "error: driftline needs Python 3.11 or later; there is no $(PYTHON)" >&2; \
  echo "hint: install one, or name it: make install PYTHON=/path/to/python3.11" >&2; exit 2; }
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
  echo "error: driftline needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>&1)" >&2; \
  echo "hint: name a newer one: make install PYTHON=/path/to/python3.11" >&2; exit 2; }
endef

.DEFAULT_GOAL := help
.PHONY: help install demo demo-kafka test test-tools lint format bench soak lock clean

help:  ## what there is
	@sed -n 's/^\([a-z-]*\):.*##/\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; do printf '  make %-11s %s\n' "$$name" "$$what"; done

install: $(STAMP)  ## .venv with everything pinned in requirements.lock, and .venv/bin/driftline

demo: $(STAMP)  ## a year of flights: learning, drift, a crash, recovery; wrong labels, and a rollback
	$(BIN)/python -m examples.flights.demo
	$(BIN)/python -m examples.flights.poisoning

demo-kafka: $(STAMP) test-tools  ## the year of flights on a real Kafka, started for the while (or KAFKA_BOOTSTRAP_SERVERS)
	$(BIN)/python -m tests.integration.kafka $(BIN)/python -m examples.flights.demo --folder var/demo-kafka --kafka {kafka}

# The tools are fetched beside the installation and lint: building Prometheus and the S3 server takes three minutes, once.
test:  ## everything: lint, types, layers, tests
	@$(MAKE) --no-print-directory -j2 test-tools lint
	$(BIN)/python -m pytest -n 2 --dist loadgroup

test-tools:  ## fetch into .cache what the tests use beside Python: Kafka, an S3 server, Prometheus, Compose
	$(NEW_ENOUGH)
	@$(PYTHON) tools/test_tools.py

lint: $(STAMP)  ## ruff, mypy --strict, the layers between the packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir .cache/import-linter

format: $(STAMP)  ## rewrite the code as ruff formats it
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(STAMP)  ## how fast, and where the time goes
	$(BIN)/driftline bench

soak: $(STAMP) test-tools  ## the long runs, which make test leaves out
	$(BIN)/python -m pytest -m soak -n 2 --dist loadgroup --timeout 7200

lock: $(STAMP)  ## write requirements.lock anew; UPGRADE=--upgrade takes newer versions
	env -u PIP_FIND_LINKS -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL CUSTOM_COMPILE_COMMAND="make lock" \
	$(BIN)/pip-compile --quiet --no-config --extra demo --extra parquet --extra dev --strip-extras --allow-unsafe --generate-hashes \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
	$(UPGRADE) --output-file requirements.lock pyproject.toml

clean:  ## remove all that make has made
	rm -rf .venv .cache build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements.lock pyproject.toml
	$(NEW_ENOUGH)
	@$(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  $(PYTHON) -m venv --clear .venv
	$(PIP) install --quiet --require-hashes -r requirements.lock
	PYTHONWARNINGS=ignore $(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
