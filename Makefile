# Smart Filter. `make help` lists the targets; each sets up what it needs.
#
#   make run PHOTO="my photo.jpg" BACKGROUND="color:#336699"
#   make test TESTS=tests/unit
#
# PYTHON=/path/to/python3 chooses the interpreter of the environment.

.PHONY: help run setup setup-dev setup-browser setup-models clean check lint format test test-all wide-suites narrow-suites \
	test-slow test-contract test-races test-mutants test-chaos chaos test-soak test-aged test-fuzz test-browser test-firefox test-alerts \
	test-containers test-corpora test-docs test-models nightly coverage bench bench-gpu docs docs-serve openapi client examples notices sbom release-compose golden gallery \
	images wearables thumbnails screenshots

# Exported unexpanded, so that a blank, a quote, # or $ arrives as typed.
export RUN_PHOTO := $(value PHOTO)
export RUN_BACKGROUND := $(value BACKGROUND)
# Tests start hundreds of processes, which would compile every module again.
unexport PYTHONDONTWRITEBYTECODE
# make exports variables of its own command line too, expanded: $(shell …) in a name would run.
unexport PHOTO BACKGROUND

TESTS ?= tests
# Test processes; each starts its own servers and waits for them much of the time.
TEST_PROCESSES ?= 2
# After this many seconds a suite starts no further test. Each test has its own limit (`timeout` in
# pyproject.toml).
SUITE_SECONDS ?= 1800
NIGHTLY_SECONDS ?= 7200
BENCH_SECONDS ?= 900
BENCH_PYTHON ?= .venv/bin/python

# Suites that keep two cores busy run one after the other, then those of one core side by side. The
# longest come first.
WIDE_SUITES = test test-containers test-slow test-races test-contract test-soak test-mutants
SUITES ?= $(WIDE_SUITES) test-browser test-chaos test-docs test-models test-fuzz test-aged lint
CORES = $(shell cores=$$(nproc); echo $$((cores > 2 ? cores : 2)))
PAIRS = $(shell echo $$(($(CORES) / 2)))

LIMIT = --session-timeout $(SUITE_SECONDS)
PYTEST = .venv/bin/python -m pytest $(LIMIT)
# One process runs a whole file, so that shared fixtures start once.
PARALLEL = --numprocesses $(TEST_PROCESSES) --dist loadfile
# Long tests of one file are distributed among the processes.
ONE_BY_ONE = --numprocesses $(TEST_PROCESSES) --dist load

help: ## List the targets.
	@awk -F ':.*## ' '/^##@ / { print "\n" substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Use
run: setup ## Composite a photo: PHOTO=me.jpg BACKGROUND=preset:studio.
	@set -- ; \
	if [ -n "$$RUN_BACKGROUND" ]; then set -- --background "$$RUN_BACKGROUND"; fi; \
	if [ -n "$$RUN_PHOTO" ]; then set -- "$$@" -- "$$RUN_PHOTO"; fi; \
	./smart-filter run "$$@" && echo "  next        ./smart-filter up starts a server and names the studio"

##@ Change
check: lint ## Lint and run the unit tests.
	@$(PYTEST) $(PARALLEL) tests/unit tests/architecture

lint: setup-dev ## Run ruff, mypy --strict and import-linter.
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@.venv/bin/lint-imports

format: setup-dev ## Format the code and apply ruff's fixes.
	@.venv/bin/ruff check --fix-only --quiet
	@.venv/bin/ruff format

##@ Test
test: setup-dev ## Run unit, integration and acceptance tests (4 min); TESTS=path chooses.
	@$(PYTEST) $(PARALLEL) $(TESTS)

test-all: setup-browser ## Run every suite and lint (55 min); SUITES="test-chaos lint" chooses.
	@rm -rf build/tests && mkdir -p build/tests
	@printf '%-15s %-7s %7s %8s %8s\n' suite result passed skipped seconds > build/tests/table
	@began=$$(date +%s); status=0; \
	{ $(MAKE) --no-print-directory -j$(PAIRS) wide-suites && \
	$(MAKE) --no-print-directory -j$(CORES) narrow-suites; } || status=1; \
	echo; cat build/tests/table; printf '%-40s %8d\n' together $$(($$(date +%s) - began)); exit $$status

wide-suites: $(addprefix suite/,$(filter $(WIDE_SUITES),$(SUITES))) ; @:
narrow-suites: $(addprefix suite/,$(filter-out $(WIDE_SUITES),$(SUITES))) ; @:

suite/%:
	@tests/suite.sh $*

test-slow: setup-dev ## Run tests of several seconds and full products.
	@$(PYTEST) -m slow $(PARALLEL) tests

test-contract: setup-dev ## Run one suite over every model, design, filter and provider.
	@$(PYTEST) $(PARALLEL) tests/contract

test-races: setup-dev ## Run pairs of transitions on the same rows, walks of a model, storms.
	@$(PYTEST) $(ONE_BY_ONE) tests/races

test-mutants: setup-dev ## Remove each guard of queue and runner; a check must notice it.
	@$(PYTEST) $(ONE_BY_ONE) tests/mutants

test-chaos: setup-dev ## Kill servers and workers under load; CHAOS_SEED=… repeats a run.
	@$(PYTEST) tests/chaos

chaos: setup-dev ## Run test-chaos with 200 photos in each experiment (45 min).
	@CHAOS_PHOTOS=200 .venv/bin/python -m pytest tests/chaos

test-soak: setup-dev ## Send more photos than fit for SOAK_SECONDS (300): nothing may grow.
	@$(PYTEST) tests/soak

test-aged: setup-dev ## Run journeys on an installation of 40 days and 200,000 jobs.
	@$(PYTEST) tests/aged

test-fuzz: setup-dev ## Run Schemathesis on the service; FUZZ_SECONDS, FUZZ_SEED.
	@$(PYTEST) tests/fuzz

# What a page showed when a test failed is in build/browser.
test-browser: setup-browser ## Run the studio's tests in Chromium.
	@$(PYTEST) tests/browser

# Debian's firefox-esr, through WebDriver BiDi; not part of test-all.
test-firefox: setup-browser ## Run journeys of the studio in Firefox.
	@SMART_FILTER_BROWSER=firefox $(PYTEST) tests/browser/test_photo.py tests/browser/test_signing_in.py \
		-k "described or to_scale or document_has or is_accessible or stores_nothing or used_code or signing_out"

# Where no Docker engine runs: root on Debian, whose engine is unpacked and not installed.
test-containers: setup-dev ## Build the images and run docker-compose.yml.
	@$(PYTEST) -m "not slow" tests/containers

# Fetches 64 MB; not part of test-all.
test-corpora: setup-dev ## Decode the pictures of Pillow, pillow-heif and PngSuite as Pillow does.
	@$(PYTEST) tests/corpora

test-alerts: setup-dev ## Let promtool and real faults fire each alert; installs no Prometheus.
	@$(PYTEST) tests/alerts

test-docs: setup-dev ## Run the commands of README, tutorial and guides; build the site.
	@$(PYTEST) tests/docs

# One thread per call, as in a worker: threads of torch spin while they wait for each other.
test-models: export OMP_NUM_THREADS := 1
test-models: export TF_NUM_INTRAOP_THREADS := 1
test-models: export TF_NUM_INTEROP_THREADS := 1
test-models: export TF_CPP_MIN_LOG_LEVEL := 3
test-models: setup-models ## Test training and models of TensorFlow and torch (3 GB to install).
	@.venv-models/bin/python -m pytest $(LIMIT) -rs tests/models
	@.venv-models/bin/python -m pytest $(LIMIT) tests/contract/test_segmentation_models.py -k unet

nightly: setup-dev ## Run all tests with more photos and more steps (2 h).
	@CHAOS_PHOTOS=100 SOAK_SECONDS=1800 FUZZ_SECONDS=900 FUZZ_CASES=5000 \
	FUZZ_SEED=$$(date +%j) timeout --foreground --kill-after=30 $(NIGHTLY_SECONDS) \
	.venv/bin/python -m pytest --hypothesis-profile=nightly -m "slow or not slow" tests tests/aged tests/alerts tests/containers tests/contract tests/races tests/mutants tests/chaos tests/soak tests/corpora tests/docs tests/fuzz

# Measures child processes too.
coverage: setup-dev ## Print the line and branch coverage of test, slow, contract, races, aged.
	@mkdir -p build/coverage
	@.venv/bin/coverage erase
	@.venv/bin/coverage run -m pytest -m "slow or not slow" \
	$(PARALLEL) tests tests/aged tests/contract tests/races
	@.venv/bin/coverage combine --quiet
	@.venv/bin/coverage report --precision=1 --skip-covered --skip-empty

bench: setup-dev ## Measure speed next to limits and peers (6 min on an idle machine).
	@PYTHONPATH=tests timeout --foreground --kill-after=30 $(BENCH_SECONDS) .venv/bin/python -m benchmarks

bench-gpu: ## Measure networks alone and through their stages, without network (10 min).
	@command -v $(BENCH_PYTHON) > /dev/null || \
		{ echo "bench-gpu: $(BENCH_PYTHON) is missing: run make setup-dev" >&2; exit 1; }
	@PYTHONPATH=tests $(BENCH_PYTHON) -m benchmarks.gpu

##@ Document
docs: setup-dev ## Build the documentation as a site in build/site.
	@PYTHONPATH=docs .venv/bin/python -m smart_filter_docs

docs-serve: docs ## Serve the site on port 8766.
	@.venv/bin/python -m http.server --bind 127.0.0.1 --directory build/site 8766

openapi: setup-dev ## Write docs/openapi.json, docs/problems and the tables of recipes from the code.
	@PYTHONPATH=docs:tests .venv/bin/python -m smart_filter_docs.api_documents

client: setup-dev ## Write the client's type of a recipe from its declared fields.
	@.venv/bin/python client/generate_recipe.py

examples: setup-dev ## Record the examples of docs/openapi.json from a running service.
	@PYTHONPATH=docs:tests .venv/bin/python -m smart_filter_docs.tour

notices: setup-dev ## Write the NOTICE files of the images from lock files and cards.
	@PYTHONPATH=docs .venv/bin/python -m smart_filter_docs.notices

# Only reads, so it does not set up: that takes minutes, and makes a moved .venv anew.
sbom: ## Write an SBOM (CycloneDX) of packages and weights to build/sbom.cdx.json.
	@.venv/bin/python -c "import cyclonedx, smart_filter_workers" 2> /dev/null || \
		{ echo "sbom: .venv lacks its packages: run make setup-dev" >&2; exit 1; }
	@PYTHONPATH=docs .venv/bin/python -m smart_filter_docs.sbom

release-compose: setup-dev ## Write deploy/compose.release.yml from docker-compose.yml.
	@PYTHONPATH=docs .venv/bin/python -m smart_filter_docs.release_compose

golden: setup-dev ## Draw the golden pictures of the tests; look at each that changed.
	@PYTHONPATH=tests .venv/bin/python -m smart_filter_tests.golden

gallery: setup-dev ## Draw the pictures of docs/gallery.
	@.venv/bin/python docs/make_gallery.py

images: setup-dev ## Draw the pictures and diagrams of README, tutorial and explanations.
	@.venv/bin/python docs/make_images.py
	@.venv/bin/python docs/make_diagrams.py
	@.venv/bin/python docs/make_curves.py

wearables: setup-browser ## Draw the pictures of glasses, hats and stickers from their SVGs.
	@PYTHONPATH=tests .venv/bin/python docs/make_wearables.py

thumbnails: setup-dev ## Draw the thumbnails of the generated backgrounds.
	@.venv/bin/python -m smart_filter_workers.backgrounds.appearance

screenshots: setup-browser ## Take the pictures of the studio; SHOTS="sheet photo" chooses.
	@PYTHONPATH=docs:tests .venv/bin/python docs/make_screenshots.py $(SHOTS)

##@ Set up
setup: ## Install what `make run` needs into .venv.
	@deploy/bootstrap.sh run

setup-dev: ## Install what tests and lint need into .venv.
	@deploy/bootstrap.sh dev

setup-browser: ## Install that and Chromium.
	@deploy/bootstrap.sh browser

setup-models: ## Install TensorFlow and torch for CPU into .venv-models.
	@timeout --foreground --kill-after=30 1500 deploy/bootstrap.sh models

clean: ## Remove environments, builds and caches.
	@rm -rf .venv .venv-models build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
