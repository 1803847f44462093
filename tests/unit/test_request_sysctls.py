"""Which kernel parameters a container may ask for, and how they are written."""

from __future__ import annotations

import pytest

from ocinet.base.errors import RequestError
from ocinet.engine.model.request import Sysctl
from ocinet.request.annotations import parse_annotations
from ocinet.request.spelling import to_annotations
from ocinet.request.trust import needs_trust


def test_sysctls_are_read_with_dots_or_slashes_and_written_with_dots() -> None:
    """Of an interface, of all, of the sandbox; on each network its own."""
    said = {
        "ocinet.net": "lan:sysctl=net.ipv4.conf.IFNAME.log_martians=1;"
        "dmz:sysctl=net/ipv4/conf/IFNAME/log_martians=0,sysctl=net.core.somaxconn = 4096 ,"
        "sysctl=net.ipv4.ip_local_port_range=2000   3000"
    }
    parsed = parse_annotations(said)
    assert parsed is not None
    lan, dmz = parsed.endpoints
    assert lan.sysctls == (Sysctl("net/ipv4/conf/IFNAME/log_martians", "1"),)
    assert dmz.sysctls == (
        Sysctl("net/ipv4/conf/IFNAME/log_martians", "0"),
        Sysctl("net/core/somaxconn", "4096"),
        Sysctl("net/ipv4/ip_local_port_range", "2000 3000"),
    )
    assert lan.sysctls[0].of("eth0.5") == "net/ipv4/conf/eth0.5/log_martians"
    assert parse_annotations(to_annotations(parsed)) == parsed
    assert "sysctls" in needs_trust(parsed)


@pytest.mark.parametrize(
    "key",
    [
        "net.ipv4.conf.IFNAME.rp_filter", "net.ipv4.conf.all.rp_filter",
        "net.ipv4.neigh.IFNAME.gc_stale_time", "net.ipv6.neigh.IFNAME.retrans_time_ms",
        "net.ipv6.conf.IFNAME.forwarding", "net.ipv4.tcp_congestion_control",
        "net.ipv4.ip_unprivileged_port_start", "net.ipv6.bindv6only",
        "net.netfilter.nf_conntrack_tcp_timeout_established", "net.unix.max_dgram_qlen",
    ],
)  # fmt: skip
def test_sysctl_of_ones_own_network_may_be_asked_for(key: str) -> None:
    """All of these are one namespace's alone."""
    assert parse_annotations({"ocinet.sysctl": f"{key}=1"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("net.core.somaxconn", "'net.core.somaxconn' is no sysctl (hint: write net.KEY=VALUE)"),
        ("net.core.somaxconn=", "is no sysctl"),
        ("net.core.somaxconn=1;2", "is no sysctl"),
        ("net.core.somaxconn=\u0661", "is no sysctl"),
        ("kernel.panic=1", "'kernel.panic' can't be set: it is none of a container's own network"),
        ("net/../kernel/panic=1", "it is none of a container's own network"),
        ("net//core/somaxconn=1", "can't be set"),
        ("net.core.rmem_max=1", "it is the host's, or none that is known"),
        ("net.core.somaxcon=1", "did you mean net.core.somaxconn?"),
        ("net.ipv4.conf.IFNAME.log_martian=1", "did you mean log_martians?"),
        ("net.ipv4.conf.eth0.log_martians=1", "(hint: write IFNAME in its place)"),
        ("net.ipv4.conf.default.log_martians=1", "(hint: write IFNAME in its place)"),
        ("net.ipv4.neigh.all.gc_stale_time=1", "(hint: write IFNAME in its place)"),
        ("net.ipv4.tcp_x/y=1", "can't be set"),
        ("net.ipv6.conf.IFNAME.disable_ipv6=0", "it is on where the container has an address"),
        ("net.ipv6.conf.all.accept_ra=1", "a sibling could give it routes"),
        ("net.ipv6.conf.IFNAME.accept_dad=1", "its addresses are nobody else's"),
        ("net.ipv6.conf.IFNAME.use_tempaddr=2", "what it sends from other addresses"),
        ("net.ipv4.conf.IFNAME.arp_notify=0", "ocinet announces addresses by it"),
        ("net.ipv4.conf.IFNAME.route_localnet=1", "the container's own 127.0.0.1"),
        ("net.ipv6.conf.IFNAME.mtu=1400", "an MTU is asked for by ocinet.mtu"),
        ("net.core.somaxconn=1,net.core.somaxconn=2", "the sysctl net/core/somaxconn comes twice"),
    ],
)  # fmt: skip
def test_sysctl_that_may_not_be_set_is_refused_with_why(text: str, said: str) -> None:
    """The host's, unknown ones, and those that ocinet lives by."""
    with pytest.raises(RequestError) as caught:
        parse_annotations({"ocinet.sysctl": text})
    assert said in str(caught.value)
