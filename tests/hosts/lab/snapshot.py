"""What a machine looks like, taken with one shell, compared line by line.

A snapshot has facets: links, addresses, routes, rules, files, mounts, names of
namespaces, settings, processes, cgroups. Each is a set of lines, so that a
difference reads as a diff.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

LINK_GROUP = str(0x6F63)
_TABLE = "ocinet"
_SETTINGS = (
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/ipv6/conf/all/forwarding",
    "net/bridge/bridge-nf-call-iptables",
)
# One shell for everything: each nsenter costs more than what it starts.
_LOOK = f"""
ip -j -d address; echo '//'
ip -j -4 route show table all; echo '//'
ip -j -6 route show table all; echo '//'
nft -j list ruleset; echo '//'
ls /run/netns 2>/dev/null; echo '//'
cat /proc/self/mountinfo; echo '//'
for key in {" ".join(_SETTINGS)}; do echo "$key = $(cat /proc/sys/$key 2>/dev/null)"; done
"""
LOOK = ("sh", "-c", _LOOK)
# Engines mount their containers' file systems in the lab's mount namespace, and
# `ip netns` mounts /run/netns on itself once.
_ENGINE_MOUNTS = ("/var/lib/containers", "/var/lib/docker", "/run/docker", "/run/containers")
_KERNEL_ROUTES = ("local", "broadcast", "multicast", "anycast")
_RECORDS = ("/run/ocinet/ipam/", "/run/ocinet/ports/", "/run/ocinet/attachments/")
_PASSING_FILES = (
    "events.jsonl",
    "events.jsonl.1",
    "lock",
    "settings.json",
    "passages.json",
    "table.json",
    "watcher.json",
)


@dataclass(frozen=True)
class Snapshot:
    """Sets of lines by facet; subtracting and comparing is all it can do.

    Attributes:
        facets: lines by facet's name.
    """

    facets: Mapping[str, frozenset[str]]

    def with_facet(self, name: str, lines: Iterable[str]) -> Snapshot:
        """Return a snapshot with one more facet."""
        return Snapshot({**self.facets, name: frozenset(lines)})

    def difference(self, later: Snapshot) -> list[str]:
        """Return what is gone (`-`) and what is new (`+`) in the later one."""
        lines: list[str] = []
        for facet in sorted({*self.facets, *later.facets}):
            before = self.facets.get(facet, frozenset())
            after = later.facets.get(facet, frozenset())
            lines += [f"- {facet}: {line}" for line in sorted(before - after)]
            lines += [f"+ {facet}: {line}" for line in sorted(after - before)]
        return lines

    def without_networks(self) -> Snapshot:
        """Return what belongs to containers and to others, not to our networks.

        A network's bridge, its addresses and routes, the static rules and the
        settings stay when its last container goes; they are left out, and so
        are all of a network's own set elements.
        """
        bridges = {
            line.split()[0]
            for line in self.facets.get("links", ())
            if f"group={LINK_GROUP}" in line and "kind=bridge" in line
        }
        kept = {
            facet: frozenset(line for line in lines if not bridges.intersection(line.split()[:1]))
            for facet, lines in self.facets.items()
        }
        kept["rules"] = frozenset(
            line
            for line in kept.get("rules", ())
            if "port-element" in line
            or not (_TABLE in line or any(f'"{name}"' in line for name in bridges))
        )
        kept["files"] = frozenset(
            line for line in kept.get("files", ()) if line.startswith(_RECORDS)
        )
        kept.pop("settings", None)
        return Snapshot(kept)


def parse(shown: str) -> Snapshot:
    """Make a snapshot of what the `LOOK` command printed."""
    addresses, routes_v4, routes_v6, rules, names, mounts, settings = shown.split("//\n")
    links = json.loads(addresses)
    routes = [*json.loads(routes_v4 or "[]"), *json.loads(routes_v6 or "[]")]
    return Snapshot(
        {
            "links": frozenset(_link_line(link) for link in links),
            "addresses": frozenset(
                f"{link['ifname']} {each['local']}/{each['prefixlen']} {each['scope']}"
                for link in links
                for each in link.get("addr_info", ())
                if "local" in each
            ),
            "routes": frozenset(
                _route_line(route)
                for route in routes
                if route.get("type", "unicast") not in _KERNEL_ROUTES
            ),
            "rules": frozenset(_rule_lines(json.loads(rules)["nftables"])),
            "netns": frozenset(names.split()),
            "mounts": frozenset(_mount_lines(mounts)),
            "settings": frozenset(settings.splitlines()),
        }
    )


def _link_line(link: dict[str, Any]) -> str:
    kind = link.get("linkinfo", {}).get("info_kind", "-")
    group = link.get("group", "-")
    up = "UP" in link["flags"]
    return (
        f"{link['ifname']} kind={kind} group={group} mac={link.get('address')} mtu={link['mtu']}"
        f" master={link.get('master', '-')} up={up} alias={link.get('ifalias', '-')}"
    )


def _route_line(route: dict[str, Any]) -> str:
    words = ("dst", "gateway", "prefsrc", "table", "metric")
    shown = " ".join(f"{word}={route[word]}" for word in words if word in route)
    return f"{route.get('dev', '-')} {route.get('type', 'unicast')} {shown}"


def _mount_lines(mountinfo: str) -> Iterable[str]:
    for line in mountinfo.splitlines():
        fields = line.split()
        if fields[4] != "/run/netns" and not fields[4].startswith(_ENGINE_MOUNTS):
            yield f"{fields[4]} {fields[fields.index('-') + 1]} {fields[3]}"


def _without_passing(value: Any) -> Any:
    """Drop what changes by itself: handles, counts, time that is left."""
    if isinstance(value, dict):
        return {
            key: _without_passing(each)
            for key, each in value.items()
            if key not in ("handle", "packets", "bytes", "expires", "elem")
        }
    return [_without_passing(each) for each in value] if isinstance(value, list) else value


def _rule_lines(objects: list[dict[str, dict[str, Any]]]) -> Iterable[str]:
    for wrapped in objects:
        ((kind, content),) = wrapped.items()
        if kind == "metainfo":
            continue
        yield f"{kind} {json.dumps(_without_passing(content), sort_keys=True)}"
        if kind not in ("set", "map"):
            continue
        words = content["type"] if isinstance(content["type"], list) else [content["type"]]
        label = "port-element" if "inet_service" in words else "element"
        where = f"{content['family']} {content['table']} {content['name']}"
        for element in content.get("elem", ()):
            yield f"{label} {where} {json.dumps(_without_passing(element), sort_keys=True)}"


def files(root: Path, directories: Iterable[str]) -> Iterable[str]:
    """Yield one line for each file and link under some directories.

    Args:
        root: where the lab's root directory is.
        directories: absolute paths there. Locks, logs and caches are left out.
    """
    for directory in directories:
        top = root / directory.lstrip("/")
        for place, _, names in os.walk(top):
            within = f"{directory}/{os.path.relpath(place, top)}/".replace("/./", "/")
            if "/locks/" in within:
                continue
            for name in names:
                if name in _PASSING_FILES or (name[0] == "." and not name.startswith(".tmp-")):
                    continue
                yield f"{within}{name} {_digest(os.path.join(place, name))}"


def _digest(path: str) -> str:
    if os.path.islink(path):
        return f"-> {os.readlink(path)}"
    try:
        with open(path, "rb") as stream:
            return hashlib.blake2b(stream.read(), digest_size=4).hexdigest()
    except FileNotFoundError:
        return "gone"


def cgroups(name: str, *, inner_only: bool = False) -> list[str]:
    """Return the directories of a cgroup in every hierarchy, inner first.

    Args:
        name: as `/ocinet-lab-1a2b3c4d`.
        inner_only: whether to leave out the cgroup itself.
    """
    tree = "/sys/fs/cgroup"
    is_v2 = os.path.exists(f"{tree}/cgroup.controllers")
    tops = [f"{tree}{name}"] if is_v2 else [f"{tree}/{each}{name}" for each in os.listdir(tree)]
    found = [place for top in tops for place, _, _ in os.walk(top, topdown=False)]
    if not inner_only:
        return found
    # podman's conmon has one beside the containers, and lets it be.
    return [place for place in found if place not in tops and not place.endswith("/conmon")]


def processes(namespaces: Iterable[str], cgroup: str) -> dict[int, str]:
    """Return the command lines of the live processes that belong to a lab.

    Args:
        namespaces: `net:[…]` and `mnt:[…]`, as in /proc/PID/ns.
        cgroup: the cgroup's name; containers have left the namespaces.
    """
    wanted = frozenset(namespaces)
    found: dict[int, str] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            inside = {os.readlink(f"/proc/{name}/ns/{kind}") for kind in ("net", "mnt")}
            if not wanted & inside:
                with open(f"/proc/{name}/cgroup") as stream:
                    if f"/{cgroup.strip('/')}/" not in stream.read().replace("\n", "/"):
                        continue
            with open(f"/proc/{name}/cmdline") as stream:
                found[int(name)] = stream.read().replace("\0", " ").strip()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has ended, or it has capabilities that no child of ours can have
    return found
