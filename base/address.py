"""IP addresses and subnets as small values, parsed by the C library.

`ipaddress` costs 3 ms to import; `inet_pton` lies in `_socket`, which whoever does
anything has loaded. Who only decides has no business with sockets, so it is loaded
at the first address that is read or spelled.
"""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_BITS = {4: 32, 6: 128}
_AF_INET, _AF_INET6 = 2, 10  # as Linux numbers them, on every machine


def _load() -> None:
    """Put the C library's functions in place of those that call this one."""
    global _pton, _ntop
    from _socket import inet_ntop, inet_pton

    _pton, _ntop = inet_pton, inet_ntop


def _first_pton(family: int, text: str) -> bytes:
    _load()
    return _pton(family, text)


def _first_ntop(family: int, packed: bytes) -> str:
    _load()
    return _ntop(family, packed)


# Names that are bound anew, not an import in each call: that takes half as long as the parsing.
_pton: Callable[[int, str], bytes] = _first_pton
_ntop: Callable[[int, bytes], str] = _first_ntop


class Address(Value):
    """One IPv4 or IPv6 address.

    Attributes:
        family: 4 or 6.
        value: the address as a number.
    """

    family: int
    value: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `10.9.0.5` or `fd00::5`; no zone, no prefix length.

        Raises:
            RequestError: it is no address.
        """
        try:
            if ":" in text:
                return cls(6, int.from_bytes(_pton(_AF_INET6, text), "big"))
            return cls(4, int.from_bytes(_pton(_AF_INET, text), "big"))
        except (OSError, UnicodeError, ValueError):
            raise RequestError("", f"{text!r} is no IP address") from None

    @classmethod
    def unpack(cls, packed: bytes) -> Address:
        """Read the 4 or 16 bytes of an address in network order."""
        return cls(4 if len(packed) == 4 else 6, int.from_bytes(packed, "big"))

    @property
    def packed(self) -> bytes:
        """The 4 or 16 bytes in network order."""
        return self.value.to_bytes(_BITS[self.family] // 8, "big")

    @property
    def is_loopback(self) -> bool:
        """Whether it is in 127.0.0.0/8 or is ::1."""
        return self.value >> 24 == 127 if self.family == 4 else self.value == 1

    @property
    def is_link_local(self) -> bool:
        """Whether it is in 169.254.0.0/16 or fe80::/10."""
        return self.value >> 16 == 0xA9FE if self.family == 4 else self.value >> 118 == 0xFE80 >> 6

    def __str__(self) -> str:
        """Render in the usual short form."""
        return spell(self.family, self.value)

    def __add__(self, offset: int) -> Address:
        """Return the address `offset` further on."""
        return Address(self.family, self.value + offset)


def spell(family: int, value: int) -> str:
    """Render an address that is known as a number, as `str` of an `Address` does."""
    if family == 4:
        return _ntop(_AF_INET, value.to_bytes(4, "big"))
    return _ntop(_AF_INET6, value.to_bytes(16, "big"))


def is_address(text: str) -> bool:
    """Tell whether it is an address, spelled as `str` of it would: the name of a file of ours."""
    try:
        return str(Address.parse(text)) == text
    except RequestError:
        return False


class Subnet(Value):
    """A network prefix with no host bits set.

    Attributes:
        family: 4 or 6.
        value: its first address as a number.
        prefixlen: 0 to 32 or 0 to 128.
    """

    family: int
    value: int
    prefixlen: int

    @classmethod
    def parse(cls, text: str) -> Subnet:
        """Read `10.9.0.0/24` or `fd00:9::/64`.

        >>> Subnet.parse("10.9.0.5/24")
        Traceback (most recent call last):
        ocinet.base.errors.RequestError: '10.9.0.5/24' has host bits set: did you mean 10.9.0.0/24?

        Raises:
            RequestError: it is no prefix, or host bits are set.
        """
        interface = Interface.parse(text)
        if interface.subnet.value != interface.address.value:
            raise RequestError("", f"{text!r} has host bits set: did you mean {interface.subnet}?")
        return interface.subnet

    @property
    def size(self) -> int:
        """How many addresses it spans."""
        return int(1 << (_BITS[self.family] - self.prefixlen))

    @property
    def first(self) -> Address:
        """Its lowest address."""
        return Address(self.family, self.value)

    @property
    def last(self) -> Address:
        """Its highest address."""
        return Address(self.family, self.value + self.size - 1)

    def overlaps(self, other: Subnet) -> bool:
        """Tell whether the two share an address."""
        if self.family != other.family:
            return False
        shift = _BITS[self.family] - min(self.prefixlen, other.prefixlen)
        return self.value >> shift == other.value >> shift

    def __contains__(self, address: Address) -> bool:
        """Tell whether `address` lies in it."""
        inside = self.value <= address.value < self.value + self.size
        return self.family == address.family and inside

    def __str__(self) -> str:
        """Render as `first/prefixlen`."""
        return f"{self.first}/{self.prefixlen}"


class Interface(Value):
    """An address as an interface bears it, with its prefix length: `10.9.0.5/24`."""

    address: Address
    prefixlen: int

    @classmethod
    def parse(cls, text: str) -> Interface:
        """Read `10.9.0.5/24`.

        Raises:
            RequestError: it is no address with a prefix length.
        """
        head, slash, tail = text.partition("/")
        # `int` takes more: a sign, blanks, digits of every script.
        if not slash or not (tail.isascii() and tail.isdigit() and len(tail) <= 3):
            raise RequestError("", f"{text!r} is no ADDRESS/PREFIXLEN")
        address = Address.parse(head)
        if int(tail) > _BITS[address.family]:
            longest = _BITS[address.family]
            raise RequestError("", f"{text!r} has a prefix longer than {longest} bits")
        return cls(address, int(tail))

    @property
    def subnet(self) -> Subnet:
        """The prefix that it lies in."""
        shift = _BITS[self.address.family] - self.prefixlen
        return Subnet(self.address.family, self.address.value >> shift << shift, self.prefixlen)

    def __str__(self) -> str:
        """Render as `address/prefixlen`."""
        return f"{self.address}/{self.prefixlen}"
