# clientorg-operator. `make` or `make help` lists the targets. Needs Python 3.11 or newer, and make.
# All Python packages go into .venv; the binaries of the control plane into a cache folder (CLIENTORG_CACHE, by default
# the user's own), both at their first use.

SHELL := /bin/sh
MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DEFAULT_GOAL := help

PYTHON ?=
CLUSTER ?= $(or $(CLIENTORG_CLUSTER),local)
STORY ?= quickstart
ONCE ?=
N ?= 1000
ARGS ?=
OLDEST ?= 1.32

PY := .venv/bin/python
on = $(filter-out 0 no false,$(1))
# `exec`, so that a signal to make's child reaches the program and not a shell in between.
RUN := exec $(PY) -m
# Processes of `make test`, each with a control plane of its own: most cluster tests wait for Kubernetes. 0: this one alone.
# A wait that ran out its deadline, in a browser too, is tried once more, and shown as R: the machine may have had other work.
WORKERS ?= 3

# Any Python that is new enough and complete; Debian has venv in a package of its own.
define find-python
for python in $(PYTHON) python3 python3.11 python3.12 python3.13 python3.14 python; do \
	command -v "$$python" >/dev/null 2>&1 || continue; \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	if "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then found=$$python; break; fi; \
	incomplete=$$python; \
done; \
if [ -z "$${found:-}" ] && [ -n "$${incomplete:-}" ]; then \
	echo "error: $$incomplete lacks venv or ensurepip; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; \
elif [ -z "$${found:-}" ]; then \
	echo "error: no Python 3.11 or newer on PATH; install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; \
fi
endef

.PHONY: help
help: ## Show this help
	@echo "Usage: make TARGET [NAME=value]"
	@echo
	@while IFS= read -r line; do case $$line in [a-z]*:*'## '*) \
		printf '  %-12s %s\n' "$${line%%:*}" "$${line##*## }";; esac; done <Makefile

.PHONY: demo
demo: venv ## From nothing to five Ready clients, until Ctrl-C [CLUSTER=local|kind|kubeconfig] [ONCE=1] [STORY=quickstart|lifecycle|billing|portfolio]
	@$(RUN) tests.demo run --cluster=$(CLUSTER) --story=$(STORY) $(if $(call on,$(ONCE)),--once)

.PHONY: up
up: venv ## The same cluster and operator in the background: eval "$(make -s up)" [CLUSTER=local|kind|kubeconfig]
	@$(RUN) tests.demo up --cluster=$(CLUSTER)

.PHONY: down
down: venv ## End what `make up` started
	@$(RUN) tests.demo down

.PHONY: build
build: venv ## Build the control plane's binaries, and Argo CD for its tests, into the cache folder
	@$(RUN) tests.controlplane build --argocd

# Files are spread over processes, the long ones first; what a busy machine did not do in time is tried again, shown as R.
SPREAD = -n $(WORKERS) --dist loadfile --no-loadscope-reorder --reruns 2 --only-rerun 'waited .* s for' \
	--only-rerun 'Locator expected' --only-rerun 'TimeoutExpired|net::ERR_'

.PHONY: test
test: build ## All tests: unit, integration, cluster, security, faults (short), e2e [ARGS="-k name -x"] [WORKERS=3]
	@$(PY) -m pytest $(SPREAD) tests/e2e tests/faults tests/security tests/cluster tests/integration tests/unit $(ARGS)
	@$(RUN) tests.security --part

.PHONY: rights
rights: venv ## After `make test`: the operator's rights against what it used, and secrets in the open
	@$(RUN) tests.security $(ARGS)

# What depends on the API server's version: the CEL of schema and policies, apply, custom verbs, pause, points.
OLDEST_TESTS := tests/cluster/test_schema.py tests/cluster/test_admission.py tests/cluster/test_ledger_admission.py \
	tests/cluster/test_hold.py tests/cluster/test_kstatus.py tests/cluster/test_pause.py tests/cluster/test_billing.py

.PHONY: test-oldest
test-oldest: venv ## The same operator on the oldest Kubernetes that is supported; builds it once [OLDEST=1.32] [ARGS=...]
	@CLIENTORG_KUBERNETES=$(OLDEST) $(PY) -m tests.controlplane build
	@CLIENTORG_KUBERNETES=$(OLDEST) $(RUN) pytest $(SPREAD) $(OLDEST_TESTS) $(ARGS)

.PHONY: test-faults
test-faults: WORKERS := 6
test-faults: build ## Operators killed at every write, in pairs, in faults, in the past; an hour [ARGS="--kind seed"] [WORKERS=6]
	@$(RUN) tests.faults --workers $(WORKERS) $(ARGS)

.PHONY: check
check: lint ## Linters and the fast tests
	@$(RUN) pytest tests/unit -q $(ARGS)

.PHONY: lint
lint: venv ## Format, style, types, layers, generated files, lock
	@failed=; \
	check() { "$$@" || failed=yes; }; \
	check $(PY) -m ruff check --quiet .; \
	check $(PY) -m ruff format --check --quiet .; \
	check $(PY) -m mypy --no-error-summary; \
	check $(PY) -m mypy --no-error-summary requirements/environment.py requirements/vendored.py docs/*.py charts/*.py release/*.py; \
	check .venv/bin/lint-imports --no-logo; \
	check $(PY) -m clientorg.api.crd crds --check; \
	check $(PY) -m charts.generate --check; \
	check $(PY) -m docs.pages --check; \
	check .venv/bin/hadolint Dockerfile; \
	check $(PY) requirements/environment.py check; \
	check $(PY) requirements/vendored.py check; \
	[ -z "$$failed" ] || { echo "error: not clean" >&2; exit 1; }

.PHONY: bench
bench: venv ## Throughput beside the bare API writes, memory, restart [N=1000; CHARGES=1, REPORTS=1, DASHBOARD=1: of these]
	@$(RUN) tests.bench$(if $(CHARGES),.charges,$(if $(REPORTS),.reports,$(if $(DASHBOARD),.dashboard))) -n $(N) $(ARGS)

.PHONY: crds
crds: venv ## Generate crds/ from operator/clientorg/api, and of the chart what is made from it and from manifests/
	@$(PY) -m clientorg.api.crd crds
	@$(RUN) charts.generate

.PHONY: docs
docs: docs-pages ## The documentation's site in dist/site, complete links only; generates its pages first
	@exec .venv/bin/mkdocs --quiet build --strict --site-dir dist/site
	@echo "wrote dist/site/index.html" >&2

.PHONY: docs-pages
docs-pages: venv ## Generate the pages of docs/ that are made from code: settings, metrics, alerts, the reference
	@$(RUN) docs.pages

.PHONY: image-try
image-try: venv ## Every step of the Dockerfile in a clean Debian root, and what the image promises; needs root, debootstrap
	@$(RUN) tests.image $(ARGS)

.PHONY: sbom
sbom: venv ## The image's SBOM in dist/sbom.cdx.json (CycloneDX), from requirements/image.txt
	@mkdir -p dist
	@.venv/bin/cyclonedx-py requirements --pyproject pyproject.toml --mc-type application --output-reproducible \
		--of JSON --sv 1.6 --output-file dist/sbom.cdx.json requirements/image.txt
	@echo "wrote dist/sbom.cdx.json" >&2

.PHONY: dist
dist: venv ## The wheel and the source archive in dist/
	@$(RUN) hatchling build --directory dist

.PHONY: plugin
plugin: dist ## The plugin's archive and its manifest for krew in dist/
	@$(RUN) release.plugin

.PHONY: kind-up
kind-up: ## A kind cluster instead of the embedded control plane, where Docker runs
	@command -v kind >/dev/null || { echo "error: no kind on PATH; CLUSTER=local needs neither kind nor Docker" >&2; exit 1; }
	@mkdir -p .run
	@kind get clusters 2>/dev/null | grep -qx clientorg \
		&& kind export kubeconfig --name clientorg --kubeconfig .run/kind.yaml >&2 \
		|| kind create cluster --name clientorg --kubeconfig .run/kind.yaml --wait 180s >&2
	@echo "export KUBECONFIG=$(CURDIR)/.run/kind.yaml"

.PHONY: kind-down
kind-down: ## Delete the kind cluster
	@command -v kind >/dev/null || { echo "error: no kind on PATH" >&2; exit 1; }
	@kind delete cluster --name clientorg && rm -f .run/kind.yaml

.PHONY: venv
venv: ## Set up .venv, as far as it is not
	@$(find-python); exec "$$found" requirements/environment.py venv

.PHONY: lock
lock: ## Resolve requirements/dev.txt anew from pyproject.toml
	@$(find-python); exec "$$found" requirements/environment.py lock

.PHONY: vendor
vendor: venv ## Fetch the scripts that the dashboard serves anew, from their npm packages; needs npm
	@exec $(PY) requirements/vendored.py refresh

.PHONY: clean
clean: ## Remove what can be made again: the cluster of `make up`, .venv, caches (not the control plane's binaries)
	@if [ -x $(PY) ] && [ -d .run ]; then $(PY) -m tests.demo down; fi
	@rm -rf .venv .run dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find operator tests docs requirements -name __pycache__ -type d -prune -exec rm -rf {} +
