"""The table of engines has what was run, and leaves no test of theirs out unnoticed."""

from __future__ import annotations

import re
from pathlib import Path

import engines_table
import pytest
from engines_table import Module, Outcome, Results, parse_report, render, rows, run, take, whole

_MODULES = Path(__file__).parents[1] / "engines"
# Modules that are named so are about a door; what is the same whatever the engine has none.
_OF_A_DOOR = re.compile(r"watch_|wrapper_|podman_|docker|runtimes_|hooks_(?!verify)|cdi|containerd")
_REPORT = """\
<testsuites><testsuite>
<testcase classname="tests.engines.test_cdi" name="test_b[crun]"><failure message="not&#10;so" />
</testcase>
<testcase classname="tests.engines.test_cdi" name="test_c"><skipped message="no" /></testcase>
<testcase classname="tests.engines.test_cdi" name="test_d" />
<testcase classname="tests.engines.test_cdi" name="test_d"><error message="left" /></testcase>
</testsuite></testsuites>
"""
VERSIONS = {"Docker": "26.1.5", "podman": "5.4.2", "runc": "1.1.15"}
_PASSED = Outcome("passed")


def results() -> Results:
    """Return what was run on one system, one module after a commit."""
    modules = {
        "watch_docker": Module("c0ffee", {"test_a": _PASSED}),
        "docker0": Module("c0ffee", {"test_a": _PASSED}),
        "reachability": Module("decade", {"test_a": _PASSED}),
        "cdi": Module("c0ffee", parse_report(_REPORT)["cdi"]),
        "contract": Module(
            "c0ffee", {"test_e[fake-docker-28.5]": _PASSED, "test_e[x-docker-y]": _PASSED}
        ),
        "runtimes_lives": Module("c0ffee", {"test_f[runc-crun-own]": _PASSED}),
    }
    return Results("Debian 13", "6.12", VERSIONS, modules)


def test_every_module_about_a_door_is_counted() -> None:
    """A new one has to be given its place, and one that is gone to lose it."""
    counted = {module for door in engines_table.DOORS for module in door.modules}
    found = {path.stem.removeprefix("test_") for path in _MODULES.glob("test_*.py")}
    assert {module for module in found if _OF_A_DOOR.match(module)} <= counted
    assert counted <= found | {"contract"}


def test_report_tells_the_worst_of_a_test() -> None:
    """One whose end failed has passed and failed."""
    modules = parse_report(_REPORT)
    assert list(modules) == ["cdi"]
    assert modules["cdi"] == {
        "test_b[crun]": Outcome("failed", "not so"),
        "test_c": Outcome("skipped", "no"),
        "test_d": Outcome("failed", "left"),
    }


@pytest.mark.parametrize(
    ("listed", "counts"),
    [
        ("tests/engines/test_cdi.py: 3\ntests/engines/test_docker0.py: 9\n", True),
        ("tests/engines/test_cdi.py: 4\n", False),
        ("ERROR tests/engines/test_cdi.py - ImportError: 3\n", False),
    ],
)
def test_module_counts_when_all_of_it_was_run(listed: str, counts: bool) -> None:
    """Three of four tests are an interrupted run's, or one's that left some out."""
    assert bool(whole(parse_report(_REPORT), listed)) is counts


def test_directory_of_modules_counts_as_one() -> None:
    """Its files are listed, and told of, one by one."""
    report = _REPORT.replace("engines.test_cdi", "engines.contract.test_ends")
    report = report.replace("engines.contract.test_ends", "engines.contract.test_events", 1)
    listed = "tests/engines/contract/test_ends.py: 2\ntests/engines/contract/test_events.py: 1\n"
    assert list(whole(parse_report(report), listed)) == ["contract"]


def test_report_of_a_whole_run_is_taken_for_the_modules_that_are_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is not whole keeps what it had before."""
    monkeypatch.setattr(engines_table, "_RESULTS", tmp_path / "results.json")
    listed = "tests/engines/test_cdi.py: 3\ntests/engines/test_docker0.py: 2\n"
    monkeypatch.setattr(engines_table, "_listed", lambda _path: listed)
    report = tmp_path / "report.xml"
    other = '<testcase classname="tests.engines.test_docker0" name="test_a" />'
    report.write_text(_REPORT.replace("</testsuite>", f"{other}</testsuite>"))
    assert take(report, "c0ffee") == 1
    kept = Results.read(tmp_path / "results.json").modules
    assert list(kept) == ["cdi"]
    assert kept["cdi"].commit == "c0ffee"
    report.write_text(_REPORT)
    assert take(report, "decade") == 0
    assert Results.read(tmp_path / "results.json").modules["cdi"].commit == "decade"


def test_run_of_what_no_door_has_is_refused() -> None:
    """It would be in no row, and nobody would know."""
    with pytest.raises(SystemExit, match=r"no door counts .*/contract/test_ends\.py"):
        run([str(_MODULES / "contract/test_ends.py")], "", "c0ffee")


def test_rows_have_real_engines_that_are_there() -> None:
    """No fake, and no line of an engine without a version."""
    found = {(row.engine, row.door.name): sorted(row.outcomes) for row in rows(results())}
    assert found == {
        ("Docker", "watcher"): [
            "docker0::test_a",
            "reachability::test_a",
            "watch_docker::test_a",
        ],
        ("Docker", "its API"): ["contract::test_e[x-docker-y]"],
        ("podman", "CDI device"): ["cdi::test_b[crun]", "cdi::test_c", "cdi::test_d"],
        ("runc", "hook in a bundle"): ["runtimes_lives::test_f[runc-crun-own]"],
    }


def test_page_has_counts_commits_and_reasons() -> None:
    """A test alone by its name, more of one reason by their number; modules of other commits."""
    page = render([results()])
    only = "only: `watch_docker`, `docker0`, `reachability`"
    commits = "c0ffee, decade (`reachability`)"
    assert f"| Docker | 26.1.5 | watcher | {only} | 3 | 0 | 0 | {commits} |" in page
    asked = "networks, modes, restarts, refusals"
    assert f"| podman | 5.4.2 | CDI device | {asked} | 0 | 2 | 1 | c0ffee |" in page
    assert "- podman 5.4.2, CDI device: no (`cdi::test_c`)" in page
    assert "- podman 5.4.2, CDI device: not so (`cdi::test_b[crun]`)" in page
    assert "| Debian 13 | 6.12 | runc 1.1.15 |" in page
    assert "Nothing." not in page


def test_results_are_kept_between_runs(tmp_path: Path) -> None:
    """What is read is what was written."""
    results().write(tmp_path / "some/results.json")
    assert Results.read(tmp_path / "some/results.json") == results()


@pytest.mark.parametrize(
    ("shown", "version"),
    [
        ("Docker version 26.1.5+dfsg1, build a72d7cd\n", "26.1.5+dfsg1"),
        ("podman version 5.4.2\n", "5.4.2"),
        ("containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6\n", "1.7.24~ds1"),
        ("containerd github.com/containerd/containerd/v2 2.1.9+ds1 2.1.9-5\n", "2.1.9+ds1"),
        ("crun version 1.21\ncommit: 10269840aa07fb7e6b7e1acff6198692d8ff5c88\n", "1.21"),
    ],
)  # fmt: skip
def test_version_is_the_engines_own_word(shown: str, version: str) -> None:
    """Not its path's, nor a commit's."""
    assert engines_table.version_in(shown) == version
