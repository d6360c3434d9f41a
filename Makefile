# The two commands of a newcomer are `make run` and `make test`; both set up what they need.
#
#   make run PHOTO="my photo.jpg" BACKGROUND="color:#336699"
#   make test TESTS=tests/unit
#
# PYTHON=/path/to/python3 chooses the interpreter of the environment.

.PHONY: run test test-all coverage test-slow test-contract test-races test-chaos test-aged test-fuzz test-browser test-alerts test-docs test-models nightly bench golden gallery images thumbnails screenshots openapi examples docs docs-serve lint format setup setup-dev setup-browser setup-models clean help

# Passed on by the environment and unexpanded, so that a blank, a quote, # or $ arrives as it is.
export RUN_PHOTO := $(value PHOTO)
export RUN_BACKGROUND := $(value BACKGROUND)
# Variables of make's own command line are exported too, and expanded then: $(shell …) would run.
unexport PHOTO BACKGROUND

TESTS ?= tests
# Each has servers of its own, and much of what a test takes is waiting for them.
TEST_PROCESSES ?= 2
# Bounds a suite: after so long no further test begins. Each test has its own limit, `timeout` in
# pyproject.toml.
SUITE_SECONDS ?= 1800
NIGHTLY_SECONDS ?= 7200
BENCH_SECONDS ?= 900

LIMIT = --session-timeout $(SUITE_SECONDS)
PYTEST = .venv/bin/python -m pytest $(LIMIT)
# A file runs whole on one process, which starts what its tests share once.
PARALLEL = --numprocesses $(TEST_PROCESSES) --dist loadfile

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

run: setup
	@set -- ; \
	if [ -n "$$RUN_BACKGROUND" ]; then set -- --background "$$RUN_BACKGROUND"; fi; \
	if [ -n "$$RUN_PHOTO" ]; then set -- "$$@" -- "$$RUN_PHOTO"; fi; \
	exec .venv/bin/smart-filter run "$$@"

test: setup-dev
	@$(PYTEST) $(PARALLEL) $(TESTS)

# Every suite and `make lint`, side by side where cores are free, with a table at the end. What they
# print lies in build/tests. SUITES="test-chaos test-docs" chooses some.
test-all: setup-browser
	@.venv/bin/python tests/suites.py $(SUITES)

# What `make test` leaves out of the same folders: tests of several seconds, and full products.
test-slow: setup-dev
	@$(PYTEST) -m slow $(PARALLEL) tests

# Every model, design, filter and provider, held to what is asked of its kind.
test-contract: setup-dev
	@$(PYTEST) $(PARALLEL) tests/contract

# Every pair of moves on the same rows, at once and in both orders; random walks; storms.
test-races: setup-dev
	@$(PYTEST) $(PARALLEL) tests/races

# Servers and workers that die with photos under way. The names of tests tell their seeds;
# CHAOS_SEED=… repeats one.
test-chaos: setup-dev
	@$(PYTEST) tests/chaos

# Journeys on an installation of 40 days and 200,000 jobs, which is filled first.
test-aged: setup-dev
	@$(PYTEST) tests/aged

# Schemathesis over the running service, following links. FUZZ_SECONDS=… makes it longer or
# shorter, FUZZ_SEED=… looks elsewhere.
test-fuzz: setup-dev
	@$(PYTEST) tests/fuzz

# Journeys through the studio in a real Chromium: what is to be seen, and what goes wrong. What a
# page showed when its journey failed lies in build/browser.
test-browser: setup-browser
	@$(PYTEST) tests/browser

# Each alert where it fires and where it is silent: by promtool, a part of Prometheus (Debian: prometheus).
test-alerts:
	@promtool check config deploy/prometheus/prometheus.yml
	@promtool test rules tests/deploy/alerts_fire.yml

# Models that need TensorFlow or torch, and training, in an environment of their own (3 GB) with builds for CPU.
# One thread a call, as in a worker: torch's threads spin while they wait for each other.
test-models: export OMP_NUM_THREADS := 1
test-models: export TF_NUM_INTRAOP_THREADS := 1
test-models: export TF_NUM_INTEROP_THREADS := 1
test-models: export TF_CPP_MIN_LOG_LEVEL := 3
test-models: setup-models
	@.venv-models/bin/python -m pytest $(LIMIT) -rs tests/models
	@.venv-models/bin/python -m pytest $(LIMIT) tests/contract/test_segmentation_models.py -k unet

# What README, tutorial and guides tell people to type, in a fresh copy of this folder; and the site.
test-docs: setup-dev
	@$(PYTEST) tests/docs

# The same and all other tests, with many more photos, longer outages and more steps.
nightly: setup-dev
	@CHAOS_PHOTOS=100 CHAOS_OUTAGE_SECONDS=30 FUZZ_SECONDS=900 FUZZ_CASES=5000 \
	FUZZ_SEED=$$(date +%j) timeout --foreground --kill-after=30 $(NIGHTLY_SECONDS) \
	.venv/bin/python -m pytest --hypothesis-profile=nightly -m "slow or not slow" tests tests/aged tests/contract tests/races tests/chaos tests/docs tests/fuzz

# Lines and branches that `make test`, `make test-slow`, `make test-contract`, `make test-races` and
# `make test-aged` reach, in their processes too.
coverage: setup-dev
	@mkdir -p build/coverage
	@.venv/bin/coverage erase
	@.venv/bin/coverage run -m pytest -m "slow or not slow" \
	$(PARALLEL) tests tests/aged tests/contract tests/races
	@.venv/bin/coverage combine --quiet
	@.venv/bin/coverage report --precision=1 --skip-covered --skip-empty

# Six minutes or so; figures of a machine that has other work are too bad.
bench: setup-dev
	@PYTHONPATH=tests timeout --foreground --kill-after=30 $(BENCH_SECONDS) .venv/bin/python -m benchmarks

# What recipes make of the test's portrait; look at every picture that changed.
golden: setup-dev
	@PYTHONPATH=tests .venv/bin/python -m smart_filter_tests.golden

# The pictures of docs/gallery, by the program itself.
gallery: setup-dev
	@.venv/bin/python docs/make_gallery.py

# What is shown of the generated backgrounds: for whoever has changed one, or how they are drawn.
thumbnails: setup-dev
	@.venv/bin/python -m smart_filter_workers.backgrounds.thumbnails

# The pictures of docs/images that show the studio, of the running product; SHOTS="sheet photo"
# makes some of them anew. Look at each.
screenshots: setup-browser
	@PYTHONPATH=docs:tests .venv/bin/python docs/make_screenshots.py $(SHOTS)

# The pictures and drawings of README, tutorial and explanations.
images: setup-dev
	@.venv/bin/python docs/make_capacity.py
	@.venv/bin/python docs/make_images.py
	@.venv/bin/python docs/make_diagrams.py
	@.venv/bin/python docs/make_curves.py

# The documentation as a site, into build/site; a dead link fails.
docs: setup-dev
	@PYTHONPATH=docs .venv/bin/python -m smart_filter_docs

docs-serve: docs
	@.venv/bin/python -m http.server --bind 127.0.0.1 --directory build/site 8766

# docs/openapi.json and docs/problems, from the code.
openapi: setup-dev
	@PYTHONPATH=docs:tests .venv/bin/python -m smart_filter_docs.api_documents

# The examples in it, from a tour of a real service; then as above.
examples: setup-dev
	@PYTHONPATH=docs:tests .venv/bin/python -m smart_filter_docs.tour

lint: setup-dev
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@.venv/bin/lint-imports

format: setup-dev
	@.venv/bin/ruff check --fix-only --quiet
	@.venv/bin/ruff format

setup:
	@deploy/bootstrap.sh run

setup-dev:
	@deploy/bootstrap.sh dev

setup-browser:
	@deploy/bootstrap.sh browser

setup-models:
	@timeout --foreground --kill-after=30 420 deploy/bootstrap.sh models

clean:
	@rm -rf .venv .venv-models build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
