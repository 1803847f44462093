"""Where the kernel would send a packet: asked of `ip` and `bridge`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ocinet.base.errors import SystemFailure
from ocinet.base.value import Value
from ocinet.engine.firewall import programs
from ocinet.engine.kernel.sandbox import entered

if TYPE_CHECKING:
    from ocinet.base.address import Address
    from ocinet.base.clock import Deadline
    from ocinet.engine.kernel.sandbox import OpenNamespace


class Way(Value):
    """Where a packet goes next.

    Attributes:
        ifname: the link that it leaves by; "lo" where it stays.
        gateway: the router that it is given to, or "".
        error: why it goes nowhere, or "".
    """

    ifname: str = ""
    gateway: str = ""
    error: str = ""


def way_to(
    destination: Address,
    deadline: Deadline | None,
    sandbox: OpenNamespace | None = None,
    *,
    source: Address | None = None,
    by: str = "",
) -> Way:
    """Ask where a packet goes.

    Args:
        destination: its address.
        deadline: of the operation.
        sandbox: that is asked; None: the host.
        source: its source, where it is no packet of the sandbox's own.
        by: the link that it came by; then the answer is for one that passes through.

    Raises:
        NotFoundError: iproute2 is not installed.
    """
    words = ["route", "get", str(destination)]
    words += ["from", str(source)] if source else []
    words += ["iif", by] if by else []
    try:
        told = run_there(("iproute2", "ip", "-j", *words), deadline, sandbox)
    except SystemFailure as error:
        return Way(error=error.why.removeprefix("RTNETLINK answers: "))
    route: dict[str, Any] = json.loads(told)[0]
    local = route.get("type") == "local" or "local" in route.get("flags", ())
    ifname = "lo" if local else route.get("dev", "")
    return Way(ifname, route.get("gateway", ""))


def is_forwarding(ifname: str, deadline: Deadline | None) -> bool:
    """Tell whether a bridge's port forwards: a spanning tree has it wait at first.

    Raises:
        NotFoundError: iproute2 is not installed.
        SystemFailure: there is no such port.
    """
    words = ("iproute2", "bridge", "-j", "link", "show", "dev", ifname)
    ports: list[dict[str, Any]] = json.loads(run_there(words, deadline, None) or "[]")
    return any(port.get("state") == "forwarding" for port in ports)


def run_there(
    words: tuple[str, ...], deadline: Deadline | None, sandbox: OpenNamespace | None
) -> str:
    """Run a program in a network namespace, and return what it prints.

    Args:
        words: its package, its name, and its arguments.
        deadline: of the operation.
        sandbox: where; None: the host.

    Raises:
        NotFoundError: it is not installed.
        SystemFailure: it fails, with what it says.
    """
    package, name, *arguments = words
    argv = (programs.find(package, name), *arguments)
    if sandbox is None:
        return programs.run(argv, "", deadline)
    with entered(sandbox):  # a child is born where its parent's thread is
        return programs.run(argv, "", deadline)
