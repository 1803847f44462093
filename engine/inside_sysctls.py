"""Kernel parameters that containers ask for: what a sandbox had before them."""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.engine.model.endpoint import InsideSysctl
from ocinet.engine.model.request import IFNAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.request import EndpointRequest
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.plan.wiring import Granted


def with_sysctls(machine: Machine, granted: Granted) -> Granted:
    """Return what is granted, with the parameters that are wished. Reads only.

    Args:
        machine: with the sandbox.
        granted: with the names of interfaces.

    Raises:
        RequestError: the sandbox has none such.
    """
    each = zip(granted.missing.endpoints, granted.grants, strict=True)
    grants = (grant.replace(sysctls=_granted(machine, wish)) for wish, grant in each)
    return granted.replace(grants=tuple(grants))


def _granted(machine: Machine, wish: EndpointRequest) -> tuple[InsideSysctl, ...]:
    keys = tuple((sysctl.key, None) for sysctl in wish.sysctls if IFNAME not in sysctl.key)
    found = machine.marks.sysctls(machine.sandbox, keys)
    for key, before in found.items():
        if before is None:
            raise RequestError("", f"there is no sysctl {key.replace('/', '.')} in the container",
                               "leave it out: this kernel has it not, or not yet")  # fmt: skip
    return tuple(
        InsideSysctl(sysctl.of(wish.ifname), sysctl.value, found.get(sysctl.key))
        for sysctl in wish.sysctls
    )
