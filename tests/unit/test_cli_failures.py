"""Why a container has no network, found by name and id: `ps --all` and `inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from builders import DB_ID, WEB_ID, record
from fakes.shell import Shell
from ocinet.base.events import ENDED_UNSERVED, NOT_SERVED, EventLog
from ocinet.picture.failures import last_failures

if TYPE_CHECKING:
    from pathlib import Path

WHY = "cannot attach web: there is no network lann (hint: did you mean lan?)"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a shell on an installation of its own."""
    return Shell(tmp_path)


def event(kind: str, container: str = WEB_ID, name: str = "web", **more: str) -> dict[str, Any]:
    """Return an event as the log has it."""
    return {"time": "2026-01-01T00:00:00Z", "event": kind, "container": container, "name": name,
            **more}  # fmt: skip


def failed(container: str = WEB_ID, name: str = "web", error: str = WHY) -> dict[str, Any]:
    """Return the event of a failed attach."""
    return event("attach failed", container, name, error=error)


@pytest.mark.parametrize("kind", ["attach failed", "hook failed", "create refused", NOT_SERVED])
def test_failure_of_each_door_stands(kind: str) -> None:
    """Of hook, wrapper and watcher, however far they came."""
    [failure] = last_failures([event(kind, error=WHY, door="hook")]).values()
    assert (failure.container, failure.name, failure.error) == (WEB_ID, "web", WHY)


@pytest.mark.parametrize(
    "after",
    [
        event("attached"),
        event("attached", DB_ID),  # run again by the same name: it has another id
        event("detached", name=""),
        event(ENDED_UNSERVED, name=""),
    ],
)
def test_failure_is_over_with_success_or_the_end(after: dict[str, Any]) -> None:
    """And what another one does is not its matter."""
    assert last_failures([failed(), after]) == {}
    others = event("attached", DB_ID, "db"), event("detached", DB_ID, "web")
    assert list(last_failures([failed(), *others])) == [WEB_ID]


def test_last_failure_of_a_name_takes_the_place_of_the_others() -> None:
    """A command that was run thrice is one container that failed, and why is the last reason."""
    events = [failed(), failed(DB_ID, error="first"), failed(DB_ID, error="second")]
    [failure] = last_failures(events).values()
    assert (failure.container, failure.error) == (DB_ID, "second")


def test_failures_shown_are_the_last_twenty() -> None:
    """A `run --rm` in a loop makes a container each time; those without a name are apart."""
    events = [failed(f"{number:064x}", "") for number in range(30)]
    assert list(last_failures(events)) == [f"{number:064x}" for number in range(10, 30)]


def test_failure_keeps_the_name_that_an_earlier_one_told() -> None:
    """The last word may be of a part that knows the id alone; odd events are passed over."""
    odd: list[dict[str, Any]] = [{}, {"event": "attach failed"}, {"container": WEB_ID}, event("?")]
    events = [*odd, failed(), event("hook failed", name="", error="internal error: x")]
    [failure] = last_failures(events).values()
    assert (failure.name, failure.error) == ("web", "internal error: x")


def log(shell: Shell, *events: dict[str, Any]) -> None:
    """Write an event log."""
    written = EventLog(shell.paths.run)
    for each in events:
        written.append(each["event"], **{key: each[key] for key in each if key != "event"})


def test_ps_all_shows_who_failed_and_why(shell: Shell) -> None:
    """As a row, with the reason for people on stderr; without `--all` nobody is told."""
    log(shell, failed())
    shown = shell.run("ps", "--all")
    assert shown.lines[1].split()[:2] == [WEB_ID[:12], "web"]
    assert "failed" in shown.lines[1]
    assert shown.err == f"ocinet: {WHY}\n"
    quiet = shell.run("ps")
    assert (len(quiet.lines), quiet.err) == (1, "")
    assert shell.run("ps", "--all", "--quiet").out == ""


def test_ps_all_json_has_the_failure_of_whoever_failed(shell: Shell) -> None:
    """Beside a record, too: a second attach may fail while the first one holds."""
    shell.engine.records.attachments.put(record())
    log(shell, failed(), failed(DB_ID, "db", error="cannot attach db: x"))
    web, db = shell.run("ps", "--all", "--json").data
    assert web["failure"]["error"] == WHY
    assert db == {
        "id": DB_ID, "name": "db", "status": "failed",
        "failure": {"time": db["failure"]["time"], "door": None, "error": "cannot attach db: x"},
    }  # fmt: skip


@pytest.mark.parametrize("text", ["web", WEB_ID, WEB_ID[:6]])
def test_inspect_of_a_failed_container_tells_why(shell: Shell, text: str) -> None:
    """By its name, its id and the start of that, though there is no record."""
    log(shell, failed())
    [shown] = shell.run("inspect", text).data
    assert (shown["id"], shown["status"]) == (WEB_ID, "failed")
    assert shown["failure"]["error"] == WHY


def test_inspect_of_nobody_is_not_found_still(shell: Shell) -> None:
    """Whoever neither is there nor failed."""
    log(shell, failed())
    assert shell.run("inspect", "db").code == 3
