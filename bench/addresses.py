"""The address store in a /16: an empty one, a crowded one, a full one, and a crowd of processes.

A warm process calls `AddressStore` as the engine does, in a directory on tmpfs, as
/run is. A holder lives while its process does: looking at one reads its lease and
/proc/PID/stat, which is what the engine does for a container that runs.
"""

from __future__ import annotations

import os
import random
import signal
import struct
from functools import partial
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

from ocinet.base.address import Address, Subnet
from ocinet.base.clock import Deadline, Process, boot_id
from ocinet.base.errors import ExhaustedError
from ocinet.base.paths import Paths
from ocinet.ipam.lease import Holder
from ocinet.ipam.pool import Pool
from ocinet.ipam.store import AddressStore
from samples import Key, Sample, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.ipam.lease import Lease
    from samples import Samples

NAME = "addresses"
_NETWORK = "lan"
_POOL = Pool(Subnet.parse("10.9.0.0/16"), Address.parse("10.9.0.1"))
_SIZE = 65533  # without network, broadcast and gateway
_HOLES = _SIZE // 100
_PROCESSES = 8
_LIMIT_S = 600.0


class _Store:
    """A store in a directory of its own.

    Attributes:
        looked_ms: from the first to the last look at a holder, of the last allocation.
    """

    def __init__(self, root: str) -> None:
        self.lock_path = f"{root}/run/ipam/{_NETWORK}/lock"
        self.looked_ms = 0.0
        self._first: float | None = None
        self._dead = ""
        self._store = AddressStore(
            Paths(f"{root}/etc", f"{root}/var", f"{root}/run", f"{root}/netns"),
            deadline=Deadline(_LIMIT_S),
            holder_lives=self._lives,
            report=lambda *_args, **_fields: None,
        )
        self._process = Process.of(os.getpid())
        self._boot = boot_id()

    def _lives(self, lease: Lease) -> bool:
        if self._first is None:
            self._first = perf_counter()
        process = lease.holder.process
        lives = lease.holder.container != self._dead and process is not None and process.alive
        self.looked_ms = (perf_counter() - self._first) * 1000
        return lives

    def allocate(self, number: int) -> tuple[float, str, str]:
        """Allocate for a new container; returns milliseconds, its id and its address."""
        container = f"{number:064x}"
        holder = Holder(container, "eth0", "4:4026532281", f"oc{number:013x}", self._process,
                        self._boot, f"web-{number}")  # fmt: skip
        self._first, self.looked_ms = None, 0.0
        before = perf_counter()
        leases = self._store.allocate(_NETWORK, (_POOL,), (), holder, holder.name)
        return (perf_counter() - before) * 1000, container, str(leases[0].address)

    def exhaust(self, number: int) -> float:
        """Ask a full pool; returns milliseconds until it says so."""
        before = perf_counter()
        try:
            self.allocate(number)
        except ExhaustedError:
            return (perf_counter() - before) * 1000
        raise AssertionError("the pool was not full")

    def release(self, address: str, container: str) -> None:
        """Give an address back."""
        self._store.release(_NETWORK, Address.parse(address), container)

    def die(self, container: str) -> None:
        """Let one container count as dead from now on, no other."""
        self._dead = container


def run(record: Callable[[Sample], None], *, quick: bool) -> None:
    """Fill a /16, look for the last addresses, then let processes compete.

    Args:
        record: takes each reading.
        quick: fewer of them; the pool is as large.
    """
    rounds = 3 if quick else 9
    with TemporaryDirectory(dir="/dev/shm") as root:
        _fill(_Store(root), partial(_record, record), 300 if quick else 2000, rounds)
    for _ in range(rounds):
        with TemporaryDirectory(dir="/dev/shm") as root:
            _compete(root, partial(_record, record), 200 if quick else 500)


def _record(
    record: Callable[[Sample], None], measure: str, value: float, x: int = 0, unit: str = "ms"
) -> None:
    record(Sample(NAME, "ocinet", measure, x, value, unit))


def _fill(store: _Store, tell: Callable[..., None], several: int, rounds: int) -> None:
    """Measure one process from the first address to none; x is how full it is, in per cent."""
    chance = random.Random(1)  # noqa: S311  for places, not for secrets
    held: list[tuple[str, str]] = []  # containers and addresses
    for number in range(_SIZE):
        took_ms, container, address = store.allocate(number)
        held.append((container, address))
        if number < several:
            tell("allocate", took_ms)
        elif number % (_SIZE // 50) == 0:
            tell("allocate", took_ms, 100 * number // _SIZE)
    chance.shuffle(held)
    for _ in range(_HOLES):
        container, address = held.pop()
        store.release(address, container)
    for number in range(_SIZE, _SIZE + several):  # holes all over it, as many all the time
        took_ms, container, address = store.allocate(number)
        tell("allocate among holes", took_ms, 99)
        other = chance.randrange(len(held))
        held[other], (container, address) = (container, address), held[other]
        store.release(address, container)
    for number in range(rounds):  # the dear ones: an older version's file, or a full disk
        os.truncate(store.lock_path, 0)
        took_ms, container, address = store.allocate(2 * _SIZE + number)
        tell("allocate without hints", took_ms, 99)
        store.release(address, container)
    for number in range(3 * _SIZE, 3 * _SIZE + _SIZE - len(held)):
        took_ms, container, address = store.allocate(number)
        tell("allocate the last", took_ms, 99)
        held.append((container, address))
    for number in range(rounds):
        total_ms = store.exhaust(4 * _SIZE + number)
        tell("exhausted", total_ms)
        tell("exhausted, nobody looked at", total_ms - store.looked_ms)


def _compete(root: str, tell: Callable[..., None], each: int) -> None:
    """Let processes allocate at once, each for containers of its own."""
    ready, go = os.pipe()
    told, tell_all = os.pipe()
    children = []
    for first in range(_PROCESSES):
        pid = os.fork()
        if not pid:
            os.close(go)
            os._exit(_competitor(_Store(root), first * each, each, ready, tell_all))
        children.append(pid)
    for fd in (ready, tell_all):
        os.close(fd)
    before = perf_counter()
    os.close(go)  # whoever waits for a byte sees the end
    with open(told, "rb") as results:
        given = results.read()
    took_s = perf_counter() - before
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    if any(codes):
        raise RuntimeError(f"processes that allocate ended with {codes}")
    found = [value for (value,) in struct.iter_unpack("=I", given)]
    tell("allocations", _PROCESSES * each / took_s, _PROCESSES, "1/s")
    tell("duplicates", len(found) - len(set(found)), _PROCESSES, "")
    tell("missing", _PROCESSES * each - len(found), _PROCESSES, "")


def _competitor(store: _Store, first: int, each: int, ready: int, told: int) -> int:
    signal.alarm(60)  # nobody waits for ever
    os.read(ready, 1)
    for number in range(first, first + each):
        _, _, address = store.allocate(number)
        os.write(told, struct.pack("=I", Address.parse(address).value))
    return 0


def _key(measure: str, x: int = 0) -> Key:
    return Key(NAME, "ocinet", measure, x)


def _worst(samples: Samples) -> float:
    keys = [key for key in samples.keys() if key.part == NAME and key.measure.startswith("alloc")]  # noqa: SIM118  no mapping
    return max(samples.most(key) for key in keys if samples.unit(key) == "ms")


TARGETS = (
    Target(
        "a /16, allocate at 99 % full / empty",
        lambda samples: samples.ratio(_key("allocate among holes", 99), _key("allocate")),
        3, None,
    ),
    Target("a /16, worst allocation", _worst, 60, None, unit="ms"),
    Target(
        "a /16, exhaustion reported, without looking at the holders",
        lambda samples: samples.median(_key("exhausted, nobody looked at")),
        100, None, unit="ms",
    ),
    Target(
        "a /16, exhaustion reported, each holder looked at",
        lambda samples: samples.median(_key("exhausted")),
        2000, None, unit="ms",
    ),
    Target(
        "8 processes, allocations per second",
        lambda samples: samples.median(_key("allocations", _PROCESSES)),
        3000, None, at_least=True, unit="1/s",
    ),
    Target(
        "8 processes, addresses given twice or not at all",
        lambda samples: samples.most(_key("duplicates", _PROCESSES))
        + samples.most(_key("missing", _PROCESSES)),
        0, None,
    ),
)  # fmt: skip
