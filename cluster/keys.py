"""Where in etcd what stands, and which key conflicts with which.

    /ocinet/v1/prod/config
    /ocinet/v1/prod/hosts/6f1c0a52-…
    /ocinet/v1/prod/shares/010.042.003.000-24
    /ocinet/v1/prod/alive/6f1c0a52-…            with a lease
    /ocinet/v1/prod/forgotten/6f1c0a52-…

Shares are spelled with all their digits, so that the order of keys is that of addresses: all
shares within a prefix are one range of keys, and a transaction can ask for "none of them" in one
comparison, whatever sizes they have.
"""

from __future__ import annotations

from ocinet.base.address import Address, Subnet
from ocinet.base.errors import RequestError

_ROOT = "/ocinet/v1"
_BITS = {4: 32, 6: 128}
_AFTER_DIGITS = "~"  # above each character of a key of ours


def root(cluster: str) -> str:
    """Return what all keys of a cluster begin with."""
    return f"{_ROOT}/{cluster}/"


def config(cluster: str) -> str:
    """Return the key of what all hosts have in common."""
    return f"{root(cluster)}config"


def host(cluster: str, host_id: str) -> str:
    """Return the key of a host."""
    return f"{root(cluster)}hosts/{host_id}"


def alive(cluster: str, host_id: str) -> str:
    """Return the key that is there as long as a host is heard."""
    return f"{root(cluster)}alive/{host_id}"


def forgotten(cluster: str, host_id: str) -> str:
    """Return the key that tells a host which comes back that it is no member any more."""
    return f"{root(cluster)}forgotten/{host_id}"


def share(cluster: str, prefix: Subnet) -> str:
    """Return the key of a share."""
    return f"{root(cluster)}shares/{_spelled(prefix.first)}-{prefix.prefixlen}"


def within(cluster: str, prefix: Subnet) -> tuple[str, str]:
    """Return the range of keys, its end not included, of all shares that begin in a prefix.

    >>> within("prod", Subnet.parse("10.42.2.0/23"))[1]
    '/ocinet/v1/prod/shares/010.042.003.255~'
    """
    shares = f"{root(cluster)}shares/"
    return f"{shares}{_spelled(prefix.first)}", f"{shares}{_spelled(prefix.last)}{_AFTER_DIGITS}"


def around(cluster: str, prefix: Subnet, pool: Subnet) -> tuple[str, ...]:
    """Return the keys of all shares of a pool that would hold a prefix, and begin before it.

    >>> around("prod", Subnet.parse("10.42.3.0/24"), Subnet.parse("10.42.0.0/22"))
    ('/ocinet/v1/prod/shares/010.042.002.000-23', '/ocinet/v1/prod/shares/010.042.000.000-22')
    """
    found = []
    for length in range(prefix.prefixlen - 1, pool.prefixlen - 1, -1):
        shift = _BITS[prefix.family] - length
        larger = Subnet(prefix.family, prefix.value >> shift << shift, length)
        if larger.value != prefix.value:  # else it is among those that begin in it
            found.append(share(cluster, larger))
    return tuple(found)


def share_of(name: str) -> Subnet:
    """Read the last part of a share's key.

    Raises:
        RequestError: it is none, or not spelled as we do.
    """
    spelled, _, length = name.rpartition("-")
    if "." in spelled:
        spelled = ".".join(part.lstrip("0") or "0" for part in spelled.split("."))
    prefix = Subnet.parse(f"{spelled}/{length}")
    if f"{_spelled(prefix.first)}-{prefix.prefixlen}" != name:
        raise RequestError("", f"{name[:80]!r} is no share's key")
    return prefix


def _spelled(address: Address) -> str:
    if address.family == 4:
        return ".".join(f"{byte:03}" for byte in address.packed)
    digits = address.packed.hex()
    return ":".join(digits[at : at + 4] for at in range(0, 32, 4))
