"""Who is the host of an id, and what it writes: the thread's turns, with an etcd in memory."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from fakes.etcd import FakeEtcd
from ocinet.base.address import Address, Subnet
from ocinet.base.clock import Deadline
from ocinet.base.paths import Paths
from ocinet.cluster import keys, member
from ocinet.cluster.access import Access, Endpoint
from ocinet.cluster.gateway import AnswerError
from ocinet.cluster.kept import Keeping, Kept
from ocinet.cluster.member import TTL_S, Member
from ocinet.cluster.model import Cluster, Host, Pool
from ocinet.cluster.ownership import init, join
from ocinet.cluster.view import View

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ocinet.cluster.store import Compare, Delete, Outcome, Put

_ID = "6f1c0a52-0000-4000-8000-000000000000"
_CLUSTER = Cluster("prod", (Pool(Subnet.parse("10.42.0.0/16"), 24),))
_ACCESS = Access((Endpoint("127.0.0.1"),))


class _Etcd(FakeEtcd):
    """An etcd in memory, asked as by a connection; it may refuse whatever is written."""

    turn = 0
    full = False

    def ask_same(self, turn: int) -> None:
        """Do nothing: there is one."""

    def commit(self, compares: tuple[Compare, ...], acts: tuple[Put | Delete, ...]) -> Outcome:
        """Refuse it, or do it."""
        if self.full:
            raise AnswerError("", "etcd refuses: etcdserver: mvcc: database space exceeded", "why")
        return super().commit(compares, acts)


class _Log:
    """What is logged at which level."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        """Note a line."""
        return lambda event, **_fields: self.lines.append((level, event))


class _Feed:
    turn = 0

    def renew(self) -> None:
        """Do nothing."""


class _Machine:
    """One agent's thread that writes, and what it follows."""

    def __init__(self, etcd: _Etcd, directory: Path) -> None:
        paths = Paths(f"{directory}/etc", state=f"{directory}/var", run=f"{directory}/run",
                      netns=f"{directory}/netns")  # fmt: skip
        (directory / "run" / "locks").mkdir(parents=True)
        (directory / "var").mkdir()
        self.etcd, self.keeping, self.log = etcd, Keeping(paths), _Log()
        host = Host(_ID, "a", (Address.parse("10.0.0.1"),), "02:00:00:00:00:01", nonce="0a")
        joined = join(etcd, "prod", lambda _: host, {}, (), Deadline(5))
        self.kept = Kept(joined.cluster, joined.host, joined.shares, _ACCESS, underlay="10.0.0.1",
                         name="a")  # fmt: skip
        self.keeping.put(self.kept)
        self.view = View("prod", lambda: None)
        told: tuple[Any, Any] = (lambda: None, lambda _error: None)
        feed: Any = _Feed()
        self.member = Member(self.kept, self.keeping, self.view, feed, self.log, told)
        self.member._etcd = etcd  # type: ignore[assignment]  # it is asked alike

    @property
    def is_cloned(self) -> bool:
        """Whether it says that it has a clone."""
        return self.member.is_cloned

    def turn(self) -> None:
        """Follow what there is, and take a turn."""
        if not self.etcd.away:
            self.view.replace(self.etcd.scan(keys.root("prod")))
        self.member._turn()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Has more time pass for the thread than any lease takes to end."""
    passed = [0.0]
    monkeypatch.setattr(member, "monotonic", lambda: monotonic() + passed[0])

    def pass_() -> None:
        passed[0] += TTL_S * 2

    return pass_


@pytest.fixture
def etcd() -> _Etcd:
    """One that has a cluster."""
    made = _Etcd()
    init(made, _CLUSTER)
    return made


def test_clone_under_one_kernel_is_noticed(
    etcd: _Etcd, tmp_path: Path, later: Callable[[], None]
) -> None:
    """Its boot is the same; but who held the id and finds another one there has not restarted."""
    first, second = _Machine(etcd, tmp_path / "1"), _Machine(etcd, tmp_path / "2")
    first.turn()
    assert first.member.is_heard
    second.turn()  # takes it for what this agent was before
    for _ in range(3):
        first.turn()
        second.turn()
    assert (first.member.is_heard, second.member.is_heard) == (False, True)
    assert (first.is_cloned, first.log.lines != []) == (False, True)
    later()
    first.turn()
    assert first.is_cloned
    etcd.pass_time(TTL_S + 1)  # the other one is switched off
    first.turn()
    assert (first.member.is_heard, first.is_cloned) == (True, False)


def test_time_without_a_majority_is_no_sign_of_a_clone(
    etcd: _Etcd, tmp_path: Path, later: Callable[[], None]
) -> None:
    """No lease ends then, so that of before the boot is there afterwards."""
    first, second = _Machine(etcd, tmp_path / "1"), _Machine(etcd, tmp_path / "2")
    first.turn()
    second.turn()
    first.turn()
    etcd.away = True
    first.turn()
    assert first.member.error[0] == "etcd does not answer"
    later()
    etcd.away = False
    first.turn()
    assert (first.is_cloned, first.log.lines != []) == (False, True)
    later()
    first.turn()
    assert first.is_cloned


def test_etcd_that_takes_no_writes_is_told_once(etcd: _Etcd, tmp_path: Path) -> None:
    """With its reason and what helps; until it takes them."""
    machine = _Machine(etcd, tmp_path / "1")
    etcd.full = True
    for _ in range(3):
        machine.turn()
    assert "database space exceeded" in machine.member.error[0]
    assert machine.log.lines.count(("warning", "nothing is written to etcd")) == 1
    etcd.full = False
    machine.turn()
    assert machine.member.error == ("", "")
    assert machine.member.is_heard


def test_key_that_was_lost_is_written_anew(
    etcd: _Etcd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or nobody could decrypt what this host sends, which is made by the key on its disk."""

    class _Plane:
        def public_key(self) -> str:
            return "x" * 43 + "="

    monkeypatch.setattr(member, "plane_of", lambda _cluster, _paths: _Plane())
    machine = _Machine(etcd, tmp_path / "1")
    machine.turn()
    machine.turn()
    kept = machine.keeping.get()
    assert (kept.host.public_key, kept.host.generation) == ("x" * 43 + "=", 2)


def test_what_makes_no_sense_where_this_host_is_heard_is_put_right(
    etcd: _Etcd, tmp_path: Path
) -> None:
    """Whoever wrote it there."""
    from ocinet.cluster.store import Put

    machine = _Machine(etcd, tmp_path / "1")
    etcd.commit((), (Put(keys.alive("prod", _ID), b"garbage"),))
    machine.turn()
    assert machine.member.is_heard
