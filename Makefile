# Two commands are enough: `make demo` and `make test`. Both work from a bare clone; what they need
# is fetched into build/, and what only an administrator can install is named in one line.

PYTHON ?= python3
# Found before PATH names the environment's own.
BASE_PYTHON := $(or $(shell command -v $(PYTHON) 2>/dev/null),$(PYTHON))
ifeq ($(origin CXX),default)
CXX := g++
endif
JOBS ?= $(shell nproc)

BUILD := build
VENV := $(BUILD)/venv
PY := $(VENV)/bin/python
PYTEST := $(PY) -m pytest
export CXX
# Tools of the environment (cmake, ninja, linters) come before the machine's.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export CMAKE_GENERATOR := Ninja
export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)
export PYTHONDONTWRITEBYTECODE := 1

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-cpp test-python test-install test-asan test-asan-python \
        test-tsan stress fuzz soak model mutants bench lint lint-python lint-cpp format package deps models \
        clean

help: ## Say what there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	  awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

# --- what everything stands on -------------------------------------------------------------------

# Kept and brought up to date, unless an interruption left it without pip, or another Python than its
# own is asked for.
ENVIRONMENT := $(VENV)/.complete
KEEP_ENVIRONMENT := $(PY) -m pip --version >/dev/null 2>&1
ifneq ($(origin PYTHON),file)
ifneq ($(shell $(BASE_PYTHON) -V 2>&1),$(shell $(PY) -V 2>&1))
KEEP_ENVIRONMENT := false
.PHONY: $(ENVIRONMENT)
endif
endif
$(ENVIRONMENT): pyproject.toml third_party/constraints.txt
	@sh third_party/check_machine.sh $(BASE_PYTHON) $(CXX)
	@echo "making the environment $(VENV)"
	@$(KEEP_ENVIRONMENT) || $(BASE_PYTHON) -m venv --clear $(VENV)
	@$(PY) -m pip install -qq --constraint third_party/constraints.txt --upgrade pip
	@$(PY) -m pip install -qq --constraint third_party/constraints.txt \
	  --group build --group test --group lint --group demo --group bench
	@touch $@

deps: $(ENVIRONMENT)
	@$(PY) third_party/fetch_debian.py

SMALL_MODELS := $(BUILD)/models/small/.complete
$(SMALL_MODELS): $(ENVIRONMENT) $(wildcard tests/models/*.py)
	@$(PY) tests/models/build.py $(BUILD)/models/small >/dev/null
	@touch $@

models: $(SMALL_MODELS)
	@$(PY) third_party/fetch_models.py

package: $(ENVIRONMENT) ## Install the Python package into build/venv
	@echo "installing the package into $(VENV)"
	@$(PY) -m pip install -qq --constraint third_party/constraints.txt \
	  --no-build-isolation --no-deps .

# --- the main job --------------------------------------------------------------------------------

demo: package models ## Read pages and embed sentences with concurrent callers; about two minutes
	@$(PY) examples/demo

# --- tests ---------------------------------------------------------------------------------------

test: lint test-cpp test-python test-asan test-asan-python test-tsan ## Everything, once

test-fast: deps models package ## What says most, in under a minute once built
	@cmake --preset dev >/dev/null
	@cmake --build --preset dev
	@ctest --preset dev -j $(JOBS) -L fast
	@$(PYTEST) -m "not slow" tests/lint tests/models tests/python

test-cpp: deps models
	@cmake --preset dev >/dev/null
	@cmake --build --preset dev
	@ctest --preset dev -j $(JOBS)

test-python: models package
	@$(PYTEST) tests/models tests/python tests/install

test-asan test-tsan: test-%: deps models
	@cmake --preset $* >/dev/null
	@cmake --build --preset $*
	@ctest --preset $* -j $(JOBS) -LE slow

# The extension and its library as the asan preset builds them, in a package of their own that comes
# before the installed one. Python is not instrumented, so the sanitizer's runtime is loaded before it.
ASAN_SITE := $(BUILD)/asan/site
test-asan-python: deps models
	@cmake --preset asan >/dev/null
	@cmake --build --preset asan --target dynbatch dynbatch_acl _core _acl
	@rm -rf $(ASAN_SITE) && mkdir -p $(ASAN_SITE) && cp -r python/dynbatch $(ASAN_SITE)
	@for component in runtime python; do \
	  cmake --install $(BUILD)/asan --prefix $(ASAN_SITE)/dynbatch --component $$component >/dev/null || exit 1; \
	done
	@CXX=$(CXX) PY=$(PY) sh tests/python/with_asan.sh $(ASAN_SITE) -m pytest -p leak_check \
	  -m "not slow and not no_asan" tests/python

stress: deps models ## Stress tests thrice, with and without ThreadSanitizer
	@for preset in release tsan; do \
	  cmake --preset $$preset >/dev/null && cmake --build --preset $$preset && \
	  ctest --preset $$preset -L 'stress|model' --repeat until-fail:3 || exit 1; \
	done

# 100 million requests in C++, as many whose rows differ in shape, 2 million from Python, then all that
# has a bound in seconds or bytes.
SOAK_NATIVE := 46
SOAK_STAGED := 820
SOAK_PYTHON := 56
soak: deps models package ## Long stress, and figures with bounds; about half an hour
	@cmake --preset release >/dev/null
	@cmake --build --preset release --target stress_runtime_test stress_staged_test
	@DYNBATCH_STRESS_SCALE=$(SOAK_NATIVE) $(BUILD)/release/tests/stress_runtime_test
	@DYNBATCH_STRESS_SCALE=$(SOAK_STAGED) $(BUILD)/release/tests/stress_staged_test
	@DYNBATCH_STRESS_SCALE=$(SOAK_PYTHON) $(PYTEST) --timeout 1200 tests/python/test_stress.py
	@$(PY) -m bench.soak

PART := *
model: deps models ## Model tests up to three preemptions; PART=delay for one of them; hours for all
	@cmake --preset dev >/dev/null
	@cmake --build --preset dev
	@for test in $(BUILD)/dev/tests/model_$(PART)_test; do DYNBATCH_MODEL_BOUND=3 $$test || exit 1; done

mutants: deps models ## Table of the faults that are put in, and how each is found
	@for preset in dev tsan; do \
	  cmake --preset $$preset >/dev/null && cmake --build --preset $$preset && \
	  $(PY) tests/model/mutants.py --tests $(BUILD)/$$preset/tests || exit 1; \
	done

FUZZ_CXX ?= $(firstword $(foreach suffix,-21 -20 -19 -18 -17 -16,$(shell command -v clang++$(suffix))) clang++)
FUZZ_SECONDS := 30
FUZZ_TARGETS = $(patsubst tests/fuzz/%_target.cpp,%,$(wildcard tests/fuzz/*_target.cpp))
fuzz: deps models ## Look for inputs that break it, with clang; FUZZ_SECONDS=30 for each target
	@sh third_party/check_fuzzer.sh "$(FUZZ_CXX)"
	@CXX=$(FUZZ_CXX) cmake --preset fuzz >/dev/null
	@cmake --build --preset fuzz
	@for target in $(FUZZ_TARGETS); do \
	  sh tests/fuzz/run_fuzzer.sh $(BUILD)/fuzz $$target $(FUZZ_SECONDS) || exit 1; \
	done

bench: deps models package ## All figures of bench/README.md; BENCH=--quick shows only that it works
	@cmake --preset release >/dev/null
	@cmake --build --preset release --target micro_benchmarks
	@$(PY) -m bench $(BENCH)

# --- lint ----------------------------------------------------------------------------------------

CXX_FILES = $(shell find cpp python tests bench examples -name '*.[ch]pp' -o -name '*.[ch]')

lint: lint-python lint-cpp ## Formatters, type checker, clang-tidy and the repository's own rules

lint-python: $(ENVIRONMENT)
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m mypy tests/install/*.py
	@$(PYTEST) tests/lint

lint-cpp: $(ENVIRONMENT)
	@clang-format --dry-run -Werror $(CXX_FILES)
	@cmake --preset lint >/dev/null
	@$(PY) tests/lint/run_clang_tidy.py --build $(BUILD)/lint --jobs $(JOBS)

format: $(ENVIRONMENT) ## Format all C++ and Python
	@clang-format -i $(CXX_FILES)
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

clean: ## Delete build/, with all that was fetched
	rm -rf $(BUILD)
