"""Kernel parameters that containers ask for: what a sandbox had before them."""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.engine.model.endpoint import InsideSysctl
from ocinet.engine.model.request import IFNAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.request import EndpointRequest
    from ocinet.engine.plan.machine import Machine


def granted_sysctls(machine: Machine, wish: EndpointRequest) -> tuple[InsideSysctl, ...]:
    """Return the parameters that a wish comes to. Reads only.

    Args:
        machine: with the sandbox.
        wish: with its interface's name.

    Raises:
        RequestError: the sandbox has none such.
    """
    keys = tuple((sysctl.key, None) for sysctl in wish.sysctls if IFNAME not in sysctl.key)
    found = machine.insides.sysctls(machine.sandbox, keys)
    for key, before in found.items():
        if before is None:
            raise RequestError("", f"there is no sysctl {key.replace('/', '.')} in the container",
                               "leave it out: this kernel has it not, or not yet")  # fmt: skip
    return tuple(
        InsideSysctl(sysctl.of(wish.ifname), sysctl.value, found.get(sysctl.key))
        for sysctl in wish.sysctls
    )
