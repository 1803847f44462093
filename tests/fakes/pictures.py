"""Pictures of hosts that never were, and names that whoever shows them has to survive."""

from __future__ import annotations

from ocinet.base.address import Address, Interface, Subnet
from ocinet.picture import values
from ocinet.picture.values import (
    BROKEN,
    REFUSED,
    RUNNING,
    UP,
    Container,
    Figures,
    Flaw,
    Network,
    Picture,
    Pool,
    Published,
    Uplink,
)

FIGURES = Figures(1500, 10, 0, 2_000_000, 20, 1, 3)
_SINCE = "2026-01-02T03:04:05Z"
# What means something to a terminal, to XML, DOT, Mermaid or Markdown, or to an eye.
HOSTILE = (
    '"];evil [label="', "</text><script>alert(1)</script>", "a&b&amp;c", "x\ny", "\\", "\\N\\G\\l",
    'a\\"b', "\x1b[31mred\x1b[0m", "\u202egnp.exe", "\udcff", "\x00", "end", "]]>", "--", "%%",
    "#quot;", "`md`", "{{x}}", "subgraph", "日本語", "e\u0301", "w" * 4096, "'", "<b>", "\ufffe",
    "|x|", "a;b", " ", "",
)  # fmt: skip


def interface(network: str = "lan", address: str = "10.9.0.2/24", name: str = "eth0",
              **changes: object) -> values.Interface:  # fmt: skip
    """Return an interface that is up."""
    made = values.Interface(
        name, f"oc-{name}", network, "02:00:00:00:00:01", (Interface.parse(address),), UP, FIGURES
    )
    return made.replace(**changes)


def container(name: str = "web", state: str = RUNNING, *interfaces: values.Interface,
              **changes: object) -> Container:  # fmt: skip
    """Return a container, on `lan` unless it was refused or is said to be elsewhere."""
    own = interfaces or (() if state == REFUSED else (interface(),))
    made = Container(
        f"{name}-id", name, "hook", "bridge", state, "", "", "2026-01-02T03:04:05Z", own
    )
    return made.replace(**changes)


def published(host_port: int = 8080, port: int = 80, count: int = 1) -> Published:
    """Return a port that is published on all addresses."""
    to = Address.parse("10.9.0.2")
    return Published(None, host_port, to, port, "tcp", "lan", count)


def network(name: str = "lan", subnet: str = "10.9.0.0/24", **changes: object) -> Network:
    """Return a network whose bridge is up."""
    whole = Subnet.parse(subnet)
    pool = Pool(whole, whole.first + 1, 253, 2, 1)
    made = Network(name, f"br-{name}"[:15], adopted=False, internal=False, state=UP, pools=(pool,),
                   mtu=1500, figures=FIGURES)  # fmt: skip
    return made.replace(**changes)


UPLINK = Uplink("eth0", UP, (Interface.parse("192.0.2.10/24"),), FIGURES)


def picture(*containers: Container, **changes: object) -> Picture:
    """Return a host with `lan`, and an internal `data`."""
    networks = (network("data", "10.8.0.0/24", internal=True), network())
    made = Picture("2026-01-02T03:04:05.678Z", "shop-1", (UPLINK,), networks, containers)
    return made.replace(**changes)


def linked() -> Picture:
    """Return two containers that are linked with each other, one of them on no network."""
    ends = [
        values.Wire("web-db", "link0", (Interface.parse(f"10.7.0.{at}/31"),), peer)
        for at, peer in enumerate(("db-id", "web-id"))
    ]
    web = container("web", wires=(ends[0],))
    return picture(web, container("db", wires=(ends[1],)).replace(interfaces=(), mode="none"))


def few() -> Picture:
    """Return five containers: one on two networks, a member, one broken, one refused."""
    return picture(
        container("web", published=(published(), published(9000, 9000, 10))),
        container("api", RUNNING, interface(address="10.9.0.3/24"),
                  interface("data", "10.8.0.2/24", "eth1")),
        container("cache", BROKEN, interface(address="10.9.0.4/24"),
                  why="oc-eth0, the host end of eth0, is down",
                  hint="ocinet check --repair cache"),
        container("tool", RUNNING, mode="container", shares="web-id").replace(interfaces=()),
        container("worker", REFUSED, why="cannot attach worker: there is no network lann",
                  hint="did you mean lan?", mode=""),
        flaws=(Flaw("the table inet ocinet is gone", "ocinet check --repair"),),
    )  # fmt: skip


def many(count: int = 200) -> Picture:
    """Return so many containers on `lan`, two of them broken, and two that were refused."""
    made = [
        container(
            f"web-{at}",
            BROKEN if at in (50, 150) else RUNNING,
            interface(address=f"10.9.{at // 250}.{at % 250 + 2}/24"),
            why="eth0 is gone" if at in (50, 150) else "",
        )
        for at in range(count - 2)
    ]
    made += [container(f"bad-{at}", REFUSED, why="there is no network x") for at in (1, 2)]
    return picture(*made)


def hostile() -> Picture:
    """Return a host on which every text is somebody's attempt."""
    made = [
        container(name, (RUNNING, BROKEN, REFUSED)[at % 3], why=name, hint=name, door=name)
        for at, name in enumerate(HOSTILE)
    ]
    return picture(*made, hostname=HOSTILE[0], flaws=(Flaw(HOSTILE[1], HOSTILE[2]),))
