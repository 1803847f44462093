"""A data plane's device: made, changed to what it is to be, taken away."""

from __future__ import annotations

from errno import EAFNOSUPPORT, EEXIST, EINVAL, ENODEV, EOPNOTSUPP

from ocinet.base.errors import ConflictError, KernelError, SystemFailure
from ocinet.cluster.plane import messages
from ocinet.cluster.plane.plane import Changes
from ocinet.engine.kernel import sysctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.cluster.plane.kernel import Kernel
    from ocinet.cluster.plane.messages import Device

_DISABLED = "net/ipv6/conf/{}/disable_ipv6"


def ensure_device(kernel: Kernel, wished: Device, *, ipv6: bool) -> tuple[Device, Changes]:
    """Have a device, up, as it is to be.

    Where it can't be changed it is made anew, and what lay on it is gone.

    Args:
        kernel: where.
        wished: what it is to be.
        ipv6: whether it has to have IPv6.

    Returns:
        The device as it is now, and what was done.

    Raises:
        ConflictError: a link of another kind has its name, or another one its VNI.
        KernelError: the kernel refused, as without a module for that kind.
    """
    there = kernel.device(wished.ifname)
    if there is not None and there.kind != wished.kind:
        raise ConflictError(
            "", f"there is a link {wished.ifname} that is no {wished.kind}, but "
            f"{there.kind or 'a plain one'}", f"ip link set {wished.ifname} name ANOTHER"
        )  # fmt: skip
    made: list[str] = []
    if there is not None and _is_another(there, wished):
        _delete(kernel, there)
        there = None
    if there is None:
        _make(kernel, wished)
        there = _get(kernel, wished.ifname)
        made.append(f"device {wished.ifname}")
    made += _change(kernel, there, wished)
    _allow_ipv6(there.ifname, ipv6=ipv6)
    return _get(kernel, wished.ifname), Changes(tuple(made))


def device_flaws(there: Device | None, wished: Device) -> tuple[str, ...]:
    """Return in what a device is not as it is to be, a line each for people."""
    if there is None:
        return (f"device {wished.ifname} is missing",)
    flaws = []
    for field in ("kind", "vni", "port", "local", "strange", "mac", "mtu", "up", "master"):
        is_so, should = getattr(there, field), getattr(wished, field)
        if is_so != should and not (field == "mac" and not wished.mac):
            flaws.append(f"device {wished.ifname}: {field} is {is_so}, not {should}")
    return tuple(flaws)


def remove_device(kernel: Kernel, ifname: str, kind: str) -> Changes:
    """Take a device away, with all that is on it; not there is fine, another kind stays."""
    there = kernel.device(ifname)
    if there is None or there.kind != kind:
        return Changes()
    _delete(kernel, there)
    return Changes(removed=(f"device {ifname}",))


def _is_another(there: Device, wished: Device) -> bool:
    """Tell whether a device can't become what is wished by any change."""
    family = there.local.family if there.local else 0
    same = (there.vni, there.port, there.strange) == (wished.vni, wished.port, False)
    return not same or family != (wished.local.family if wished.local else 0)


def _make(kernel: Kernel, wished: Device) -> None:
    what = f"cannot make the device {wished.ifname}"
    try:
        kernel.tell(messages.new_device(wished), what)
    except KernelError as error:
        if error.errno == EEXIST and wished.kind == "vxlan":
            raise ConflictError(
                what, f"another device has VNI {wished.vni} at port {wished.port}",
                "see: ip -d link show type vxlan",
            ) from error  # fmt: skip
        if error.errno in (EOPNOTSUPP, ENODEV):
            raise SystemFailure(
                what, f"this kernel has no {wished.kind}",
                f"modprobe {wished.kind}, or a kernel that has it",
            ) from error  # fmt: skip
        raise


def _change(kernel: Kernel, there: Device, wished: Device) -> list[str]:
    name, made = there.ifname, []
    what = f"cannot change the device {name}"
    if wished.mac and there.mac != wished.mac:
        kernel.tell(messages.set_mac(there.ifindex, wished.mac), what)
        made.append(f"{name} has {wished.mac}")
    if there.mtu != wished.mtu:
        kernel.tell(messages.set_mtu(there.ifindex, wished.mtu), what)
        made.append(f"{name} has an MTU of {wished.mtu}")
    if there.local != wished.local:
        moved = wished.replace(ifindex=there.ifindex)
        kernel.tell(messages.new_device(moved, change=True), what)
        made.append(f"{name} sends from {wished.local}")
    if not there.up or there.master:
        try:
            kernel.tell(messages.set_no_link_local(there.ifindex), what)
        except KernelError as error:
            if error.errno not in (EAFNOSUPPORT, EINVAL):  # a host without IPv6 needs none
                raise
        kernel.tell(messages.set_up(there.ifindex, alone=bool(there.master)), what)
        made.append(f"{name} is up")
    return made


def _allow_ipv6(ifname: str, *, ipv6: bool) -> None:
    if ipv6 and sysctl.read(_DISABLED.format(ifname)) == "1":
        sysctl.write(_DISABLED.format(ifname), "0")


def _get(kernel: Kernel, ifname: str) -> Device:
    there = kernel.device(ifname)
    if there is None:
        raise SystemFailure(f"cannot make the device {ifname}", "somebody has removed it at once")
    return there


def _delete(kernel: Kernel, there: Device) -> None:
    try:
        kernel.tell(messages.delete_device(there.ifindex), f"cannot remove {there.ifname}")
    except KernelError as error:
        if error.errno != ENODEV:
            raise
