"""Beside firewalld: on, reloaded, off, while containers run and for those that start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vm.guest.machine import Container, remove, run, unanswered

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", autouse=True)
def firewalld(pair: tuple[Container, Container]) -> Iterator[None]:
    """It is started while the containers run."""
    run("systemctl", "start", "firewalld")
    yield
    run("systemctl", "stop", "firewalld")


def test_started_firewalld_leaves_containers_reachable(pair: tuple[Container, Container]) -> None:
    """firewalld started while containers run: all ways to and from them stay open."""
    assert unanswered(*pair, 8080) == []


def test_container_started_beside_firewalld_is_reached(pair: tuple[Container, Container]) -> None:
    """A container that starts while firewalld is on is reached, and reaches out."""
    late = Container.start("docker", "late", "-p", "8082:80")
    try:
        assert unanswered(late, pair[1], 8082) == []
    finally:
        remove("docker", "late")


def test_reloaded_firewalld_leaves_containers_reachable(pair: tuple[Container, Container]) -> None:
    """`firewall-cmd --reload`: all ways stay open."""
    run("firewall-cmd", "--reload")
    assert unanswered(*pair, 8080) == []


def test_stopped_firewalld_leaves_containers_reachable(pair: tuple[Container, Container]) -> None:
    """firewalld stopped: all ways stay open."""
    run("systemctl", "stop", "firewalld")
    assert unanswered(*pair, 8080) == []
