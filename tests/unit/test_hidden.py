"""What `nft list chains` and mountinfo say, read without a kernel."""

from __future__ import annotations

from ocinet.engine.kernel.other_mounts import _unescaped
from ocinet.engine.probing.hidden import HookedChain, parse_chains

_LISTED = """\
table inet ocinet {
\tchain elsewhere {
\t}
\tchain prerouting {
\t\ttype nat hook prerouting priority dstnat; policy accept;
\t}
}
table netdev x {
\tchain f {
\t\ttype filter hook ingress devices = { lo, "uplink.7" } priority filter - 5; policy drop;
\t}
\tchain g {
\t\ttype filter hook egress device "eth0" priority 0; policy accept;
\t}
\tchain h {
\t\ttype filter hook egress device eth1 priority 10;
\t}
}
"""


def test_list_of_chains_tells_devices_hooks_and_policies() -> None:
    """Of one device, of several, with and without quotes and a policy; and of none."""
    assert tuple(parse_chains(_LISTED.splitlines())) == (
        HookedChain("inet ocinet prerouting", "nat", "prerouting", (), "accept"),
        HookedChain("netdev x f", "filter", "ingress", ("lo", "uplink.7"), "drop"),
        HookedChain("netdev x g", "filter", "egress", ("eth0",), "accept"),
        HookedChain("netdev x h", "filter", "egress", ("eth1",), "accept"),
    )


def test_place_of_a_mount_may_have_blanks() -> None:
    """As mountinfo spells them (proc(5)), and backslashes."""
    assert _unescaped(rb"/srv/a\040b\134c") == rb"/srv/a b\c"
