"""wait: who counts as wired, what ends the waiting, and the script that it prints."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from builders import DB_ID, WEB_ID, record
from fakes.shell import Shell
from hosts.requirements import require
from ocinet.base.clock import Process
from ocinet.engine.model.attachment import Container, Member

if TYPE_CHECKING:
    from fakes.shell import Outcome
    from ocinet.engine.model.attachment import Attachment

SCRIPT = Path(__file__).parents[2] / "packaging/ocinet-wait"
GONE = Process(os.getpid(), 1)  # an earlier life of this process's id


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a shell on an installation of its own."""
    return Shell(tmp_path)


def put(shell: Shell, *records: Attachment) -> None:
    """Write records as an engine does."""
    for attachment in records:
        shell.engine.records.attachments.put(attachment)


def wait(shell: Shell, *words: str) -> Outcome:
    """Wait, not longer than for one look."""
    return shell.run("wait", *words, "--timeout", "0")


@pytest.mark.parametrize("text", [WEB_ID, "web", "6f2a", "6"])
def test_wait_for_a_wired_container_returns_at_once(shell: Shell, text: str) -> None:
    """By id, by name, and by the start of the id."""
    put(shell, record(), record(DB_ID, "db"))
    outcome = wait(shell, text)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def test_wait_returns_as_soon_as_the_last_one_is_wired(shell: Shell) -> None:
    """All that are named, and none of them needs to be known before."""
    put(shell, record(), record(DB_ID, "db", state="attaching"))
    outcomes: list[Outcome] = []
    waiting = Thread(target=lambda: outcomes.append(shell.run("wait", "db", "web")))
    waiting.start()
    put(shell, record(DB_ID, "db"))
    waiting.join(20)
    assert [outcome.code for outcome in outcomes] == [0]


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "attaching"},
        {"mode": "none", "endpoints": ()},
        {"container": Container(WEB_ID, "web", process=GONE)},
        {"boot_id": "another"},
        {"left": True, "members": (Member(DB_ID, "db", "", Process.of(os.getpid())),)},
    ],
    ids=["half-made", "none", "dead", "of an earlier boot", "only members live"],
)
def test_wait_for_a_container_that_is_not_wired_gives_up(
    shell: Shell, changes: dict[str, Any]
) -> None:
    """A record alone is no network; the exit code says that the time was up."""
    put(shell, record(**changes))
    outcome = wait(shell, "web")
    assert outcome.code == 6
    assert outcome.err == (
        "ocinet: cannot wait any longer: web is not wired after 0 s\n"
        "hint: see: ocinet ps -a and ocinet events\n"
    )


def test_wait_names_those_that_are_missing(shell: Shell) -> None:
    """Each once, in the order in which they were named."""
    put(shell, record())
    outcome = wait(shell, "zoo", "web", "db", "zoo")
    assert "zoo and db are not wired" in outcome.err


def test_wait_for_a_member_needs_its_owner_wired(shell: Shell) -> None:
    """A member has the network of the sandbox that it shares."""
    member = record(DB_ID, "db", mode="container", endpoints=(), member_of=WEB_ID)
    put(shell, member, record(state="attaching"))
    assert wait(shell, "db").code == 6
    put(shell, record())
    assert wait(shell, "db").code == 0


def test_wait_takes_the_living_of_two_with_one_name(shell: Shell) -> None:
    """The dead one's record may still be there when the next one comes."""
    dead = record(container=Container(WEB_ID, "web", process=GONE))
    put(shell, dead, record(DB_ID, "web"))
    assert wait(shell, "web").code == 0


def test_wait_for_a_text_that_means_several_is_refused(shell: Shell) -> None:
    """It would never be told which one is meant, so it is told at once."""
    put(shell, record(), record(DB_ID, "web"))
    outcome = shell.run("wait", "web")
    assert outcome.code == 2
    assert "web is not unique: 6f2a00000000, 77b100000000" in outcome.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "there is nothing to wait for"),
        (("../web",), "'../web' is no container"),
        (("web", "--timeout", "x"), "--timeout: 'x' is no number of seconds"),
        (("web", "--timeout", "nan"), "--timeout: 'nan' is no number"),
        (("web", "--timeout", "inf"), "--timeout: 'inf' is no number"),
        (("web", "--timeout=-1"), "--timeout: '-1' is no number"),
        (("web", "--script"), "--script goes with nothing else"),
        (("--timeout", "1", "--script"), "--script goes with nothing else"),
    ],
)
def test_wait_with_wrong_words_is_refused(shell: Shell, words: tuple[str, ...], said: str) -> None:
    """Before anything is waited for."""
    outcome = shell.run("wait", *words)
    assert outcome.code == 2
    assert said in outcome.err
    assert shell.opened == 0


def test_wait_script_is_the_file_that_is_shipped(shell: Shell) -> None:
    """What is printed can be run as it is."""
    outcome = shell.run("wait", "--script")
    assert (outcome.code, outcome.out) == (0, SCRIPT.read_text())
    assert os.access(SCRIPT, os.X_OK)


def test_script_is_found_where_packages_put_it(tmp_path: Path) -> None:
    """Below the prefix that the package is installed in; and told if it is not there."""
    from ocinet.base.errors import SystemFailure
    from ocinet.cli.wait import _read_script

    module = tmp_path / "usr/lib/python3/dist-packages/ocinet/cli/wait.py"
    with pytest.raises(SystemFailure, match=r"share/ocinet/ocinet-wait is not there"):
        _read_script(str(module))
    shared = tmp_path / "usr/share/ocinet"
    shared.mkdir(parents=True)
    (shared / "ocinet-wait").write_text("#!/bin/sh\n")
    assert _read_script(str(module)) == "#!/bin/sh\n"


SHELLS = (("busybox", "ash"), ("dash",), ("bash", "--posix"))


def run_script(
    shell: tuple[str, ...], *words: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the script with one shell, or skip if the shell is not there."""
    require(shell[0])
    return subprocess.run(
        [*shell, str(SCRIPT), *words], env={"PATH": os.environ["PATH"], **environment},
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: str(words[0]))
@pytest.mark.parametrize("limit", ["1s", "-1", "1.5", "08", " "])
def test_script_refuses_a_limit_that_is_no_number(shell: tuple[str, ...], limit: str) -> None:
    """A typo must not mean to wait for ever, or not at all."""
    done = run_script(shell, "echo", "started", OCINET_WAIT_TIMEOUT=limit)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (f"ocinet-wait: OCINET_WAIT_TIMEOUT='{limit}' is no number of seconds\n")


@pytest.mark.needs("shellcheck")
def test_script_pleases_shellcheck() -> None:
    """It is POSIX shell, nothing more."""
    done = subprocess.run(["shellcheck", str(SCRIPT)], capture_output=True, text=True, check=False)
    assert done.stdout == ""
