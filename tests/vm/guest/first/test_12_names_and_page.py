"""The name server as a unit of its own, and the watcher's page and figures out of its unit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from vm.guest.machine import UNIT, Container, active, journal, run, said, unanswered, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

import pytest

_PAGE, _METRICS = "127.0.0.1:4900", "127.0.0.1:9690"
_SETTINGS = Path("/etc/ocinet/ocinet.toml.d/50-lab-page.toml")


def _name_units() -> list[str]:
    """Return the units of name servers that run."""
    listed = json.loads(run("systemctl", "list-units", "--output=json", "ocinet-names-*"))
    return [unit["unit"] for unit in listed if unit["active"] == "active"]


def _finds(asking: Container, name: str) -> str:
    """Return the address that a container is told for a name; "" for none."""
    answer = said(*asking.inside, "busybox", "nslookup", name, _gateway(asking))
    return next(
        (
            line.split()[-1]
            for line in answer.partition("Name:")[2].splitlines()
            if line.startswith("Address")
        ),
        "",
    )


def _gateway(container: Container) -> str:
    return run(*container.inside, "ip", "route", "show", "default").split()[2]


def _finds_both(pair: tuple[Container, Container]) -> bool:
    return all(
        _finds(asking, asked.name) == asked.address() for asking, asked in (pair, pair[::-1])
    )


def test_name_server_is_a_unit_of_its_own(pair: tuple[Container, Container]) -> None:
    """The name server is a unit of its own, and no part of the watcher's; names are found."""
    wait_until(lambda: _finds_both(pair), "names")
    [unit] = _name_units()
    pid = run("systemctl", "show", "-P", "MainPID", unit).strip()
    assert f"/{unit}" in Path(f"/proc/{pid}/cgroup").read_text()
    run("systemctl", "restart", UNIT)
    assert _name_units() == [unit]
    assert run("systemctl", "show", "-P", "MainPID", unit).strip() == pid
    assert _finds_both(pair)


def test_killed_name_server_comes_back(pair: tuple[Container, Container]) -> None:
    """kill -9 of the name server: names are found again within seconds, by one server."""
    [unit] = _name_units()
    pid = run("systemctl", "show", "-P", "MainPID", unit).strip()
    run("kill", "-9", pid)
    wait_until(lambda: _finds_both(pair), "names after the kill")
    wait_until(lambda: len(_name_units()) == 1, "one unit")
    assert "denied" not in journal(_name_units()[0]).lower()


@pytest.fixture
def shown() -> Iterator[None]:
    """The settings ask for the page and the figures."""
    _SETTINGS.parent.mkdir(parents=True, exist_ok=True)
    _SETTINGS.write_text(f'web = "{_PAGE}"\nmetrics = "{_METRICS}"\n')
    run("systemctl", "restart", UNIT)
    yield
    _SETTINGS.unlink()
    run("systemctl", "restart", UNIT)


@pytest.mark.usefixtures("shown")
def test_page_and_figures_come_out_of_the_unit(pair: tuple[Container, Container]) -> None:
    """With `web` and `metrics` in the settings the unit shows both on localhost."""
    assert active(UNIT)
    figures = run("curl", "-sS", f"http://{_METRICS}/metrics")
    assert "ocinet_containers" in figures
    address = json.loads(run("ocinet", "status", "--format", "json"))["watcher"]["page"]
    assert address.startswith(f"http://{_PAGE}/#"), "its token"
    assert "<title>" in run("curl", "-sS", f"http://{_PAGE}/")
    assert unanswered(*pair, 8080) == []
