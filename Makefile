# Kept plain: macOS has GNU make 3.81.

python := .venv/bin/python
install := $(python) -m pip install --quiet --disable-pip-version-check

.PHONY: help demo serve test lint bench lock

help: ## this list
	@echo "make …"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-6s %s\n", $$1, $$2 }' Makefile

demo: .venv/local ## a viewer's journey, and what was recorded of it (ONCE=1 to end then)
	@$(python) -m infra.demo

serve: .venv/local ## every endpoint on one port, until Ctrl-C (PORT, DATA_DIR, DATABASE_URL)
	@$(python) -m infra.serve

test: lint ## style, types, SQL, and all tests on a PostgreSQL (TEST_DATABASE_URL)
	$(python) -m pytest

lint: .venv/all ## style, types and SQL only
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy common functions infra tests bench
	.venv/bin/sqlfluff lint common/sql infra/sql infra/migrations/versions
	.venv/bin/squawk infra/migrations/versions/*.sql

bench: .venv/all ## how fast it is, beside a hello-world, pgbench and a peer
	$(python) -m bench

lock: ## newer versions of what it stands on, into constraints.txt
	rm -rf .venv/lock
	$(python) -m venv .venv/lock
	.venv/lock/bin/python -m pip install --quiet --editable '.[archive,bench,cloud,local,test]'
	.venv/lock/bin/python -m pip freeze --exclude-editable >constraints.txt
	rm -rf .venv/lock

lock: $(python)

.venv/local: pyproject.toml constraints.txt | $(python)
	@echo "Installing what serving needs …"
	@$(install) --constraint constraints.txt --editable '.[local]'
	@touch $@

.venv/all: pyproject.toml constraints.txt | $(python)
	@echo "Installing what serving, testing and measuring need …"
	@$(install) --constraint constraints.txt --editable '.[archive,bench,cloud,local,test]'
	@touch .venv/local $@

# Debian has venv in a package of its own, without which ensurepip is missing.
$(python):
	@for candidate in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	  if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    rm -rf .venv && "$$candidate" -m venv .venv && exit 0; \
	  fi; \
	done; \
	echo "Python 3.11 or newer with its venv module is needed (Debian: apt install python3-venv;" \
	  "macOS: brew install python). One that is not on the PATH: PYTHON=/path/to/python3 make" >&2; \
	rm -rf .venv; exit 1
