"""Services of the host that a published port hides: they listen, and nobody reaches them.

A watcher keeps them from starting (`held_ports`). Where there is none, or they were there
before it, they are named.
"""

from __future__ import annotations

from ocinet.engine.check import Finding
from ocinet.engine.kernel.listeners import listeners, name_process
from ocinet.engine.model.request import PROTOCOLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.listener import Listener


def find_shadowed(records: Iterable[Attachment]) -> tuple[Finding, ...]:
    """Return who listens where containers are published; with what helps.

    Raises:
        KernelError: the kernel would not list the sockets.
    """
    there: dict[tuple[str, int], list[Listener]] = {}
    for protocol in PROTOCOLS:
        for listener in listeners(protocol):
            there.setdefault((protocol, listener.port), []).append(listener)
    found = [
        _finding(record.container.name, rule, listener)
        for record in records
        for rule in record.ports
        for listener in there.get((rule.protocol, rule.host_port), ())
        if listener.takes(rule.address.family, rule.host_address)
    ]
    return tuple(dict.fromkeys(found))  # one that takes both families is one all the same


def _finding(name: str, rule: PortRule, listener: Listener) -> Finding:
    spelled = f"{rule.host_port}:{rule.port}/{rule.protocol}"
    process = name_process(listener.inode)
    return Finding(
        name,
        f"the host listens at {listener.place} too, which is published by it",
        why_not=f"{process} is never reached there: move it, or ocinet unpublish {name} {spelled}",
    )
