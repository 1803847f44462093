# Builds, checks and shows ocinet. `make` alone lists what there is.

PYTHON ?= /usr/bin/python3
# Two workers: the engine tests mostly wait for runtimes.
PYTEST_OPTIONS ?= -n 2
# All of them, unless it is said.
TESTS ?=

VENV := .venv
BIN := $(VENV)/bin
SITE = $(wildcard $(VENV)/lib/python3.*/site-packages)
PACKAGES := $(wildcard base ipam engine request hooks watcher cli)
SOURCES := $(sort $(shell find $(PACKAGES) -name '*.py' -o -name 'py.typed'))
CHECKED := $(PACKAGES) $(wildcard tests bench demo)

DEMO_NEEDS := python3-venv iproute2 nftables busybox-static runc crun podman docker.io curl
TEST_NEEDS := $(DEMO_NEEDS) iptables conntrack man-db shellcheck strace systemd
BENCH_NEEDS := $(DEMO_NEEDS) iptables containernetworking-plugins netavark

# Prints one list of pyproject.toml, so that it stands there only.
PICK = $(PYTHON) -c 'import sys, tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	print(*(project["dependencies"] if sys.argv[1] == "run" else project["optional-dependencies"][sys.argv[1]]), sep="\n")'

.PHONY: help venv dev test examples coverage lint imports types demo bench bench-quick dist deps demo-deps bench-deps \
	clean FORCE
.DELETE_ON_ERROR:

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 12

venv: $(VENV)/.installed  ## .venv/bin/ocinet, from a compiled wheel

# Without RECORD no pip can follow the links and delete the tree.
dev: $(VENV)/.installed $(VENV)/.tools  ## .venv/bin/ocinet, linked to this tree: edits count at once
	rm -rf $(SITE)/ocinet $(SITE)/ocinet-*.dist-info/RECORD $(VENV)/.installed
	mkdir $(SITE)/ocinet
	for package in $(PACKAGES); do ln -s ../../../../../$$package $(SITE)/ocinet/; done

test: deps venv $(VENV)/.tools examples  ## the whole suite, or TESTS=tests/unit; needs root
	$(BIN)/pytest $(PYTEST_OPTIONS) $(TESTS)

examples: $(VENV)/.tools build/tree  ## what docstrings show after >>> is what comes out
	PYTHONPATH=build/tree $(BIN)/pytest --quiet --doctest-modules \
		-o consider_namespace_packages=true build/tree/ocinet

# Engines run the product in processes of their own, where nothing is counted.
coverage: deps venv $(VENV)/.tools  ## all but the engines' tests, and the branches they take; needs root
	@mkdir -p build/coverage
	$(BIN)/pytest $(PYTEST_OPTIONS) --cov --cov-report= --ignore=tests/engines
	@echo "least covered:"; $(BIN)/coverage report --fail-under=0 --sort=cover | sed -n '3,14p'

lint: $(VENV)/.tools imports  ## style, format and the walls between the rooms
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)

imports: $(VENV)/.tools build/tree  ## the walls between the rooms
	PYTHONPATH=build/tree $(BIN)/lint-imports --no-logo --cache-dir build/importlinter

types: $(VENV)/.tools build/tree  ## mypy, strict
	$(BIN)/mypy build/tree/ocinet tests
	$(BIN)/mypy bench

demo: demo-deps venv  ## real containers get a network; needs root
	demo/demo.sh

bench: bench-deps venv $(VENV)/.plots  ## ocinet beside its peers, to build/bench; needs root, half an hour
	$(BIN)/python bench/run.py $(BENCH_OPTIONS)

bench-quick: bench-deps venv $(VENV)/.plots  ## the same with few rounds: a couple of minutes
	$(BIN)/python bench/run.py --quick $(BENCH_OPTIONS)

# No *.egg-info may stay: what it lists would get into the next one.
dist: $(VENV)/.needs  ## sdist and wheel of a release, to dist/
	rm -rf dist *.egg-info build/lib build/bdist.*
	$(BIN)/python -c 'from setuptools import build_meta as built; \
		built.build_sdist("dist"); built.build_wheel("dist")' > /dev/null
	rm -rf *.egg-info build/lib build/bdist.*
	@ls dist

deps:  ## install the Debian packages that tests need
	@.ci/deps $(TEST_NEEDS)

demo-deps:
	@.ci/deps $(DEMO_NEEDS)

bench-deps:
	@.ci/deps $(BENCH_NEEDS)

clean:  ## remove what was built
	rm -rf build dist $(VENV) .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.made:
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || .ci/deps python3-venv
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.needs: $(VENV)/.made pyproject.toml
	@echo "installing what ocinet needs into $(VENV)"
	@$(PICK) run | xargs -d '\n' $(BIN)/pip install --quiet wheel
	@touch $@

$(VENV)/.tools: $(VENV)/.needs pyproject.toml
	@echo "installing what its checks need into $(VENV)"
	@{ $(PICK) test; $(PICK) lint; } | xargs -d '\n' $(BIN)/pip install --quiet
	@touch $@

$(VENV)/.plots: $(VENV)/.needs pyproject.toml
	@echo "installing what draws its plots into $(VENV)"
	@$(PICK) bench | xargs -d '\n' $(BIN)/pip install --quiet
	@touch $@

# Not an editable link: the finder that such a link needs is not there under
# `python3 -I -S`, which is how a hook runs.
$(VENV)/.installed: $(VENV)/.needs build/sources $(SOURCES)
	rm -rf build/lib build/bdist.* build/wheel $(SITE)/ocinet $(SITE)/ocinet-*.dist-info
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel .
	$(BIN)/pip install --quiet --no-deps --compile build/wheel/ocinet-*.whl
	$(BIN)/python -m ocinet.hooks.preload
	rm -rf *.egg-info build/lib build/bdist.*
	@touch $@

# A removed file must be noticed too.
build/sources: FORCE
	@mkdir -p build
	@echo $(SOURCES) | cmp -s - $@ || echo $(SOURCES) > $@

# What mypy and the import rule read: the tree under its installed names.
build/tree: FORCE
	@rm -rf $@ && mkdir -p $@/ocinet
	@for package in $(PACKAGES); do ln -s ../../../$$package $@/ocinet/; done
