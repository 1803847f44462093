"""What is asked of an engine's socket, where nobody answers."""

from __future__ import annotations

import gc
import socket
from typing import TYPE_CHECKING

import pytest

from hosts.descriptors import assert_none_opened, open_descriptors
from ocinet.base.errors import SystemFailure
from ocinet.watcher.docker_api import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Nothing is tidied up by the garbage collector meanwhile."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("bound", [False, True])
def test_greet_of_nobody_leaves_no_socket_open(tmp_path: Path, bound: bool) -> None:
    """An engine that is not there, or refuses, is looked for again and again."""
    path = str(tmp_path / "docker.sock")
    with socket.socket(socket.AF_UNIX) as deaf:
        if bound:
            deaf.bind(path)
        client = Client(path, timeout_s=1)
        before = open_descriptors()
        for _ in range(3):
            with pytest.raises(SystemFailure, match="cannot reach it"):
                client.greet()
        assert_none_opened(before)
