"""The address store beside few and many leases, in a full network, and in a crowd of processes.

A bridge has 1023 ports, so no network holds more leases than the largest one here. A
warm process calls `AddressStore` as the engine does, in a directory on tmpfs, as /run
is. A holder lives while its process does: looking at one reads its lease and
/proc/PID/stat, which is what the engine does for a container that runs. One process
alone waits for nobody, so milliseconds are its CPU time.
"""

from __future__ import annotations

import os
import random
import signal
import struct
from functools import partial
from itertools import count, islice
from tempfile import TemporaryDirectory
from time import perf_counter, thread_time
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

NAME = "addresses"
_NETWORK = "lan"
_POOL = Pool(Subnet.parse("10.9.0.0/22"), Address.parse("10.9.0.1"))
_FULL = 1021  # without network, broadcast and gateway
_FEW, _MANY, _LAST = 18, 1008, 1020
_LEASES = (_FEW, 258, _MANY, _LAST)
_PROCESSES = 8
_LIMIT_S = 600.0


class _Store:
    """A store in a directory of its own.

    Attributes:
        looked_ms: from the first to the last look at a holder, of the last allocation.
    """

    def __init__(self, root: str) -> None:
        self.looked_ms = 0.0
        self._first: float | None = None
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
            self._first = thread_time()
        process = lease.holder.process
        lives = process is not None and process.alive
        self.looked_ms = (thread_time() - self._first) * 1000
        return lives

    def allocate(self, number: int) -> tuple[float, str, str]:
        """Allocate for a new container; returns milliseconds, its id and its address."""
        container = f"{number:064x}"
        holder = Holder(container, "eth0", "4:4026532281", f"oc{number:013x}", self._process,
                        self._boot, f"web-{number}")  # fmt: skip
        self._first, self.looked_ms = None, 0.0
        before = thread_time()
        leases = self._store.allocate(_NETWORK, (_POOL,), (), holder, holder.name)
        return (thread_time() - before) * 1000, container, str(leases[0].address)

    def exhaust(self, number: int) -> float:
        """Ask a full pool; returns milliseconds until it says so."""
        before = thread_time()
        try:
            self.allocate(number)
        except ExhaustedError:
            return (thread_time() - before) * 1000
        raise AssertionError("the pool was not full")

    def release(self, address: str, container: str) -> float:
        """Give an address back; returns milliseconds."""
        before = thread_time()
        assert self._store.release(_NETWORK, Address.parse(address), container)
        return (thread_time() - before) * 1000


def run(record: Callable[[Sample], None], *, quick: bool) -> None:
    """Fill a network, in steps, to its end; then let processes compete.

    Args:
        record: takes each reading.
        quick: fewer of them.
    """
    rounds = 3 if quick else 9
    tell = partial(_record, record)
    for _ in range(rounds):
        with TemporaryDirectory(dir="/dev/shm") as root:
            _fill(_Store(root), tell, 100 if quick else 500)
    for _ in range(rounds):
        with TemporaryDirectory(dir="/dev/shm") as root:
            _compete(root, tell, _MANY // _PROCESSES)


def _record(
    record: Callable[[Sample], None], measure: str, value: float, x: int, unit: str = "ms"
) -> None:
    record(Sample(NAME, "ocinet", measure, x, value, unit))


def _fill(store: _Store, tell: Callable[..., None], several: int) -> None:
    """Measure one process from the first address to none; x is how many leases there are."""
    chance = random.Random(1)  # noqa: S311  for places, not for secrets
    held: list[tuple[str, str]] = []  # containers and addresses
    numbers = count()
    for leases in _LEASES:
        while len(held) < leases:
            held.append(store.allocate(next(numbers))[1:])
        for number in islice(numbers, several):
            took_ms, container, address = store.allocate(number)
            tell("allocate", took_ms, leases)
            other = chance.randrange(leases)  # so that holes come up all over
            held[other], (container, address) = (container, address), held[other]
            tell("release", store.release(address, container), leases)
    store.allocate(next(numbers))
    total_ms = store.exhaust(next(numbers))
    tell("exhausted", total_ms, _FULL)
    tell("exhausted, nobody looked at", total_ms - store.looked_ms, _FULL)


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


def _key(measure: str, x: int) -> Key:
    return Key(NAME, "ocinet", measure, x)


TARGETS = (
    Target(
        "allocate beside 1,008 leases / beside 18",
        lambda samples: samples.ratio(_key("allocate", _MANY), _key("allocate", _FEW)),
        3, 2,
    ),
    Target(
        "allocate the last of 1,021 addresses",
        lambda samples: samples.median(_key("allocate", _LAST)),
        5, 2, unit="ms",
    ),
    Target(
        "all of 1,021 addresses held: exhaustion reported, each holder looked at",
        lambda samples: samples.median(_key("exhausted", _FULL)),
        100, None, unit="ms",
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
