"""The real firewalld in a test's namespaces, with a bus and an /etc of its own."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hosts.namespace.isolation import own_etc
from hosts.namespace.looks import run
from hosts.requirements import require
from hosts.waiting import is_listened_at, wait_until
from ocinet.hooks.registration import firewalld as registered

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUS = """\
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/>
  </policy>
</busconfig>
"""  # which starts no service: firewalld does without polkit
CONF = Path("/etc/firewalld/firewalld.conf")
_UP_S = 60


class RealFirewalld:
    """firewalld, which is told by its own client, in a `with` block."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it has made its rules."""
        self._process = subprocess.Popen(
            ["/usr/sbin/firewalld", "--nofork", "--nopid"], stderr=subprocess.DEVNULL
        )

        def is_up() -> bool:
            asked = subprocess.run(["firewall-cmd", "--state"], capture_output=True, check=False)
            return asked.returncode == 0

        wait_until(is_up, "firewalld runs", timeout_s=_UP_S)

    def stop(self, *, leaving_rules: bool = False) -> None:
        """Stop it: its rules go as well, unless it is killed."""
        assert self._process
        if leaving_rules:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Stop and start it."""
        self.stop()
        self.start()

    def __enter__(self) -> RealFirewalld:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Stop it, if it runs."""
        if self._process:
            self.stop()

    @staticmethod
    def tell(*arguments: str) -> str:
        """Run `firewall-cmd`; it must succeed."""
        return run("firewall-cmd", *arguments)


@contextmanager
def firewalld(*, installed: bool) -> Iterator[RealFirewalld]:
    """Run it, as a distribution ships it.

    Args:
        installed: whether our zone and policy are there.
    """
    require("dbus-daemon", "firewall-cmd")
    own_etc()
    if installed:
        registered.install()
    Path("/run/dbus").mkdir()
    Path("/run/bus.conf").write_text(_BUS)
    bus = subprocess.Popen(
        ["dbus-daemon", "--nofork", "--nopidfile", "--config-file=/run/bus.conf"]
    )
    try:
        wait_until(lambda: is_listened_at("/run/dbus/system_bus_socket"), "the bus listens")
        with RealFirewalld() as running:
            yield running
    finally:
        bus.terminate()
        bus.wait()
