# Builds, checks and shows ocinet. `make` alone lists what there is.

PYTHON ?= /usr/bin/python3
# Two workers: the engine tests mostly wait for runtimes.
PYTEST_OPTIONS ?= -n 2
# All of them, unless it is said.
TESTS ?=

# How long the chaos goes on, in seconds; the suite has a short one of its own.
SOAK_S ?= 3600

PICTURES ?= docs/pictures

FUZZ_S ?= 60
FUZZ ?= state keys config settings answer stream image record network lease netlink runtime-call devices etcd

TABLE_ROOTS ?= bookworm trixie sid

VENV := .venv
BIN := $(VENV)/bin
SITE = $(wildcard $(VENV)/lib/python3.*/site-packages)
PACKAGES := $(wildcard base ipam engine request picture hooks watcher cluster cli)
SOURCES := $(sort $(shell find $(PACKAGES) -name '*.py' -o -name py.typed -o -name awake.txt -o -name '*.html' -o -name '*.css' -o -name '*.js' -o -name '*.svg'))
CHECKED := $(PACKAGES) $(wildcard tests bench demo packaging)

DEMO_NEEDS := python3-venv iproute2 nftables aardvark-dns busybox-static runc crun podman docker.io docker=docker-cli curl
TEST_NEEDS := $(DEMO_NEEDS) netavark iptables conntrack man-db procps shellcheck strace systemd dbus-daemon firewalld ipset ufw catatonit docker-compose podman-compose zsh fish bind9-dnsutils etcd-server etcd-client openssl
BENCH_NEEDS := $(DEMO_NEEDS) iptables containernetworking-plugins netavark etcd-server

# Prints one list of pyproject.toml, so that it stands there only.
PICK = $(PYTHON) -c 'import sys, tomllib; told = tomllib.load(open("pyproject.toml", "rb")); project = told["project"]; \
	lists = {"build": told["build-system"]["requires"], "run": project["dependencies"], "version": [project["version"]], **project["optional-dependencies"]}; \
	print(*lists[sys.argv[1]], sep="\n")'

# Times in what is built: of the commit; of a source release, those that its files have.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2> /dev/null || stat -c %Y PKG-INFO 2> /dev/null || date +%s)
export SOURCE_DATE_EPOCH

PREFIX ?= /usr/local
DESTDIR ?=
PACKAGES_OF ?= deb rpm
PACKAGE_ROOTS ?= bookworm trixie

.PHONY: help venv dev install uninstall packages packages-test python-test systemd-test generated awake test test-on prometheus-test soak fuzz examples coverage lint imports types site demo demo-cluster pictures bench bench-quick attacks kills vm-test dist deps demo-deps \
	bench-deps engines-table clean FORCE
.DELETE_ON_ERROR:

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 12

venv: $(VENV)/.installed  ## .venv/bin/ocinet, from a compiled wheel

# With DESTDIR, who makes a package of it has `activate` run where that is installed.
install: build/code/site/VERSION  ## below PREFIX=/usr/local, over what runs; DESTDIR=DIR for a package's tree
	packaging/layout/lay build/code "$(PREFIX)" "$(DESTDIR)" $(PYTHON)
	$(if $(DESTDIR),,$(PREFIX)/share/ocinet/activate --python $(PYTHON))

# Registrations stay, and what they name: `ocinet uninstall` before it takes them back.
uninstall:  ## take away what `make install` has put there; PREFIX and DESTDIR as then
	packaging/layout/take-away "$(PREFIX)" "$(DESTDIR)"

packages: build/code/site/VERSION  ## deb and rpm of this tree, to dist/; PACKAGES_OF=deb for one of them
	packaging/make-packages $$($(PICK) version) $(PACKAGES_OF)

# Nothing else of this tree is used in there. What came out last is in docs/install.md.
packages-test:  ## deb and rpm installed, upgraded, removed and purged on Debian 12 and 13, containers running; root
	.ci/deps rpm
	$(MAKE) --no-print-directory packages PACKAGES_OF="$(PACKAGES_OF)"
	for root in $(PACKAGE_ROOTS); do \
		.ci/in-root --online $$root .ci/deps runc nftables iproute2 busybox-static dnf rpm createrepo-c cpio || exit; \
		for kind in $(PACKAGES_OF); do \
			.ci/in-root $$root python3 tests/packages/lifecycle.py \
				"$$(ls -t dist/ocinet*.$$kind | head -n 1)" || exit; \
		done; \
	done

systemd-test:  ## a deb upgraded and removed under a systemd of its own, containers running; root
	$(MAKE) --no-print-directory packages PACKAGES_OF=deb
	.ci/in-root --online trixie .ci/deps runc nftables iproute2 busybox-static systemd podman
	rm -rf build/roots/booted && cp -a build/roots/trixie build/roots/booted
	cp -r tests/packages dist/ocinet_*_all.deb build/roots/booted/var
	tests/packages/under-systemd build/roots/booted sh -c 'python3 /var/packages/lifecycle.py /var/ocinet_*_all.deb --systemd'
	rm -rf build/roots/booted

# A copy of the root, for its Python becomes another one's. apt fetches first: there is no network then.
python-test:  ## Debian 12's Python becomes 13's below an installed deb, containers running; root
	$(MAKE) --no-print-directory packages PACKAGES_OF=deb
	.ci/in-root --online bookworm .ci/deps runc nftables iproute2 busybox-static
	rm -rf build/roots/upgrade && cp -a build/roots/bookworm build/roots/upgrade
	sed s/bookworm/trixie/ build/roots/bookworm/etc/apt/sources.list > build/roots/upgrade/etc/apt/sources.list.d/trixie.list
	.ci/in-root --online upgrade sh -c 'apt-get -q update && apt-get -qy install --download-only -t trixie python3' > /dev/null
	.ci/in-root upgrade python3 tests/packages/lifecycle.py dist/ocinet_*_all.deb --python
	rm -rf build/roots/upgrade build/roots/upgrade.lock

generated: $(VENV)/.tools build/tree  ## completions and the settings file anew, from parsers and settings
	PYTHONPATH=build/tree $(BIN)/python packaging/generate.py

awake: $(VENV)/.tools  ## hooks/awake.txt, after another try of usual acts; AWAKE=--anew forgets the former; root
	$(BIN)/python tests/awake.py $(AWAKE)

# Without RECORD no pip can follow the links and delete the tree. They lead as far up from where they are made.
dev: $(VENV)/.installed $(VENV)/.tools  ## .venv/bin/ocinet, linked to this tree: edits count at once
	rm -rf $(SITE)/ocinet-*.dist-info/RECORD $(VENV)/.installed $(VENV)/.new
	new=$(SITE:$(VENV)/%=$(VENV)/.new/%)/ocinet && mkdir -p $$new && \
		for package in $(PACKAGES); do ln -s ../../../../../$$package $$new/ || exit; done
	$(BIN)/python packaging/layout/put_in_place.py $(VENV)/.new $(VENV)

test: deps venv $(VENV)/.tools examples  ## the whole suite, or TESTS=tests/unit; needs root
	$(BIN)/pytest $(PYTEST_OPTIONS) $(TESTS)

# What needs the network is done first: the tests have none but what they make. As
# environment, because a recipe's quotes would meet those of PYTEST_OPTIONS.
test-on: export TESTS := $(TESTS)
test-on: export PYTEST_OPTIONS := $(PYTEST_OPTIONS)
test-on:  ## the same in a Debian of another release: ROOT=trixie, or sid, bookworm; needs root
	.ci/in-root --online "$(ROOT)" make --no-print-directory deps venv $(VENV)/.tools
	.ci/in-root "$(ROOT)" make --no-print-directory test

prometheus-test: deps venv $(VENV)/.tools  ## figures, dashboard and alerts, judged by a real Prometheus (90 MB); needs root
	.ci/deps prometheus
	$(BIN)/pytest tests/netns/test_prometheus.py

soak: deps venv $(VENV)/.tools  ## chaos for an hour, or SOAK_S seconds, SOAK_SEED=N as another run; needs root
	SOAK_S=$(SOAK_S) $(BIN)/pytest -s tests/engines/test_soak.py

# Each of tests/fuzz/targets.py for FUZZ_S seconds, or FUZZ="keys config"; what is found stays in build/fuzz.
fuzz: $(VENV)/.fuzz  ## what reads others' files and answers, fed by atheris: FUZZ_S=60 seconds each
	for target in $(FUZZ); do mkdir -p build/fuzz/$$target && PYTHONPATH=tests $(BIN)/python -m fuzz.run $$target \
		build/fuzz/$$target -max_total_time=$(FUZZ_S) -timeout=10 -artifact_prefix=build/fuzz/ || exit; done

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

# Of what stands in docs/ alone; --strict refuses links and anchors that lead nowhere, unless --quiet keeps it from counting them.
site: $(VENV)/.site  ## the pages of docs/ to build/site, to be read in a browser
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --config-file packaging/site/mkdocs.yml

demo: demo-deps venv  ## real containers get a network; needs root
	demo/demo.sh

demo-cluster: deps venv  ## three hosts on this machine, with an etcd, and a service that moves; needs root
	demo/demo.sh cluster

pictures: venv  ## those of docs/pictures anew, of a host of its own with 1, 5 and 200 containers; root
	$(BIN)/python demo/pictures.py $(PICTURES)
	PYTHONPATH=tests $(BIN)/python demo/page_pictures.py $(PICTURES)

bench: bench-deps venv $(VENV)/.plots  ## ocinet beside its peers, to build/bench; needs root, half an hour
	$(BIN)/python bench/run.py $(BENCH_OPTIONS)

kills: $(VENV)/.tools  ## ocinet killed at every system call of all that writes; root, an hour. KILLS="--errors all" for errnos
	$(BIN)/python bench/kills.py $(KILLS)

bench-quick: bench-deps venv $(VENV)/.plots  ## the same with few rounds: a couple of minutes
	$(BIN)/python bench/run.py --quick $(BENCH_OPTIONS)

# Of ATTACKS="docker cni --only ARP" some. In Debian sid, where Docker 28 is.
attacks:  ## who of ocinet and its peers lets an attacker in: the table of docs/security.md; root, a quarter of an hour
	.ci/in-root --online sid make --no-print-directory bench-deps venv
	.ci/in-root sid $(BIN)/python bench/attacks.py $(ATTACKS)

# All is emulated, so it takes long. Not in CI; what came out last is docs/vm-test.md.
vm-test: build/vm/disk.img  ## a Debian of its own in qemu, with systemd, firewalls, a reboot; needs root
	.ci/in-root --online trixie make --no-print-directory venv
	.ci/in-root --online trixie sh -c 'rm -rf build/vm-site; $(BIN)/pip install --quiet --compile \
		--target build/vm-site build/wheel/ocinet-*.whl'
	$(PYTHON) tests/vm/lab.py --report docs/vm-test.md $(VM_OPTIONS)

# The suite of the engines in each, so it takes about an hour; TABLE_OPTIONS="tests/engines/test_x.py"
# runs some of it anew, and leaves the rest as it was.
engines-table:  ## docs/engines.md: the engines' tests on Debian 12, 13 and sid, counted by door; needs root
	for root in $(TABLE_ROOTS); do \
		.ci/in-root --online $$root make --no-print-directory deps venv $(VENV)/.tools || exit; \
		.ci/in-root $$root $(BIN)/python tests/engines_table.py run \
			--commit "$$(git describe --always --dirty --exclude '*')" $(TABLE_OPTIONS) || true; \
	done
	$(PYTHON) tests/engines_table.py write --to docs/engines.md \
		$(TABLE_ROOTS:%=build/roots/%/var/ocinet/build/engines/results.json)

build/vm/disk.img: tests/vm/make-disk
	tests/vm/make-disk build/vm

# No *.egg-info may stay: what it lists would get into the next one. setuptools writes times and owners
# of who builds into an sdist, which is packed anew without: built of what is in it, it is the same.
dist: $(VENV)/.needs  ## sdist and wheel of a release, to dist/
	rm -rf dist *.egg-info build/lib build/bdist.* build/sdist
	mkdir -p build
	$(BIN)/python -W ignore -c 'from setuptools import build_meta as built; \
		built.build_sdist("build/sdist"); built.build_wheel("dist")' > build/dist.log
	rm -rf *.egg-info build/lib build/bdist.*
	cd build/sdist && tar -xzf *.tar.gz && rm -r *.tar.gz */*.egg-info */setup.cfg && for tree in *; do \
		tar -c --sort=name --mtime=@$(SOURCE_DATE_EPOCH) --owner=0 --group=0 --numeric-owner --mode=u+w,go-w,a+rX $$tree | \
			gzip -9n > ../../dist/$$tree.tar.gz || exit; done
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
	@{ $(PICK) build; $(PICK) run; } | xargs -d '\n' $(BIN)/pip install --quiet
	@touch $@

$(VENV)/.tools: $(VENV)/.needs pyproject.toml
	@echo "installing what its checks need into $(VENV)"
	@{ $(PICK) test; $(PICK) lint; } | xargs -d '\n' $(BIN)/pip install --quiet
	@touch $@

$(VENV)/.fuzz: $(VENV)/.tools pyproject.toml
	@$(PICK) fuzz | xargs -d '\n' $(BIN)/pip install --quiet
	@touch $@

$(VENV)/.site: $(VENV)/.needs pyproject.toml
	@echo "installing what makes its site into $(VENV)"
	@$(PICK) site | xargs -d '\n' $(BIN)/pip install --quiet
	@touch $@

$(VENV)/.plots: $(VENV)/.needs pyproject.toml
	@echo "installing what draws its plots into $(VENV)"
	@$(PICK) bench | xargs -d '\n' $(BIN)/pip install --quiet
	@touch $@

# Not an editable link: the finder that such a link needs is not there under
# `python3 -I -S`, which is how a hook runs.
$(VENV)/.installed: $(VENV)/.needs build/sources $(SOURCES)
	rm -rf build/lib build/bdist.* build/wheel
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel .
	rm -rf $(VENV)/.new
	$(BIN)/pip install --quiet --no-deps --ignore-installed --no-warn-script-location --compile \
		--prefix $(VENV)/.new build/wheel/ocinet-*.whl
	rm -rf $(SITE)/ocinet-*.dist-info # a former version's name is another
	$(BIN)/python packaging/layout/put_in_place.py $(VENV)/.new $(VENV)
	$(BIN)/python -m ocinet.hooks.preload
	rm -rf *.egg-info build/lib build/bdist.*
	@touch $@

# A version with all that it imports, of no machine's and no Python's own kind; beside it
# what the wheel puts elsewhere. Its name is its content's, so nothing stays that one setuptools
# or pip says in other words than the next.
build/code/site/VERSION: export version = $(shell $(PICK) version)
build/code/site/VERSION: $(VENV)/.needs build/sources $(SOURCES) pyproject.toml $(shell find packaging -type f)
	rm -rf build/code build/lib build/bdist.*
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/code .
	rm -rf *.egg-info build/lib build/bdist.*
	$(PICK) run | xargs -d '\n' $(BIN)/pip install --quiet --no-compile --target build/code/site \
		--platform any --implementation py --abi none --python-version 3.11 --only-binary=:all: \
		build/code/ocinet-*.whl
	$(PYTHON) -m zipfile -e build/code/ocinet-*.whl build/code/wheel
	mv build/code/wheel/ocinet-*.data/data build/code/data
	rm -rf build/code/site/bin build/code/site/share build/code/wheel build/code/*.whl
	cd build/code/site && rm -rf ocinet-*.dist-info *.dist-info/RECORD *.dist-info/direct_url.json && \
		mkdir ocinet-$$version.dist-info && printf 'Metadata-Version: 2.1\nName: ocinet\nVersion: %s\n' $$version \
			> ocinet-$$version.dist-info/METADATA
	find build/code/data -name ocinet-wait -exec chmod +x {} +
	hash=$$(cd build/code/site && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-12); \
		echo "$$version-$$hash" > $@

# A removed file must be noticed too.
build/sources: FORCE
	@mkdir -p build
	@echo $(SOURCES) | cmp -s - $@ || echo $(SOURCES) > $@

# What mypy and the import rule read: the tree under its installed names.
build/tree: FORCE
	@rm -rf $@ && mkdir -p $@/ocinet
	@for package in $(PACKAGES); do ln -s ../../../$$package $@/ocinet/; done
