"""Which rules a packet meets, told by the kernel: nft's tracing, for one flow.

A table of our own marks the flow's packets before any other rule sees them, and both ways.
nft owns it (`flags owner`, Linux 5.12): it is gone with that process, however this one
ends. What the packet meets then, in whichever table, nft prints in its own words.
Tables of iptables-legacy are none of nftables', and are not told of.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from ocinet.base.errors import SystemFailure
from ocinet.engine.firewall import programs
from ocinet.engine.model.flow import LEAVES, TracedRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocinet.engine.model.flow import Flow

TABLE = "ocinet-trace"
_START_S = 10.0  # nft reads the whole ruleset first
_QUIET_S = 0.2  # after a packet's last line
_BEFORE_ALL = -400  # NF_IP_PRI_RAW_BEFORE_DEFRAG is the first that others can name by a word
_AFTER_CONNTRACK = -199  # NF_IP_PRI_CONNTRACK is -200
_LAST = 1000  # behind source NAT, and whatever else looks at what leaves
_IP = {4: "ip", 6: "ip6"}
_ICMP = {4: "icmp", 6: "icmpv6"}
_TOO_LONG = {4: "icmp type destination-unreachable", 6: "icmpv6 type packet-too-big"}
_TRACE_GROUP = 1 << 8  # NFNLGRP_NFTRACE, 9, in /proc/net/netlink's mask
_NETFILTER = 12
_LINE = re.compile(
    r"trace id (?P<id>\w+) (?P<chain>\S+ \S+ \S+) "
    r"(?:(?P<packet>packet: .*)|rule (?P<rule>.*) \(verdict (?P<verdict>[^)]*)\)"
    r"|(?:policy|verdict) (?P<policy>\w+).*)"
)


def commands(flow: Flow, keep: str = "", uplink: str = "") -> list[str]:
    """Return the lines for nft that have a flow traced.

    Args:
        flow: to be traced, both ways.
        keep: which way's packets are dropped at the very end, `original` or `reply`: those
            that would leave the machine; "" none.
        uplink: what would leave by it is let go as far as that link, so that conntrack has
            the flow; and what others say of its packets' length is traced, too. Takes Linux
            5.16.
    """
    table = f"inet {TABLE}"
    ip, first = _IP[flow.family], _first_packet(flow)
    # Of the answer only conntrack knows whose it is: it may be for an address of the host's.
    known = f"meta l4proto {_protocol(flow)} ct original {ip} saddr {flow.source}"
    if flow.protocol != "icmp":
        known += f" ct original proto-src {flow.source_port}"
    lines = [f"add table {table} {{ flags owner; }}"]
    for hook, at in (("prerouting", "in"), ("output", "out")):
        lines += [
            f"add chain {table} {at} {{ type filter hook {hook} priority {_BEFORE_ALL}; }}",
            f"add rule {table} {at} {first} meta nftrace set 1",
            f"add chain {table} {at}-ct {{ type filter hook {hook} priority {_AFTER_CONNTRACK}; }}",
            f"add rule {table} {at}-ct {known} meta nftrace set 1",
        ]
        if uplink:
            told = f"{ip} daddr {flow.source} {_TOO_LONG[flow.family]}"
            lines.append(f"add rule {table} {at} {told} meta nftrace set 1")
    if keep:
        elsewhere = f'oifname != "{uplink}" ' if uplink else ""
        lines += [
            f"add chain {table} kept {{ type filter hook postrouting priority {_LAST}; }}",
            f"add rule {table} kept {elsewhere}ct direction {keep} {known} drop",
        ]
    if uplink:
        egress = f'type filter hook egress device "{uplink}" priority {_LAST};'
        lines += [
            f"add table netdev {TABLE} {{ flags owner; }}",
            f"add chain netdev {TABLE} kept {{ {egress} }}",
            f"add rule netdev {TABLE} kept {ip} daddr {flow.destination} drop",
        ]
    return lines


def _protocol(flow: Flow) -> str:
    return _ICMP[flow.family] if flow.protocol == "icmp" else flow.protocol


def _first_packet(flow: Flow) -> str:
    ip = _IP[flow.family]
    ends = f"{ip} saddr {flow.source} {ip} daddr {flow.destination}"
    if flow.protocol == "icmp":
        return f"{ends} {_ICMP[flow.family]} id {flow.source_port}"
    return f"{ends} {flow.protocol} sport {flow.source_port} {flow.protocol} dport {flow.port}"


class Trace:
    """Has a flow traced for the length of a `with` block.

    Args:
        flow: whose packets, both ways.
        keep: see `commands`.
        uplink: likewise.

    Raises:
        NotFoundError: on entry, nft is not installed.
        SystemFailure: on entry, nft refuses, or does not begin within 10 s.
    """

    def __init__(self, flow: Flow, keep: str = "", uplink: str = "") -> None:
        self._flow = flow
        self._lines = commands(flow, keep, uplink)
        self._children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Trace:
        """Mark the flow, and listen."""
        nft = programs.find("nftables", "nft")
        try:
            self._mark(self._start(nft, "-i"))
            self._await_listening(self._start(nft, "monitor", "trace"))
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        """Leave nothing: the table goes with its process."""
        self._stop()

    def rules(self) -> tuple[TracedRule, ...]:
        """Return what the packets have met so far; waits until nothing more is told."""
        return tuple(parse(self._told(self._children[-1], _QUIET_S).splitlines(), self._flow))

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        child = subprocess.Popen(
            words, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, cwd="/", env={"LC_ALL": "C"}
        )
        self._children.append(child)
        return child

    def _mark(self, owner: subprocess.Popen[bytes]) -> None:
        stdin: Any = owner.stdin
        stdin.write("\n".join([*self._lines, f"list table inet {TABLE}", ""]).encode())
        stdin.flush()
        told = self._told(owner, _START_S, until="\n}\n")
        if "Error" in told or "\n}\n" not in told:
            why = next((line for line in told.splitlines() if "Error" in line), "it says nothing")
            raise SystemFailure("cannot trace a packet", f"nft: {why}", "it takes Linux 5.12")

    def _await_listening(self, monitor: subprocess.Popen[bytes]) -> None:
        end = monotonic() + _START_S
        while not _listens(monitor.pid):
            if monitor.poll() is not None or monotonic() > end:
                told = self._told(monitor, 0.0).strip()
                raise SystemFailure("cannot trace a packet", f"nft monitor does not begin: {told}")
            sleep(0.01)

    def _told(self, child: subprocess.Popen[bytes], quiet_s: float, until: str = "") -> str:
        """Return what it prints, until that, or until it is quiet for so long."""
        stdout: Any = child.stdout
        fd = stdout.fileno()
        data = b""
        while select.select([fd], [], [], quiet_s)[0]:
            chunk = os.read(fd, 1 << 16)
            data += chunk
            if not chunk or (until and until.encode() in data):
                break
        return data.decode(errors="replace")

    def _stop(self) -> None:
        for child in self._children:
            child.kill()
            for pipe in (child.stdin, child.stdout):
                if pipe:
                    pipe.close()
            child.wait()
        self._children.clear()


def _listens(pid: int) -> bool:
    """Tell whether a process has subscribed to traces: its port bears its pid."""
    with open("/proc/net/netlink", encoding="ascii") as sockets:
        for line in sockets.read().splitlines()[1:]:
            _socket, protocol, port, groups, *_rest = line.split()
            if (int(protocol), int(port)) == (_NETFILTER, pid) and int(groups, 16) & _TRACE_GROUP:
                return True
    return False


def parse(lines: Iterable[str], flow: Flow) -> Iterator[TracedRule]:
    """Read what `nft monitor trace` prints of a flow.

    Of our own table's rules there is one that counts: the last, by which it would leave.

    A packet is told of once for each chain that it comes by. What follows the first of each
    way is left out: it fares as that did.

    Args:
        lines: as printed.
        flow: a packet to its source is one of the way back.
    """
    packets: dict[str, str] = {}
    seen, answered = set(), False
    for line in lines:
        match = _LINE.match(line)
        if not match:
            continue
        told: dict[str, Any] = match.groupdict()
        if told["packet"]:
            packets[told["id"]] = told["packet"]
            continue
        chain, packet = told["chain"], packets.get(told["id"], "")
        verdict = told["verdict"] or told["policy"]
        if chain.split()[1] == TABLE:
            if verdict != "drop":
                continue
            chain, verdict = "", LEAVES
        text = "" if verdict == LEAVES else _plain(told["rule"] or "")
        rule = TracedRule(chain, text, verdict, _is_answer(packet, flow), _is_reset(packet))
        if rule not in seen and (rule.is_answer or not answered):
            seen.add(rule)
            answered = answered or rule.is_answer
            yield rule


def _plain(rule: str) -> str:
    return re.sub(r" ?counter packets \d+ bytes \d+", "", rule).strip()


def _is_answer(packet: str, flow: Flow) -> bool:
    """Tell it by the port that is asked from, which no NAT changes without need."""
    if flow.protocol == "icmp":
        return "echo-reply" in packet
    if f"daddr {flow.source} " in packet and _TOO_LONG[flow.family] in packet:
        return True
    return f"{flow.protocol} dport {flow.source_port} " in packet


def _is_reset(packet: str) -> bool:
    flags = re.search(r"tcp flags == (\S+)", packet)
    return bool(flags) and ("rst" in flags[1] or flags[1] == "0x14")  # type: ignore[index]
