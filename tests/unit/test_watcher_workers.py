"""Jobs of one key are done in order, those of others beside them."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from ocinet.engine.kernel.sandbox import StrandedError
from ocinet.watcher.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONG_S = 10


class Gate:
    """A job that goes on until it is let go."""

    def __init__(self) -> None:
        self._began, self._may_end = threading.Event(), threading.Event()

    def __call__(self) -> None:
        """Begin, and wait to be let go."""
        self._began.set()
        assert self._may_end.wait(_LONG_S)

    def await_begin(self) -> None:
        """Wait until a worker is at it."""
        assert self._began.wait(_LONG_S)

    def open(self) -> None:
        """Let it end."""
        self._may_end.set()


class Pool:
    """Workers and what they reported."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self.workers = Workers(2, self.failures.append)
        self.workers.start()


@pytest.fixture
def pool() -> Iterator[Pool]:
    """Two workers, stopped at the end."""
    made = Pool()
    yield made
    assert made.workers.stop(_LONG_S)


def test_jobs_of_one_key_are_done_in_order(pool: Pool) -> None:
    """However many there are."""
    done: list[int] = []
    for number in range(200):
        pool.workers.submit("web", f"job {number}", partial(done.append, number))
    assert pool.workers.idle(_LONG_S)
    assert done == list(range(200))


def test_slow_key_holds_no_other_up(pool: Pool) -> None:
    """A container that takes long is the only one that waits."""
    gate, passed = Gate(), threading.Event()
    pool.workers.submit("slow", "wait", gate)
    pool.workers.submit("slow", "next", lambda: None)
    pool.workers.submit("quick", "go", passed.set)
    assert passed.wait(_LONG_S)
    assert not pool.workers.idle(0)
    gate.open()
    assert pool.workers.idle(_LONG_S)


def test_same_job_again_is_done_once_while_it_waits(pool: Pool) -> None:
    """A flood of the same hint costs one look."""
    gate = Gate()
    done: list[str] = []
    pool.workers.submit("web", "settle", gate)
    gate.await_begin()
    first = pool.workers.submit("web", "settle", lambda: done.append("settle"))
    again = pool.workers.submit("web", "settle", lambda: done.append("again"))
    pool.workers.submit("web", "end", lambda: done.append("end"))
    after = pool.workers.submit("web", "settle", lambda: done.append("after"))
    gate.open()
    assert pool.workers.idle(_LONG_S)
    assert (first, again, after) == (True, False, True)
    assert done == ["settle", "end", "after"]


def test_delayed_jobs_come_in_the_order_of_their_times(pool: Pool) -> None:
    """And those that are due at once do not wait for them."""
    done: list[str] = []
    ended = threading.Event()

    def late() -> None:
        done.append("late")
        ended.set()

    pool.workers.submit("a", "late", late, delay_s=0.5)
    pool.workers.submit("b", "soon", lambda: done.append("soon"), delay_s=0.001)
    pool.workers.submit("c", "now", lambda: done.append("now"))
    assert ended.wait(_LONG_S)
    assert done == ["now", "soon", "late"]


def test_job_that_raises_is_reported_and_the_next_is_done(pool: Pool) -> None:
    """One container's fault is nobody else's."""
    done: list[str] = []
    pool.workers.submit("web", "fail", lambda: 1 // 0)
    pool.workers.submit("web", "next", lambda: done.append("next"))
    assert pool.workers.idle(_LONG_S)
    assert done == ["next"]
    assert [type(error) for error in pool.failures] == [ZeroDivisionError]


def test_stranded_thread_is_replaced(pool: Pool) -> None:
    """It must do nothing more: what it did next, it would do in a wrong namespace."""
    stranded: list[threading.Thread] = []
    used: list[threading.Thread] = []

    def strand() -> None:
        stranded.append(threading.current_thread())
        raise StrandedError("cannot leave the sandbox")

    for key in ("a", "b", "c"):
        pool.workers.submit(key, "strand", strand)
    for number in range(20):
        pool.workers.submit(number, "use", lambda: used.append(threading.current_thread()))
    assert pool.workers.idle(_LONG_S)
    assert (len(set(stranded)), len(used), len(pool.failures)) == (3, 20, 3)
    assert not set(stranded) & set(used)


def test_stop_forgets_what_waits() -> None:
    """A watcher that stops changes nothing any more."""
    made = Pool()
    gate = Gate()
    done: list[str] = []
    made.workers.submit("web", "wait", gate)
    gate.await_begin()
    made.workers.submit("web", "next", lambda: done.append("next"))
    made.workers.submit("db", "later", lambda: done.append("later"), delay_s=0.01)
    assert not made.workers.stop(0.01)
    assert made.workers.longest_s() > 0
    gate.open()
    assert made.workers.stop(_LONG_S)
    assert not made.workers.submit("web", "more", lambda: done.append("more"))
    assert done == []
