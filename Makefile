# The two commands of a newcomer are `make run` and `make test`; `make help` lists the rest.
# V=1 shows the commands.

PYTHON ?= python3
VENV := .venv/bin
PYZ := dist/tetrapy.pyz
Q := $(if $(V),,@)
# Left empty where there is no sudo: tetrapy itself then says that it needs root.
SUDO := $(if $(filter 0,$(shell id -u)),,$(shell command -v sudo))
PYTEST := $(VENV)/python -m pytest
# One process more than cores, for one of them always waits for a guest or an agent. Which tests stay
# together, and in which order, is in tests/conftest.py.
PARALLEL = $(PYTEST) -n $(shell expr $$(nproc) + 1) --no-loadscope-reorder
C_FILES = $(wildcard agent/native/*.c deploy/*/*.c bpf/*.c bpf/*.h bench/*.c tools/guest/*.h tools/interpreter/*.[ch] tests/*/*.c tests/*/*.h tests/*/*/*.[ch])
BUILD_SIDE = $(wildcard build_zipapp.py tools btfs/*.py bench/*.py bench/reliability)
UV_VERSION := 0.13.9

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
# Tests are compiled once, not in each run and process.
unexport PYTHONDONTWRITEBYTECODE
# The targets of one run share the cache, the two cores and dist/.
.NOTPARALLEL:
.PHONY: help run test quick setup setup-build build executable executable-here check lint lint-python lint-types lint-rooms lint-c \
	floor format unit kernel pyz vm kernels-doc bench budget release refresh-btfs lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# Standard output is left to the events.
run: ## set up, build, and print every exec and exit of this machine until Ctrl-C
	$(Q)$(MAKE) --no-print-directory build >&2
	$(Q)exec $(SUDO) ./$(PYZ) --export-filename -

test: setup check executable-here ## set up, build and pass all tests but the full list of guest kernels
	$(Q)$(PARALLEL) -m "not matrix" tests

quick: lint-python lint-types lint-rooms ## linters and types of Python, unit tests but for the slow ones
	$(Q)$(PYTEST) -n $(shell nproc) --no-loadscope-reorder --hypothesis-profile=quick -m "not slow" tests/unit

setup: ## install what building and testing needs (packages as root; else says how)
	$(Q)$(PYTHON) -m tools.setup test

setup-build:
	$(Q)$(PYTHON) -m tools.setup build

build: setup-build ## dist/tetrapy.pyz
	$(Q)$(PYTHON) build_zipapp.py

executable: build ## dist/tetrapy-linux-amd64 and -arm64, which need no Python; some minutes, once
	$(Q)$(PYTHON) -m tools.interpreter

# That for this machine, which the tests run.
executable-here: build
	$(Q)$(PYTHON) -m tools.interpreter $(if $(filter aarch64,$(shell uname -m)),arm64,amd64)

check: lint floor ## all that is judged without running the agent

lint: lint-python lint-types lint-rooms lint-c

lint-python: setup-build build/python-3.8
	$(Q)$(VENV)/ruff check --quiet
	$(Q)$(VENV)/ruff format --check --quiet
	$(Q)$(PYTHON) -m tools.spdx

# Of each file on its own, so those that have not changed are not looked at again: it takes 11 s of
# processor time for all.
VERMIN = $(VENV)/vermin --quiet --no-tips --violations --target=3.8-
build/python-3.8: $(shell find agent -name '*.py') tools/lock/dev-requirements.txt | setup-build
	$(Q)$(VERMIN) $(if $(filter %.txt,$?),agent,$?)
	$(Q)mkdir -p build && touch $@

lint-types: setup-build
	$(Q)$(VENV)/mypy --no-error-summary
	$(Q)$(VENV)/mypy --no-error-summary --python-version 3.11 $(BUILD_SIDE)

lint-rooms: setup-build
	$(Q)mkdir -p build
	$(Q)PYTHONPATH=agent $(VENV)/lint-imports --no-cache > build/rooms.log || { cat build/rooms.log; false; }

lint-c: setup-build
	$(Q)$(VENV)/clang-format --dry-run -Werror $(C_FILES)

floor: build
	$(Q)$(PYTHON) -m tools.floor build/bundle/bpf/*.o

format: setup-build ## rewrite Python and C in the project's format
	$(Q)$(VENV)/ruff check --fix --quiet
	$(Q)$(VENV)/ruff format --quiet
	$(Q)$(VENV)/clang-format -i $(C_FILES)

unit: setup-build ## tests of the sources; no root
	$(Q)$(PARALLEL) tests/unit

kernel: build ## tests on this kernel; root
	$(Q)$(PYTEST) tests/kernel

pyz: executable-here ## tests of dist/tetrapy.pyz and the executable as a user runs them
	$(Q)$(PARALLEL) tests/pyz

vm: setup executable ## tests on every supported kernel in QEMU
	$(Q)$(PARALLEL) tests/vm

kernels-doc: vm ## docs/kernels.md, from a run on every supported kernel
	$(Q)$(VENV)/python -m tests.vm.report

bench: setup build ## what an event costs, in a guest and here (root), and what finding BTF costs
	$(Q)$(PYTHON) -m bench.guest
	$(Q)$(SUDO) $(PYTHON) -m bench.host
	$(Q)$(SUDO) $(PYTHON) -m bench.btf

budget: setup build ## fails when an event costs more instructions than it did (bench/budget.json)
	$(Q)$(PYTHON) -m bench.guest --check

release: setup executable ## executables, tarballs, .deb, .rpm, bills of materials, sums; TETRAPY_RELEASE_KEY=FILE signs
	$(Q)rm -f dist/*.tar.gz dist/*.deb dist/*.rpm dist/*.sha256sum
	$(Q)$(VENV)/python -m tools.release
	$(Q)$(VENV)/python -m tools.supply_chain dist

refresh-btfs: setup ## btfs/archive.xz and its index from the corpus of kernel BTFs
	$(Q)$(VENV)/python btfs/refresh.py

clean: ## remove what was built here; downloads stay in the cache
	$(Q)rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	$(Q)find agent bench btfs tools tests -name __pycache__ -type d -prune -exec rm -rf {} +

lock: setup-build ## resolve the development tools again, with the digests of today
	$(Q)rm -rf build/lock && $(PYTHON) -m venv build/lock
	$(Q)build/lock/bin/python -m pip install -qq uv==$(UV_VERSION)
	$(Q)build/lock/bin/uv pip compile --quiet --group dev --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --upgrade -o build/lock/requirements.txt
	$(Q){ printf '%s\n' '# The development tools with the digests of their wheels. Made by `make lock`; do not edit.'; \
		cat build/lock/requirements.txt; } > tools/lock/dev-requirements.txt
