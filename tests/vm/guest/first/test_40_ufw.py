"""Beside ufw, enabled while containers run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vm.guest.machine import Container, remove, run, unanswered

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", autouse=True)
def ufw(pair: tuple[Container, Container]) -> Iterator[None]:
    """It is enabled, with its default of denying what comes in."""
    run("ufw", "--force", "enable")
    yield
    run("ufw", "disable")


def test_enabled_ufw_leaves_containers_reachable(pair: tuple[Container, Container]) -> None:
    """`ufw enable` while containers run: all ways to and from them stay open."""
    assert unanswered(*pair, 8080) == []


def test_reloaded_ufw_leaves_containers_reachable(pair: tuple[Container, Container]) -> None:
    """`ufw reload`: all ways stay open."""
    run("ufw", "reload")
    assert unanswered(*pair, 8080) == []


def test_container_started_beside_ufw_is_reached(pair: tuple[Container, Container]) -> None:
    """A container that starts while ufw is on is reached, and reaches out."""
    late = Container.start("docker", "late", "-p", "8082:80")
    try:
        assert unanswered(late, pair[1], 8082) == []
    finally:
        remove("docker", "late")


def test_disabled_ufw_leaves_containers_reachable(pair: tuple[Container, Container]) -> None:
    """`ufw disable`: all ways stay open."""
    run("ufw", "disable")
    assert unanswered(*pair, 8080) == []
