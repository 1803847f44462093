"""The table of engines: has the tests of each door run here, and writes what came out.

    tests/engines_table.py run [FILE...]        into build/engines/results.json
    tests/engines_table.py take REPORT          the same, of a run that was made otherwise
    tests/engines_table.py write RESULTS... --to docs/engines.md

`make engines-table` does the first in roots of several releases, the last once with what
they left. Whoever runs all tests anyhow takes pytest's report of that, by
PYTEST_OPTIONS="-n 2 --junit-xml=build/report.xml". A row is an engine, its version as the
engine itself says it, and a door; it has only what was run. A module of tests is kept when all
of it has come to something, with the commit that it was of: an interrupted run, or one of
pytest's options that leaves tests out, changes nothing. Run again it takes the place of what it
came to before, and what was counted with another version of an engine is dropped.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from collections.abc import Iterable

_ROOT = Path(__file__).parents[1]
_ENGINES = _ROOT / "tests/engines"
_RESULTS = _ROOT / "build/engines/results.json"
_ASKED = {
    "Docker": ("dockerd", "--version"),
    "podman": ("podman", "--version"),
    "containerd": ("containerd", "--version"),
    "runc": ("runc", "--version"),
    "crun": ("crun", "--version"),
}
_COLLECTED = re.compile(
    r"^tests/engines/(\S+\.py): (\d+)$", re.MULTILINE
)  # pytest -qq --collect-only
_VERSION = re.compile(r"\bv?(\d+\.\d+[^\s,]*)")
_RUNTIMES = ("runc", "crun")
_LONGEST_WHY = 200
_PAGE = """\
# Engines, versions and doors

What was run with which engine; `make engines-table` makes this page. Versions are as the
engines say them, counts are of the tests in `tests/engines` that ask the real engine by
that door; where not all of its files were run to their end, those that were are named, and
where they were not all of one commit, which was of another. What is not here was not run.
Of Docker 29 no Debian has a package yet:
[watcher.md](watcher.md#docker-29) goes by its documentation.

| engine | version | door | what was asked | passed | failed | skipped | commit |
|---|---|---|---|--:|--:|--:|---|
{counts}

| system | kernel | runtimes there |
|---|---|---|
{places}

## What failed

{failed}

## What was skipped, and why

{skipped}
"""


@dataclass(frozen=True)
class Door:
    """A way by which containers of an engine get their network.

    Attributes:
        engine: as in the table; "" where each test's own runtime is the engine.
        name: of the door.
        what: is asked of it, in a few words.
        modules: of the tests that ask, without `test_`.
        only: a part of the names of those that count, where a module has others too.
    """

    engine: str
    name: str
    what: str
    modules: tuple[str, ...]
    only: str = ""


def _door(engine: str, name: str, what: str, modules: str, only: str = "") -> Door:
    return Door(engine, name, what, tuple(modules.split()), only)


DOORS = (
    _door("Docker", "watcher", "lives, ports, sharing, restarts of either, docker0, image store",
          "watch_docker watch_docker_lives watch_docker_sharing watch_engine watch_service "
          "watch_pid_namespace docker0 docker_image_store reachability"),
    _door("Docker, bundles", "wrapper", "labels, ports, modes, failures, `daemon.json`",
          "wrapper_docker wrapper_modes wrapper_failures"),
    _door("Docker", "its API", "what it tells, shows and refuses", "contract", "docker"),
    _door("podman", "hook", "annotations, modes, restarts, pods, images, failures, registration",
          "hooks_podman podman_always podman_failures podman_hardened podman_images podman_lives "
          "podman_modes podman_registration"),
    _door("podman", "CDI device", "networks, modes, restarts, refusals", "cdi"),
    _door("podman", "watcher", "lives, ports, sharing", "watch_podman"),
    _door("podman, bundles", "wrapper", "who is wired, and who is left alone", "wrapper_others"),
    _door("podman", "its API", "what it tells, shows and refuses", "contract", "podman"),
    _door("containerd", "those of ctr", "wrapper, hooks in a config, CDI device", "containerd"),
    _door("", "hook in a bundle", "lives, modes, addresses, refusals, kills, crowds, sharing",
          "hooks_bundle runtimes_addressing runtimes_commands runtimes_crowd runtimes_killed "
          "runtimes_lives runtimes_modes runtimes_refused runtimes_registration runtimes_sharing"),
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What one test came to: passed, failed or skipped, and why."""

    outcome: str
    why: str = ""


@dataclass(frozen=True)
class Module:
    """What a module of tests came to, all of it.

    Attributes:
        commit: that it is of.
        outcomes: by test, as `test_x[runc]`.
    """

    commit: str
    outcomes: dict[str, Outcome]


@dataclass
class Results:
    """What was run on one system.

    Attributes:
        debian: its release, as `Debian 13`.
        kernel: of it.
        versions: of engines, as they say themselves.
        modules: that were run to their end, by name, as `watch_docker`.
    """

    debian: str
    kernel: str
    versions: dict[str, str]
    modules: dict[str, Module] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read what `write` wrote.

        Raises:
            OSError: it is not there.
        """
        document = json.loads(path.read_text())
        document["modules"] = {
            name: Module(
                module["commit"],
                {test: Outcome(**outcome) for test, outcome in module["outcomes"].items()},
            )
            for name, module in document["modules"].items()
        }
        return cls(**document)

    def write(self, path: Path) -> None:
        """Put it where it is looked for the next time."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1))


@dataclass
class Row:
    """A line of the table: outcomes of one engine and door.

    Attributes:
        outcomes: by module and test, as `watch_docker::test_x[runc]`.
        commits: by module.
    """

    engine: str
    version: str
    door: Door
    debian: str
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)

    @property
    def asked(self) -> str:
        """What was asked, or where not all of it was, by which modules."""
        if len(self.commits) == len(self.door.modules):
            return self.door.what
        return f"only: {_spelled(self.commits)}"

    @property
    def commit(self) -> str:
        """Of which commit most modules were, and which ones were of others."""
        (most, _), *others = Counter(self.commits.values()).most_common()
        of_others = (
            f"{commit} ({_spelled(name for name, its in self.commits.items() if its == commit)})"
            for commit, _ in others
        )
        return ", ".join((most, *of_others))

    def count(self, outcome: str) -> int:
        """Return how many tests came to that."""
        return sum(each.outcome == outcome for each in self.outcomes.values())


def engine_versions() -> dict[str, str]:
    """Return the version of each engine that is here, as it says itself."""
    found = {}
    for engine, words in _ASKED.items():
        try:
            shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            continue
        version = version_in(shown)
        if version:
            found[engine] = version
    return found


def version_in(shown: str) -> str:
    """Return the version that an engine prints, or ""."""
    version = _VERSION.search(shown)
    return version[1] if version else ""


def here() -> Results:
    """Return the system that this runs on, with nothing run."""
    name = platform.freedesktop_os_release()["PRETTY_NAME"].replace("GNU/Linux ", "")
    return Results(name, platform.release(), engine_versions())


def module_of(place: str) -> str:
    """Return what `DOORS` calls a module, "" for one that is none of the engines'.

    >>> module_of("tests/engines/test_pods.py"), module_of("tests.engines.contract.test_docker")
    ('pods', 'contract')
    """
    _tests, found, name = place.replace("/", ".").removesuffix(".py").partition("engines.")
    return name.partition(".")[0].removeprefix("test_") if found else ""


def parse_report(text: str) -> dict[str, dict[str, Outcome]]:
    """Read pytest's JUnit report: of each module of the engines' its tests and their outcomes."""
    modules: dict[str, dict[str, Outcome]] = {}
    for case in ElementTree.fromstring(text).iter("testcase"):  # noqa: S314  # pytest's own
        outcomes = modules.setdefault(module_of(case.get("classname", "")), {})
        name = case.get("name", "")
        outcome = Outcome("passed")
        for kind, said in (("skipped", "skipped"), ("failure", "failed"), ("error", "failed")):
            told = case.find(kind)
            if told is not None:
                why = " ".join((told.get("message") or told.text or "").split())
                outcome = Outcome(said, why[:_LONGEST_WHY])
        # A test that failed and whose end did, too, is there twice.
        if name not in outcomes or outcomes[name].outcome != "failed":
            outcomes[name] = outcome
    modules.pop("", None)
    return modules


def whole(modules: dict[str, dict[str, Outcome]], listed: str) -> dict[str, dict[str, Outcome]]:
    """Return those of which that is all that pytest lists, as `FILE: COUNT`."""
    counts: Counter[str] = Counter()
    for place, count in _COLLECTED.findall(listed):
        counts[module_of(f"engines/{place}")] += int(count)
    return {name: tests for name, tests in modules.items() if len(tests) == counts[name]}


def _listed(path: Path) -> str:
    words = (sys.executable, "-m", "pytest", "--collect-only", "-qq", str(path))
    return subprocess.run(words, cwd=_ROOT, check=False, capture_output=True, text=True).stdout


def run_module(path: Path, options: str) -> tuple[dict[str, dict[str, Outcome]], int]:
    """Run a module of tests.

    Args:
        path: of its file, or of a directory that counts as one.
        options: of pytest.

    Returns:
        What each test came to, none where not all of them came to something; and pytest's status.
    """
    listed = _listed(path)
    with tempfile.TemporaryDirectory() as place:
        report = Path(place, "report.xml")
        words = (sys.executable, "-m", "pytest", f"--junit-xml={report}", *options.split())
        status = subprocess.run((*words, str(path)), cwd=_ROOT, check=False).returncode
        # A pytest that was killed has written none.
        outcomes = parse_report(report.read_text()) if report.exists() else {}
    return whole(outcomes, listed), status


def take(report: Path, commit: str) -> int:
    """Keep what the modules came to in a run that was made otherwise; 1 if one is not whole."""
    found = parse_report(report.read_text())
    kept = whole(found, _listed(_ENGINES))
    for name in sorted(set(found) - set(kept)):
        sys.stderr.write(f"{name}: not all of it was run, so it does not count\n")
    results = _former()
    counted = {name for door in DOORS for name in door.modules}
    results.modules |= {
        name: Module(commit, tests) for name, tests in kept.items() if name in counted
    }
    results.write(_RESULTS)
    return int(kept != found)


def _former() -> Results:
    """Return what was kept before of this system, less what was of other versions."""
    results = here()
    if _RESULTS.exists():
        before = Results.read(_RESULTS)
        if before.versions == results.versions:
            results.modules = before.modules
    return results


def run(files: list[str], options: str, commit: str) -> int:
    """Run the tests of doors, all of them or those of some files, and keep what they come to.

    Args:
        files: of tests; none means all.
        options: of pytest.
        commit: that they are of; there may be no git here.

    Returns:
        pytest's status, the worst of the modules'.
    """
    every = {
        _ENGINES / (name if name == "contract" else f"test_{name}.py"): name
        for door in DOORS
        for name in door.modules
    }
    paths = [Path(file).resolve() for file in files] or list(every)
    strange = [str(path) for path in paths if path not in every]
    if strange:
        sys.exit(f"no door counts {', '.join(strange)}")
    results = _former()
    worst = 0
    for path in paths:
        modules, status = run_module(path, options)
        worst = max(worst, status)
        if not modules:
            sys.stderr.write(f"{path}: not all of it was run, so it does not count\n")
            continue
        results.modules[every[path]] = Module(commit, modules[every[path]])
        results.write(_RESULTS)
    return worst


def rows(results: Results) -> list[Row]:
    """Return the lines of one system, in the order of `DOORS`."""
    made: dict[tuple[str, str], Row] = {}
    for door in DOORS:
        there = [module for module in door.modules if module in results.modules]
        tests = ((name, test) for name in there for test in results.modules[name].outcomes)
        for name, test in tests:
            parameters = re.split(r"[\[\],-]", test)[1:]
            # A fake has the name of what it stands for.
            if "fake" in parameters:
                continue
            if door.only and door.only not in parameters:
                continue
            runtimes = [parameter for parameter in parameters if parameter in _RUNTIMES]
            engine = door.engine or (runtimes or ["runc"])[0]
            version = results.versions.get(engine.partition(",")[0], "")
            if not version:
                continue
            row = made.setdefault((engine, door.name), Row(engine, version, door, results.debian))
            row.outcomes[f"{name}::{test}"] = results.modules[name].outcomes[test]
            row.commits[name] = results.modules[name].commit
    return list(made.values())


def render(systems: list[Results]) -> str:
    """Return the page of what was run on these systems."""
    found = [row for system in systems for row in rows(system)]
    order = [*dict.fromkeys(door.engine for door in DOORS if door.engine), *_RUNTIMES]
    found.sort(key=lambda row: order.index(row.engine))
    counts = [
        f"| {row.engine} | {row.version} | {row.door.name} | {row.asked} "
        f"| {row.count('passed')} | {row.count('failed')} | {row.count('skipped')} "
        f"| {row.commit} |"
        for row in found
    ]
    places = [f"| {system.debian} | {system.kernel} | {_runtimes(system)} |" for system in systems]
    failed, skipped = (_told(found, outcome) for outcome in ("failed", "skipped"))
    return _PAGE.format(
        counts="\n".join(counts),
        places="\n".join(places),
        failed="\n".join(failed) or "Nothing.",
        skipped="\n".join(skipped) or "Nothing.",
    )


def _spelled(modules: Iterable[str]) -> str:
    return ", ".join(f"`{module}`" for module in modules)


def _runtimes(system: Results) -> str:
    there = (name for name in _RUNTIMES if name in system.versions)
    return ", ".join(f"{name} {system.versions[name]}" for name in there)


def _told(found: list[Row], outcome: str) -> list[str]:
    """Return a line for each reason, with how many tests it was of, or which one."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in found:
        where = f"{row.engine} {row.version}, {row.door.name}"
        for name, each in row.outcomes.items():
            if each.outcome == outcome:
                why = each.why.rpartition(": Skipped: ")[2] or "no reason told"
                reasons.setdefault((where, why), []).append(name)
    lines = []
    for (where, why), names in reasons.items():
        which = f"`{names[0]}`" if len(names) == 1 else f"{len(names)} tests"
        lines.append(f"- {where}: {why} ({which})")
    return lines


def main() -> int:
    """Run, take or write, as it is asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    running = verbs.add_parser("run", help="run the tests of the doors here")
    running.add_argument("files", nargs="*", help="of tests; all by default")
    running.add_argument("--commit", default="", help="that they are of")
    running.add_argument("--pytest", default="-q -n 2", help="options of pytest")
    taking = verbs.add_parser("take", help="keep what a report has of the doors' tests")
    taking.add_argument("report", type=Path, help="pytest's, by --junit-xml")
    taking.add_argument("--commit", default="", help="that the tests were of")
    writing = verbs.add_parser("write", help="write the table of results")
    writing.add_argument("results", nargs="+", type=Path)
    writing.add_argument("--to", type=Path, required=True)
    told = parser.parse_args()
    if told.verb == "run":
        return run(told.files, told.pytest, told.commit)
    if told.verb == "take":
        return take(told.report, told.commit)
    told.to.write_text(render([Results.read(path) for path in told.results]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
