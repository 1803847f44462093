"""Kernel parameters of a container's own network: how they are written, and which may be set.

    net.ipv4.conf.IFNAME.log_martians=1     of one interface, by whatever name it gets
    net.ipv4.conf.all.rp_filter=2           of all of them
    net.core.somaxconn=4096                 of the sandbox

As docker's `com.docker.network.endpoint.sysctls` has them, and as `sysctl -w`; with dots or
slashes. Only what each network namespace has for itself, and ocinet does not live by.
"""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.base.names import did_you_mean
from ocinet.engine.model.request import IFNAME, Sysctl
from ocinet.request.grammar import BLANK, quote

_PART = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")
_VALUE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:.- \t")
_LONGEST = 160
_UNKNOWN = "it is the host's, or none that is known to be a container's own"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CONF = {
    "ipv4": _words(
        "accept_local accept_redirects arp_accept arp_announce arp_evict_nocarrier arp_filter"
        " arp_ignore disable_policy disable_xfrm drop_gratuitous_arp drop_unicast_in_l2_multicast"
        " force_igmp_version forwarding igmpv2_unsolicited_report_interval"
        " igmpv3_unsolicited_report_interval ignore_routes_with_linkdown log_martians"
        " promote_secondaries proxy_arp proxy_arp_pvlan rp_filter secure_redirects send_redirects"
        " shared_media src_valid_mark"
    ),
    "ipv6": _words(
        "accept_redirects disable_policy drop_unicast_in_l2_multicast drop_unsolicited_na"
        " force_mld_version forwarding hop_limit ignore_routes_with_linkdown"
        " mldv1_unsolicited_report_interval mldv2_unsolicited_report_interval ndisc_tclass"
        " proxy_ndp suppress_frag_ndisc"
    ),
}
_NEIGH = _words(
    "anycast_delay app_solicit base_reachable_time_ms delay_first_probe_time gc_stale_time"
    " mcast_resolicit mcast_solicit proxy_delay proxy_qlen retrans_time_ms ucast_solicit"
    " unres_qlen unres_qlen_bytes"
)
_OF_SANDBOX = _words(
    "net/core/somaxconn net/unix/max_dgram_qlen net/ipv4/fib_multipath_hash_policy"
    " net/ipv4/fib_multipath_use_neigh net/ipv4/fwmark_reflect net/ipv4/icmp_echo_ignore_all"
    " net/ipv4/icmp_echo_ignore_broadcasts net/ipv4/icmp_ignore_bogus_error_responses"
    " net/ipv4/icmp_ratelimit net/ipv4/icmp_ratemask net/ipv4/igmp_max_memberships"
    " net/ipv4/igmp_max_msf net/ipv4/igmp_qrv net/ipv4/ip_default_ttl net/ipv4/ip_dynaddr"
    " net/ipv4/ip_early_demux net/ipv4/ip_forward net/ipv4/ip_forward_use_pmtu"
    " net/ipv4/ip_local_port_range net/ipv4/ip_local_reserved_ports net/ipv4/ip_no_pmtu_disc"
    " net/ipv4/ip_nonlocal_bind net/ipv4/ip_unprivileged_port_start net/ipv4/ping_group_range"
    " net/ipv4/udp_early_demux net/ipv4/udp_rmem_min net/ipv4/udp_wmem_min"
    " net/ipv6/anycast_src_echo_reply net/ipv6/auto_flowlabels net/ipv6/bindv6only"
    " net/ipv6/fib_multipath_hash_policy net/ipv6/flowlabel_consistency"
    " net/ipv6/flowlabel_state_ranges net/ipv6/fwmark_reflect net/ipv6/icmp/echo_ignore_all"
    " net/ipv6/icmp/ratelimit net/ipv6/ip_nonlocal_bind"
)
_PREFIXES = ("net/ipv4/tcp_", "net/netfilter/nf_conntrack_")

# What ocinet itself sets, or lives by, by what is said to who wants it otherwise.
_OURS = {
    "it is on where the container has an address of IPv6, and off where it has none":
        ("disable_ipv6",),
    "routers' advertisements are not taken, for a sibling could give it routes by them":
        ("accept_ra", "accept_ra_defrtr", "accept_ra_pinfo", "accept_ra_from_local", "autoconf"),
    "its addresses are nobody else's, and used at once":
        ("accept_dad", "dad_transmits", "enhanced_dad", "optimistic_dad", "use_optimistic"),
    "what it sends from other addresses than those that it was given is dropped":
        ("addr_gen_mode", "use_tempaddr", "stable_secret"),
    "ocinet announces addresses by it": ("arp_notify", "ndisc_notify"),
    "it would open what listens on the container's own 127.0.0.1 to its network":
        ("route_localnet",),
    "an MTU is asked for by ocinet.mtu": ("mtu",),
}  # fmt: skip


def read_sysctl(text: str) -> Sysctl:
    """Read `KEY=VALUE`.

    Raises:
        RequestError: it is none, or none that a container may have otherwise.
    """
    key, equals, value = text.partition("=")
    key, value = key.strip(BLANK), " ".join(value.split())
    if len(text) > _LONGEST or not equals or not value or not _VALUE.issuperset(value):
        raise RequestError("", f"{quote(text)} is no sysctl", "write net.KEY=VALUE")
    parts = key.split("/" if "/" in key else ".")
    path = "/".join(parts)
    refused = _why_not(path, parts)
    if refused:
        why, hint = refused
        raise RequestError("", f"{quote(key)} can't be set: {why}", hint)
    return Sysctl(path, value)


def _why_not(path: str, parts: list[str]) -> tuple[str, str] | None:
    """Return why a parameter may not be set, and what helps; None if it may."""
    if parts[0] != "net" or not all(part == IFNAME or _PART.issuperset(part) for part in parts):
        return "it is none of a container's own network", "they begin with net."
    if len(parts) == 5 and parts[1] in _CONF and parts[2] in ("conf", "neigh"):
        return _why_not_of_interface(parts)
    if path in _OF_SANDBOX or (path.startswith(_PREFIXES) and len(parts) == 3):
        return None
    known = [each.replace("/", ".") for each in _OF_SANDBOX]
    return _UNKNOWN, did_you_mean(".".join(parts), known)


def _why_not_of_interface(parts: list[str]) -> tuple[str, str] | None:
    _, family, group, place, name = parts
    for why, names in _OURS.items():
        if name in names:
            return why, ""
    if place != IFNAME and (group, place) != ("conf", "all"):
        hint = f"write {IFNAME} in its place"
        return f"what {quote(place)} is, shows when the container starts", hint
    known = _CONF[family] if group == "conf" else _NEIGH
    return None if name in known else (_UNKNOWN, did_you_mean(name, known))
