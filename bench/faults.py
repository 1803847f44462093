"""What others do to a host that breaks a container's network: one command each.

They are measured (`repair`), and each is a case of the tests of what repairs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment


class Fault(NamedTuple):
    """One way to break it.

    Attributes:
        command: for a shell; BRIDGE, END and NAME stand for the bridge, the host end and the
            name of the sandbox.
        told: a part of what is said of it, likewise.
        inside: whether the command runs in the sandbox, as root of the host may.
    """

    command: str
    told: str
    inside: bool = False

    def command_on(self, record: Attachment) -> str:
        """Return the command, for a container with one interface."""
        return self._of(self.command, record)

    def told_of(self, record: Attachment) -> str:
        """Return what is said of it, for a container with one interface."""
        return self._of(self.told, record)

    def _of(self, text: str, record: Attachment) -> str:
        [endpoint] = record.endpoints
        named = text.replace("BRIDGE", endpoint.device).replace("END", endpoint.host_ifname)
        return named.replace("NAME", record.netns_name)


_OFF = "echo 0 > /proc/sys/net"
FAULTS = {
    "ruleset flushed": Fault("nft flush ruleset", "the table inet ocinet is gone"),
    "table deleted": Fault("nft delete table inet ocinet", "the table inet ocinet is gone"),
    "chain flushed": Fault("nft flush chain inet ocinet postrouting", "chain postrouting"),
    "chain deleted": Fault(
        "nft flush chain inet ocinet forward; nft delete chain inet ocinet forward",
        "chain forward is gone",
    ),
    "rule added": Fault(
        "nft insert rule inet ocinet forward drop", "chain forward has been changed"
    ),
    "element gone": Fault(
        "nft delete element inet ocinet publish4 { tcp . 8081 }", "publish4 lacks 1"
    ),
    "set flushed": Fault("nft flush set inet ocinet same", "set same lacks 1"),
    "bridge down": Fault("ip link set BRIDGE down", "BRIDGE is down"),
    "bridge deleted": Fault("ip link del BRIDGE", "BRIDGE is gone"),
    "bridge renamed": Fault("ip link set BRIDGE down name other", "BRIDGE is gone"),
    "bridge without its address": Fault("ip addr flush dev BRIDGE", "BRIDGE lacks its address"),
    "bridge without its route": Fault("ip route flush dev BRIDGE", "BRIDGE lacks the route to"),
    "bridge with another MTU": Fault("ip link set BRIDGE mtu 1280", "BRIDGE has an MTU of 1280"),
    "host end down": Fault("ip link set END down", "END, the host end of eth0, is down"),
    "host end off the bridge": Fault(
        "ip link set END nomaster", "END, the host end of eth0, is off BRIDGE"
    ),
    "host end deleted": Fault("ip link del END", "eth0 is gone, and its host end END"),
    "host end renamed": Fault("ip link set END down name other0", "END"),
    "host end moved": Fault(
        "ip netns add elsewhere && ip link set END netns elsewhere",
        "END",
    ),
    "host end with another MTU": Fault(
        "ip link set END mtu 1280", "the host end of eth0, has an MTU of 1280"
    ),
    "hairpin mode off": Fault("bridge link set dev END hairpin off", "sends nothing back"),
    "host end isolated": Fault("bridge link set dev END isolated on", "lacks isolated off"),
    "host end locked": Fault("bridge link set dev END locked on", "lacks locked off"),
    "host end that floods nothing": Fault(
        "bridge link set dev END flood off mcast_flood off bcast_flood off", "lacks flood on"
    ),
    "host end disabled": Fault("bridge link set dev END state 0", "lacks state forwarding"),
    "bridge without ARP": Fault("ip link set BRIDGE arp off", "BRIDGE neither asks nor answers"),
    "guard gone": Fault("tc qdisc del dev END clsact", "END, the host end of eth0, is not guarded"),
    "guard replaced": Fault(
        "tc filter replace dev END ingress pref 1 handle 0x6f63 bpf da bytecode '1,6 0 0 -1,'",
        "END, the host end of eth0, is not guarded",
    ),
    "ip_forward off": Fault(f"{_OFF}/ipv4/ip_forward", "net/ipv4/ip_forward is 0"),
    "route_localnet off": Fault(f"{_OFF}/ipv4/conf/BRIDGE/route_localnet", "route_localnet"),
    "accept_ra on": Fault("echo 1 > /proc/sys/net/ipv6/conf/BRIDGE/accept_ra", "accept_ra is 1"),
    "name gone": Fault("ip netns del NAME", "its name NAME under /run/netns is gone"),
    "address gone inside": Fault("ip addr flush dev eth0", "eth0 lacks", inside=True),
    "route gone inside": Fault("ip route del default", "the route to 0.0.0.0/0", inside=True),
    "lo down inside": Fault("ip link set lo down", "lo is down", inside=True),
    "eth0 down inside": Fault("ip link set eth0 down", "eth0 lacks", inside=True),
    "eth0 with another MTU inside": Fault(
        "ip link set eth0 mtu 1280", "eth0 has an MTU of 1280", inside=True
    ),
    "eth0 with another MAC inside": Fault(
        "ip link set eth0 address 02:fc:00:00:00:01", "eth0 has the MAC 02:fc", inside=True
    ),
}
FAULTS_OF_IPV6 = {
    "IPv6 off on the bridge": Fault(
        "echo 1 > /proc/sys/net/ipv6/conf/BRIDGE/disable_ipv6", "BRIDGE lacks its address"
    ),
    "IPv6 off everywhere": Fault(
        "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6", "BRIDGE lacks its address"
    ),
    "IPv6 off inside": Fault(
        "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6", "eth0 lacks", inside=True
    ),
}
