"""What all checks of a boot share, and the line that each leaves for the host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from vm.guest import machine

if TYPE_CHECKING:
    from collections.abc import Iterator

_LAB = Path("/lab")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Write down what a check came to, as `lab.Check` reads it."""
    made = yield
    if made.when == "call" or made.outcome != "passed":
        boot = item.path.parent.name
        fact = (getattr(item, "function", None).__doc__ or item.name).partition("\n")[0]
        callspec = getattr(item, "callspec", None)
        if callspec:
            fact = f"{fact.rstrip('.')}: {callspec.id}."
        why = "; ".join(f"{name}: {value}" for name, value in item.user_properties)
        if made.outcome != "passed":
            crash = getattr(made.longrepr, "reprcrash", None)
            text = crash.message if crash else str(made.longrepr)
            why = " ".join(text.split())[:300]
        line = {"boot": boot, "fact": fact, "outcome": made.outcome,
                "seconds": round(made.duration, 1), "why": why}  # fmt: skip
        with (_LAB / f"{boot}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
    return made


@pytest.fixture(scope="session", autouse=True)
def lab(request: pytest.FixtureRequest) -> Iterator[None]:
    """The uplink, the images and the watcher's unit are there."""
    (_LAB / "machine.json").write_text(json.dumps(machine.versions()))
    machine.make_uplink()
    if not machine.run("docker", "images", "-q", machine.IMAGE):
        machine.make_images()
    machine.run("ocinet", "hooks", "install", "--podman")
    machine.run("systemctl", "enable", "ocinet-watcher")
    machine.run("systemctl", "start", "ocinet-watcher")
    yield
    # What the host can't see once the machine is off: each boot has a /run of its own.
    boot = request.session.items[0].path.parent.name
    (_LAB / f"{boot}.journal").write_text(machine.run("journalctl", "-b", "--no-pager"))
    (_LAB / f"{boot}.events").write_text(machine.run("ocinet", "events", check=False))


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[machine.Container, machine.Container]]:
    """Two containers of Docker's, the first with its port 80 published at 8080."""
    web = machine.Container.start("docker", "web", "-p", "8080:80")
    other = machine.Container.start("docker", "other")
    yield web, other
    web.remove()
    other.remove()
