# Kept plain: macOS has GNU make 3.81.

python := .venv/bin/python
install := $(python) -m pip install --quiet --disable-pip-version-check

.PHONY: help demo serve test browser firefox player lint checkov bench lock
.PHONY: package proxy migrate contract run bootstrap init plan note apply smoke traffic back

help: ## this list
	@echo "make …"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' Makefile

demo: .venv/local ## a viewer's journey, and what was recorded of it (ONCE=1 to end then)
	@$(python) -m infra.demo

serve: .venv/local ## every endpoint on one port, until Ctrl-C (PORT, DATA_DIR, DATABASE_URL)
	@$(python) -m infra.serve

# Side by side, in three processes that share nothing: the browser plays in real time, and who tests races, outages and
# programs waits more than works.
played := tests/browser
raced := tests/journeys $(patsubst %,tests/infra/test_%.py,terraform package postgres)

test: lint player ## style, types, SQL, and all tests on a PostgreSQL (TEST_DATABASE_URL), and the player's
	@told=$$(mktemp -d); trap 'kill $$played $$raced 2>/dev/null; rm -rf "$$told"' EXIT; trap 'exit 130' INT TERM; \
	$(python) -m pytest $(played) >"$$told/played" 2>&1 & played=$$!; \
	$(python) -m pytest $(raced) >"$$told/raced" 2>&1 & raced=$$!; \
	$(python) -m pytest $(patsubst %,--ignore=%,$(played) $(raced)); passed=$$?; \
	echo "In $(raced):"; wait $$raced || passed=$$?; cat "$$told/raced"; \
	echo "In $(played):"; wait $$played || passed=$$?; cat "$$told/played"; exit $$passed

browser: .venv/all ## the tests in a real Chromium alone, which is killed twenty times (CHROMIUM)
	BROWSER_KILLS=20 $(python) -m pytest tests/browser

firefox: .venv/all ## … and those of watching in a real Firefox, where there is one (FIREFOX)
	$(python) -m pytest tests/browser/watching_in_firefox.py

# Only who works on the player needs Node.js. NODE=… says that its tests may not be left out, as .ci/run does.
player: ## the player's style, types, size, tests and simulation, where there is a Node.js (NODE)
	@if node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null && command -v npm >/dev/null; then \
	  $(MAKE) --no-print-directory player/node_modules && cd player && npm test; \
	else \
	  echo "!! The player was NOT tested: that needs Node.js 20 or newer with npm (Debian 13: apt install npm; macOS:" \
	    "brew install node; or nodejs.org)" >&2; \
	  [ -z "$(NODE)" ]; \
	fi

player/node_modules: player/package.json player/package-lock.json
	cd player && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

lint: .venv/all ## style, types and SQL only
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy common functions infra tests bench
	.venv/bin/sqlfluff lint common/sql infra/sql infra/migrations/versions
	.venv/bin/squawk infra/migrations/versions/*.sql

checkov: .venv/checkov/bin/checkov ## what checkov has to say of terraform/
	.venv/checkov/bin/checkov --directory terraform --framework terraform --compact --quiet --skip-download

bench: .venv/all ## how fast it is, beside a hello-world, pgbench, a peer and COPY
	$(python) -m bench

lock: ## newer versions of what it stands on, into constraints.txt and requirements.txt
	rm -rf .venv/lock
	$(python) -m venv .venv/lock
	.venv/lock/bin/python -m pip install --quiet --editable '.[archive,bench,cloud,local,test]'
	.venv/lock/bin/python -m pip freeze --exclude-editable >constraints.txt
	.venv/lock/bin/python -m pip install --quiet uv
	.venv/lock/bin/uv pip compile pyproject.toml --extra archive --extra cloud --constraint constraints.txt \
	  --universal --python-version 3.11 --generate-hashes --no-header --quiet --output-file requirements.txt
	rm -rf .venv/lock

lock: $(python)

# Deploying, see docs/deploy.md. In the order in which cloudbuild.yaml does it; each works on a laptop as well.

ENVIRONMENT ?= staging
PROJECT ?= watchledger-$(ENVIRONMENT)
REGION ?= europe-west4
STATE_BUCKET ?= $(PROJECT)-terraform-state
PROXY_PORT ?= 5433
MIGRATOR = wl-migrate@$(PROJECT).iam
MIGRATED ?= postgresql://wl-migrate%40$(PROJECT).iam@127.0.0.1:$(PROXY_PORT)/watchledger?sslmode=disable
plan = terraform -chdir=terraform plan -input=false -var-file=environments/$(ENVIRONMENT).tfvars -out=deploy.tfplan
# The metrics, too: ten minutes pass until an alert can be made of a new one; and the rights of who builds the functions,
# which take some to hold everywhere.
ground = terraform_data.environment google_project_service.needed google_cloudbuild_worker_pool.deploy \
  google_sql_database.watchledger google_sql_user.migrator google_project_iam_member.migrator \
  google_service_account_iam_member.deployers google_secret_manager_secret.log_pseudonym_key \
  google_compute_global_address.edge google_certificate_manager_dns_authorization.domain \
  google_logging_metric.this google_project_iam_member.builder_sources google_project_iam_member.builder_logs \
  google_artifact_registry_repository_iam_member.builder
noted = gs://$(STATE_BUCKET)/deployment
API ?= $(shell terraform -chdir=terraform output -raw url)

package: $(python) ## the functions' archives, into dist/
	@$(python) -m infra.package

proxy: ## the way to the database, until Ctrl-C, for migrate, contract and run (PROJECT, REGION)
	cloud-sql-proxy --private-ip --auto-iam-authn --impersonate-service-account=$(MIGRATOR).gserviceaccount.com \
	  --port=$(PROXY_PORT) $(PROJECT):$(REGION):watchledger

migrate: .venv/local ## the schema, as far as the functions that run now can bear
	@DATABASE_URL='$(MIGRATED)' $(python) -m infra.migrate --role cloudsqlsuperuser

contract: .venv/local ## … and what they cannot: by hand, when the new ones have run for a while
	@DATABASE_URL='$(MIGRATED)' $(python) -m infra.migrate --role cloudsqlsuperuser --contract

run: .venv/all ## a command on the deployed database and its archive, as who owns the tables (COMMAND)
	@DATABASE_URL='$(MIGRATED)' ARCHIVE_URL='gs://$(PROJECT)-watchledger-archive' PATH="$(CURDIR)/.venv/bin:$$PATH" \
	  sh -ec "$$COMMAND"

bootstrap: init ## the plan of what the pipeline itself stands on: once, before its first run; then apply
	$(plan) $(ground:%=-target=%)

plan: init ## what would become of the cloud (ENVIRONMENT, STATE_BUCKET)
	$(plan)

init:
	cp terraform/environments/backend.tf terraform/backend.tf
	terraform -chdir=terraform init -input=false -reconfigure \
	  -backend-config=bucket=$(STATE_BUCKET) -backend-config=prefix=watchledger

# A deployment that was broken off has left some requests with new revisions: what was noted before it is still right.
note: ## where requests go now, for traffic and back (PROJECT, REGION, STATE_BUCKET)
	@mkdir -p dist && rm -f dist/smoke-passed
	@gcloud storage cp $(noted)/unsettled.json dist/traffic.json 2>/dev/null \
	  || python3 -m infra.traffic note --project $(PROJECT) --region $(REGION)
	gcloud storage cp dist/traffic.json $(noted)/unsettled.json
	gcloud storage cp dist/traffic.json $(noted)/traffic.json

apply: ## the last plan
	terraform -chdir=terraform apply -input=false deploy.tfplan

smoke: $(python) ## a viewer's journey against what is deployed (TOKEN_COMMAND, API)
	@$(python) -m infra.smoke --api '$(API)' --token-command "$$TOKEN_COMMAND" --passed dist/smoke-passed

traffic: ## back to the revisions of before, unless the smoke test was passed
	@python3 -m infra.traffic settle --project $(PROJECT) --region $(REGION)
	gcloud storage rm --quiet $(noted)/unsettled.json

back: ## back to the revisions of before, whoever deployed
	mkdir -p dist
	gcloud storage cp $(noted)/traffic.json dist/traffic.json
	@python3 -m infra.traffic back --project $(PROJECT) --region $(REGION)

.venv/checkov/bin/checkov: | $(python)
	@echo "Installing checkov, apart from the rest: it wants other versions …"
	@rm -rf .venv/checkov
	@$(python) -m venv .venv/checkov
	@.venv/checkov/bin/python -m pip install --quiet --disable-pip-version-check checkov==3.3.30

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
