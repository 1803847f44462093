"""What holds for every test: it leaves no descriptor, thread or process behind."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hosts import left_behind
from hosts.descriptors import assert_none_opened, open_descriptors
from hosts.requirements import ROOT, require_marked

if TYPE_CHECKING:
    from collections.abc import Iterator

# Its checks run in the machine that `make vm-test` boots, and nowhere else.
collect_ignore = ["vm"]

# What all tests of a folder need; what else one needs it says by the mark `needs`.
_NEEDS: dict[str, tuple[str, ...]] = {
    "unit": (),
    "netns": (ROOT, "ip", "nft", "nsenter", "sysctl", "unshare"),
    "engines": (ROOT, "ip", "nft", "nsenter", "unshare"),
    "cluster": (ROOT, "etcd", "etcdctl", "ip", "nft", "nsenter", "unshare"),
}


def pytest_configure() -> None:
    """Have SIGINT and SIGQUIT do what they do in a terminal, here and in what tests start.

    A shell without job control, as a script's, has what it starts with `&` ignore both. That
    is inherited through every exec, no shell can trap it, and Python then has no
    KeyboardInterrupt: who sends one of the two would wait for ever.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the name of the folder that it is in, and with what that needs."""
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in _NEEDS:
            item.add_marker(folder)
            item.add_marker(pytest.mark.needs(*_NEEDS[folder]))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test without what it needs, or fail it in CI, before anything is made for it."""
    require_marked(item)


def _children() -> set[str]:
    children: set[str] = set()
    for task in os.listdir("/proc/self/task"):
        try:
            children.update(Path(f"/proc/self/task/{task}/children").read_text().split())
        except FileNotFoundError:  # the thread has ended
            continue
    return children


def _makes_hosts(item: pytest.Item) -> bool:
    """Tell whether a test makes namespaces in which daemons may be."""
    return any(map(item.get_closest_marker, ("netns", "engines", "cluster")))


@pytest.fixture(autouse=True, scope="session")
def nobody_outlives_the_run(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a run that leaves a process behind, of a test or of what many tests share."""
    if not any(map(_makes_hosts, request.session.items)):
        yield
        return
    with left_behind.begun_run():
        yield


@pytest.fixture(autouse=True)
def nothing_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves an open file, a thread, a child process or a daemon."""
    descriptors, children = open_descriptors(), _children()
    threads = set(threading.enumerate())
    yield
    assert_none_opened(descriptors)
    assert not set(threading.enumerate()) - threads, "threads left running"
    assert not _children() - children, "child processes left"
    if _makes_hosts(request.node):
        left_behind.RUN.assert_nobody_left()
