"""Members of a pod, whose sandbox another process keeps."""

from __future__ import annotations

import os
import time
import traceback
from typing import TYPE_CHECKING

import pytest

from builders import on, tcp
from hosts.namespace.isolation import Sleeper, in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.wired_host import WiredHost, open_sandbox
from ocinet.engine import pods
from ocinet.engine.model.naming import Rootfs
from ocinet.engine.model.request import Request
from ocinet.engine.pods import Pods

if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment, Container

_REQUEST = on("lan", publish=(tcp(8080),))
_ID = "75" * 32
_LONG_ENOUGH_S = 1.5  # for an attach that nothing holds up


def _member(host: WiredHost, name: str, infra: str = "infra") -> Container:
    host.sleepers[name] = Sleeper(beside=host.sleepers[infra].pid)
    return host.container(name, host.sleepers[name].pid)


def _attach(
    host: WiredHost, member: Container, request: Request = _REQUEST, infra: str = "infra"
) -> Attachment:
    """Attach as a hook would: the sandbox is another's, by its path."""
    rootfs = Rootfs("/none", shares=f"/proc/{host.sleepers[infra].pid}/ns/net")
    with host.engine() as engine, open_sandbox(member) as sandbox:
        return engine.attach(member, request, sandbox, rootfs)


class _Waiting:
    """Attaches a member in a process of its own, once it is told to.

    It is there beforehand: a fork would share the locks that are held.
    """

    def __init__(self, host: WiredHost, member: Container) -> None:
        read, self._go = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            code = 1
            try:
                os.read(read, 1)
                _attach(host, member)
                code = 0
            except Exception:  # noqa: BLE001  # the status is the answer, as a hook's
                traceback.print_exc()
            os._exit(code)
        os.close(read)

    def go(self) -> None:
        """Have it begin; return once it has ended, or is held up."""
        os.write(self._go, b"x")
        os.close(self._go)
        end = time.monotonic() + _LONG_ENOUGH_S
        ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while time.monotonic() < end and not os.waitid(os.P_PID, self._pid, ended):
            time.sleep(0.02)

    def status(self) -> int:
        """Return its exit status."""
        return os.waitpid(self._pid, 0)[1]


@in_namespaces
def test_second_member_that_starts_at_once_is_counted_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks for who has the sandbox when the first one has looked, and has no record yet."""
    with WiredHost() as host:
        host.start("infra")
        one, two = _member(host, "one"), _member(host, "two")
        waiting = _Waiting(host, two)
        join = Pods.join

        def join_then_the_other(
            self: Pods, container: Container, path: str, identity: str
        ) -> Attachment | None:
            found = join(self, container, path, identity)
            monkeypatch.setattr(Pods, "join", join)
            waiting.go()
            return found

        monkeypatch.setattr(Pods, "join", join_then_the_other)
        owner = _attach(host, one)

        assert waiting.status() == 0
        assert host.addresses("two") == host.addresses("one") == ["10.9.0.2/24"]
        assert run("nft list map inet ocinet publish4").count("8080") == 1
        with host.engine() as engine:
            second = engine.records.attachments.get(two.id)
        assert second is not None
        assert second.member_of == owner.container.id


@in_namespaces
def test_sandbox_whose_keeper_lives_is_not_ended_by_another_of_its_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only who is started anew has left the sandbox of before."""
    monkeypatch.setattr(pods, "cgroups_of", lambda _: f"0::/libpod-{_ID}.scope\n")
    with WiredHost() as host:
        host.start("infra")
        host.start("infra2")
        _attach(host, _member(host, "one"))
        two = _member(host, "two", "infra2")

        _attach(host, two, on("lan"), "infra2")

        assert host.addresses("one") == ["10.9.0.2/24"]
        host.sleepers["infra"].end()
        host.sleepers["infra2"].end()
        host.start("infra")
        _attach(host, _member(host, "again"), on("lan"))
        assert "eth0" not in run("ip link", pid=host.sleepers["one"].pid)


@in_namespaces
def test_record_of_who_keeps_a_sandbox_and_has_asked_itself_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else nothing would count it out where it is a member."""
    monkeypatch.setattr(pods, "cgroups_of", lambda _: f"0::/libpod-{_ID}.scope\n")
    with WiredHost() as host:
        web = host.up("web")
        host.start("infra")
        side = _member(host, "side", "web").replace(id=_ID)
        host.attach(side, Request("container", "web"))

        owner = _attach(host, _member(host, "one"))

        with host.engine() as engine:
            kept = engine.records.attachments.get(_ID)
        assert kept is not None
        assert kept.member_of == web.container.id
        assert [member.id for member in owner.members] == [_ID]
