"""The command's frame: help, errors, exit codes, and what it imports."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from builders import WEB_ID, record
from fakes.shell import Shell
from ocinet.base import errors
from ocinet.cli.command_tree import ALIASES, ENTRIES, EXIT_CODES, GROUPS, Entry, resolve
from ocinet.cli.parser import Parser
from ocinet.cli.printing import Table, age

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("pyroute2", "structlog", "docker", "argparse", "subprocess", "asyncio", "json",
         "ocinet.engine", "ocinet.ipam", "ocinet.hooks", "ocinet.cli.network")  # fmt: skip


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a shell on an installation of its own."""
    return Shell(tmp_path)


def test_help_shows_every_command(shell: Shell) -> None:
    """Groups and commands are listed, with the exit codes."""
    outcome = shell.run("--help")
    assert outcome.code == 0
    assert not outcome.err
    first = {line.split()[0] for line in outcome.lines if line.startswith("  ")}
    assert {entry.words.partition(" ")[0] for entry in ENTRIES} <= first
    for code, meaning in EXIT_CODES:
        assert f"  {code:<13}{meaning}" in outcome.lines


@pytest.mark.parametrize("group", GROUPS)
def test_help_of_a_group_shows_its_commands(shell: Shell, group: str) -> None:
    """`ocinet network --help` lists what may follow."""
    outcome = shell.run(group, "--help")
    assert outcome.code == 0
    for entry in ENTRIES:
        if entry.words.startswith(f"{group} "):
            assert entry.summary in outcome.out


@pytest.mark.parametrize("words", [entry.words for entry in ENTRIES])
def test_help_of_a_command_needs_no_root_and_no_engine(shell: Shell, words: str) -> None:
    """Every command explains itself, each flag in a sentence."""
    outcome = shell.run(*words.split(), "--help", is_root=False)
    assert outcome.code == 0
    assert outcome.out.startswith(f"usage: ocinet {words}")
    assert shell.opened == 0
    assert shell.run("help", *words.split()).out == outcome.out


def test_help_has_no_colours(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the same text on every Python, on a terminal as in a file."""
    plain = shell.run("network", "create", "--help").out
    monkeypatch.setenv("FORCE_COLOR", "1")  # Python 3.14 takes any terminal for coloured
    assert shell.run("network", "create", "--help").out == plain
    assert "\033" not in plain


@pytest.mark.parametrize("words", [entry.words for entry in ENTRIES])
def test_every_flag_has_help(words: str) -> None:
    """Nothing is left unexplained, and a value says what it is."""
    from importlib import import_module

    entry = next(command for command in ENTRIES if command.words == words)
    parser = Parser(words, entry.summary)
    import_module(f"ocinet.cli.{entry.module}").COMMANDS[words].configure(parser)
    for action in parser._actions:
        assert action.help, action.option_strings
        assert not action.help.endswith("."), action.help


def test_help_imports_next_to_nothing() -> None:
    """`ocinet --help` does not wait for argparse, let alone for the engine."""
    code = (
        "import sys; from ocinet.cli.main import main; main(['--help']); "
        f"heavy = {HEAVY!r}; "
        "found = [name for name in sys.modules if name.startswith(heavy)]; "
        "sys.exit(f'imported: {found}' if found else 0)"
    )
    root = next(path for path in sys.path if os.path.isdir(f"{path}/ocinet/cli"))
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({root!r}); {code}"],
        check=True,
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("arguments", [(), ("network",)])
def test_run_without_a_command_shows_help_as_an_error(
    shell: Shell, arguments: tuple[str, ...]
) -> None:
    """Data goes to stdout, and there is none."""
    outcome = shell.run(*arguments)
    assert outcome.code == 2
    assert not outcome.out
    assert outcome.err.startswith("Usage: ocinet")


@pytest.mark.parametrize(
    ("arguments", "why", "hint"),
    [
        (("netwrok",), "there is no command 'ocinet netwrok'", "did you mean network?"),
        (("attahc", "web"), "there is no command 'ocinet attahc'", "did you mean attach"),
        (("network", "craete"), "no command 'ocinet network craete'", "did you mean create?"),
        (("xyz",), "there is no command 'ocinet xyz'", "see: ocinet --help"),
        (("--verbose", "ps"), "there is no command 'ocinet --verbose'", "see: ocinet --help"),
    ],
)
def test_run_of_an_unknown_command_tells_the_nearest(
    shell: Shell, arguments: tuple[str, ...], why: str, hint: str
) -> None:
    """A typo is answered in two lines."""
    outcome = shell.run(*arguments)
    assert outcome.code == 2
    said, advice = outcome.err.splitlines()
    assert why in said
    assert advice.startswith(f"hint: {hint}")


@pytest.mark.parametrize(
    ("arguments", "why", "hint"),
    [
        (("attach",), "the following arguments are required: TARGET", "see: ocinet attach --help"),
        (("attach", "web", "--publsh", "80"), "unrecognized arguments: --publsh", "--publish"),
        (("ps", "--no-tru"), "unrecognized arguments: --no-tru", "did you mean --no-trunc"),
        (("ps", "--format", "yaml"), "invalid choice: 'yaml'", "see: ocinet ps --help"),
        (("network", "create", "-d", "ipvlan", "x"), "invalid choice", "--unmanaged --bridge"),
    ],
)
def test_run_with_wrong_arguments_says_what(
    shell: Shell, arguments: tuple[str, ...], why: str, hint: str
) -> None:
    """Usage errors are two lines as well, and exit with 2."""
    outcome = shell.run(*arguments)
    assert outcome.code == 2
    assert not outcome.out
    said, advice = outcome.err.splitlines()
    assert said.startswith("ocinet: cannot read 'ocinet ")
    assert why in said
    assert hint in advice
    assert shell.opened == 0


def test_run_as_another_user_says_so_in_one_line(shell: Shell) -> None:
    """Not root: no trace, no half-done work."""
    outcome = shell.run("ps", is_root=False)
    assert outcome.code == 1
    assert outcome.err.splitlines() == [
        "ocinet: only root may see and change containers' networks",
        "hint: run it with sudo",
    ]
    assert shell.opened == 0


@pytest.mark.parametrize(
    "error",
    [
        errors.SystemFailure("a", "b"),
        errors.KernelError("a", "b", errno=5),
        errors.RequestError("a", "b"),
        errors.NotFoundError("a", "b"),
        errors.ConflictError("a", "b"),
        errors.ExhaustedError("a", "b"),
        errors.BusyError("a", "b"),
    ],
)
def test_run_exits_with_the_errors_code(shell: Shell, error: errors.OcinetError) -> None:
    """Each kind of error has its exit code, and it is in the table."""
    shell.engine.failure = error
    outcome = shell.run("gc")
    assert outcome.code == error.exit_code
    assert outcome.code in dict(EXIT_CODES)
    assert outcome.err == "ocinet: a: b\n"


def test_run_with_a_hint_prints_two_lines(shell: Shell) -> None:
    """What and why on one line, what to do on the other."""
    shell.engine.failure = errors.RequestError("cannot attach web", "no", "do this")
    assert shell.run("gc").err == "ocinet: cannot attach web: no\nhint: do this\n"


def test_run_interrupted_exits_as_a_shell_tells(shell: Shell) -> None:
    """Ctrl-C is no trace."""
    shell.engine.failure = KeyboardInterrupt()
    outcome = shell.run("gc")
    assert outcome.code == 130
    assert "Traceback" not in outcome.err


def test_run_with_a_fault_of_ours_tells_how_to_report(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug is one line too; OCINET_DEBUG shows the trace."""
    shell.engine.failure = ZeroDivisionError("oops")
    outcome = shell.run("gc")
    assert outcome.code == 1
    assert outcome.err.startswith("ocinet: this is a fault in ocinet: ZeroDivisionError: oops\n")
    monkeypatch.setenv("OCINET_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        shell.run("gc")


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (ImportError("cannot read file data"), "cannot load a part of ocinet: cannot read file"),
        (OSError(24, "Too many open files", "/x.py"), "cannot do that: /x.py: Too many open"),
        (OSError(5, "Input/output error"), "cannot do that: Input/output error"),
    ],
)
def test_run_short_of_something_is_one_line(shell: Shell, failure: Exception, line: str) -> None:
    """It is no fault of ours, and there is nothing to report."""
    shell.engine.failure = failure
    outcome = shell.run("gc")
    assert outcome.code == 1
    assert outcome.err.startswith(f"ocinet: {line}")


@pytest.mark.parametrize("count", [3, 20000])
def test_run_into_a_closed_pipe_is_silent(shell: Shell, count: int) -> None:
    """`ocinet … | true` leaves no complaint, whether it wrote or only meant to at its end."""
    os.makedirs(shell.paths.run)
    with open(f"{shell.paths.run}/events.jsonl", "w", encoding="utf-8") as file:
        for number in range(count):
            file.write(f'{{"time": "t", "event": "e", "number": {number}}}\n')
    root = next(path for path in sys.path if os.path.isdir(f"{path}/ocinet/cli"))
    code = (
        f"import sys, os; sys.path.append({root!r}); from ocinet.cli.console import Console; "
        "from ocinet.cli.main import main; "
        "sys.exit(main(['events'], Console(os.environ, is_root=True)))"
    )
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        env=shell.environment,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode == 141


@pytest.mark.parametrize("alias", ALIASES)
def test_aliases_lead_to_commands(alias: str) -> None:
    """Docker's and podman's other words work."""
    found, _ = resolve(alias.split())
    assert (found.words if isinstance(found, Entry) else found) == ALIASES[alias]


def test_version_needs_no_root(shell: Shell) -> None:
    """Both spellings; JSON for programs."""
    assert shell.run("--version", is_root=False).out.startswith("ocinet ")
    assert shell.run("version", "--json").data.keys() == {"version", "build", "python", "kernel"}


# --- output ---------------------------------------------------------------------------------


def test_table_columns_are_as_wide_as_their_widest_cell() -> None:
    """Columns line up, and no line ends in blanks."""
    table = Table("A", "LONG", "C")
    table.add("wide one", "x", "")
    assert table.lines() == ["A          LONG   C", "wide one   x"]
    assert table.lines(heading=False) == ["wide one   x"]


def test_table_without_rows_is_its_heading() -> None:
    """As docker ps."""
    assert Table("A", "B").lines() == ["A   B"]
    assert Table("A", "B").lines(heading=False) == []


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (86399, "23h"),
     (86400 * 400, "400d"), (-5, "0s")],
)  # fmt: skip
def test_age_is_in_the_largest_unit(seconds: int, shown: str) -> None:
    """A clock that was set back shows nothing negative."""
    from datetime import datetime, timedelta

    then = datetime.fromisoformat("2025-01-31T12:00:00.000Z")
    assert age("2025-01-31T12:00:00.000Z", then + timedelta(seconds=seconds)) == shown


@pytest.mark.parametrize("time", ["", "yesterday", "2025-01-31"])
def test_age_of_no_time_is_unknown(time: str) -> None:
    """A damaged record is shown all the same."""
    assert age(time) == "?"


# --- gc and events --------------------------------------------------------------------------


def test_gc_shows_what_was_removed(shell: Shell) -> None:
    """One row each, and nothing where nothing was found."""
    from ocinet.engine.gc import Leftover

    assert shell.run("gc").out == ""
    shell.engine.findings = (Leftover("lease", "lan/10.9.0.5", "web is gone", removed=True),)
    outcome = shell.run("gc")
    assert outcome.code == 0
    assert outcome.lines[1].split("   ") == ["lease", "lan/10.9.0.5", "web is gone", "yes"]
    wanted = {"kind": "lease", "name": "lan/10.9.0.5", "why": "web is gone", "removed": True}
    assert shell.run("gc", "--json").data == [wanted]


def test_gc_dry_run_removes_nothing(shell: Shell) -> None:
    """It says what it would do, and that is no failure."""
    from ocinet.engine.gc import Leftover

    shell.engine.findings = (Leftover("link", "oc1", "no record names it", removed=False),)
    outcome = shell.run("gc", "--dry-run")
    assert outcome.code == 0
    assert outcome.lines[1].endswith("would be")
    assert shell.engine.calls == [("gc", True), ("check", False)]


def test_gc_repairs_what_it_meets_and_fails_where_it_cannot(shell: Shell) -> None:
    """Damage is one more row, with the reason."""
    from ocinet.engine.check import Finding

    shell.engine.damage = (Finding("web", "eth0 is down", repaired=True),)
    outcome = shell.run("gc")
    assert outcome.code == 0
    assert outcome.lines[1].split() == ["damage", "web", "eth0", "is", "down", "yes"]
    shell.engine.damage = (Finding("", "the table is gone", why_not="nft failed"),)
    outcome = shell.run("gc")
    assert outcome.code == 1
    assert "the table is gone; not repaired: nft failed" in outcome.out


def test_gc_that_could_not_remove_fails(shell: Shell) -> None:
    """What is left is shown, and the exit code tells."""
    from ocinet.engine.gc import Leftover

    shell.engine.findings = (Leftover("link", "oc1", "not removed: busy", removed=False),)
    assert shell.run("gc").code == 1


def test_events_come_in_order_and_skip_torn_lines(shell: Shell) -> None:
    """The older file first; a line that a full disk cut is passed over."""
    os.makedirs(shell.paths.run)
    with open(f"{shell.paths.run}/events.jsonl.1", "w", encoding="utf-8") as file:
        file.write('{"time": "t1", "event": "attached", "container": "a"}\n')
    with open(f"{shell.paths.run}/events.jsonl", "w", encoding="utf-8") as file:
        file.write('{"time": "t2", "event": "deta\n{"time": "t3", "event": "detached"}\n')
    assert shell.run("events").lines == ['t1  attached  container="a"', "t3  detached"]
    assert [event["time"] for event in shell.run("events", "--json").data] == ["t1", "t3"]
    assert shell.run("events", "-n", "1").lines == ["t3  detached"]


def test_events_without_a_log_are_none(shell: Shell) -> None:
    """A fresh machine has nothing to tell."""
    assert shell.run("events").code == 0
    assert shell.run("events", "--json").data == []


def test_inspect_and_ps_tell_of_unreadable_records(shell: Shell) -> None:
    """What can't be read is told on stderr, and the rest is shown."""
    shell.engine.records.attachments.put(record())
    with open(f"{shell.paths.run}/attachments/bad.json", "w", encoding="utf-8") as file:
        file.write("{")
    outcome = shell.run("ps", "-q")
    assert outcome.lines == [WEB_ID[:12]]
    assert "the record of bad can't be read" in outcome.err
    assert outcome.err.endswith("hint: ocinet gc sets it aside\n")
