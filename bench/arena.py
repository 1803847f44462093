"""Where contestants are measured: namespaces of their own, and processes by the clock.

An `Arena` is a forked process in network, mount and process namespaces of its own,
with tmpfs on /run and /var/lib, so nobody waits for a disk. It is killed in the end,
or when the bench dies in any way, and the kernel removes all that was in it. What it
measures is the time from `posix_spawn` to `wait4` of every process of an operation,
and the CPU time of those and their children.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from samples import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from contestants import Contestant
    from samples import Key

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
IFNAME = "eth0"
# What ended a moment ago still keeps the kernel busy: the last references to a
# network namespace go by a worker, after a grace period.
SETTLE_S = 0.03
_SLEEP = ["/bin/sleep", "infinity"]
_NEWNS, _NEWPID, _NEWNET = 0x00020000, 0x20000000, 0x40000000
_MS_REC_PRIVATE = 0x4000 | 0x40000
_PR_SET_PDEATHSIG, _SIOCGIFADDR, _SIOCGIFFLAGS, _IFF_UP = 1, 0x8915, 0x8913, 1
_PIPE_BYTES = 65536
_LIBC = ctypes.CDLL(None, use_errno=True)


class BenchError(Exception):
    """The argument says what went wrong, with the output of whoever failed."""


class Command(NamedTuple):
    """One process of an operation.

    Attributes:
        argv: with the program's absolute path.
        environment: all of it.
        stdin: what it reads.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = {"PATH": PATH}
    stdin: str = ""


class Cost(NamedTuple):
    """What processes took, from the start to the end of each.

    Attributes:
        wall_ms: by the clock.
        cpu_ms: of their own and of the children that they waited for.
    """

    wall_ms: float
    cpu_ms: float


def record_cost(record: Callable[[Sample], None], key: Key, cost: Cost) -> None:
    """Record the time by the clock, and the CPU time as a measure of its own."""
    record(Sample(*key, cost.wall_ms, "ms"))
    record(Sample(*key._replace(measure=f"{key.measure} cpu"), cost.cpu_ms, "ms"))


class Crowd(NamedTuple):
    """What many operations at once took.

    Attributes:
        wall_ms: from the first start to the last end.
        failures: how many failed, or left a sandbox without its address.
        first_error: what the first of them said.
    """

    wall_ms: float
    failures: int
    first_error: str


class Container(NamedTuple):
    """A sandbox that is to be wired.

    Attributes:
        number: its own in this arena.
        pid: of its process; 0 once that has ended.
        netns: path of its network namespace.
    """

    number: int
    pid: int
    netns: str


# The commands of an operation: each is sent what the one before has printed.
Operation = Generator[Command, str, None]


class _Process(NamedTuple):
    pid: int
    stdout: int
    stderr: int
    began: float


class _Running:
    """One operation with its present process, and what it cost so far."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self.cost = Cost(0, 0)
        self.error = ""
        self.stdout = ""
        self.process = _start(next(operation))

    def go_on(self, status: int, cpu_ms: float, ended: float) -> bool:
        """Take a process's end, and start the next one; False if there is none."""
        wall_ms = (ended - self.process.began) * 1000
        self.cost = Cost(self.cost.wall_ms + wall_ms, self.cost.cpu_ms + cpu_ms)
        self.stdout, stderr = (_contents(fd) for fd in self.process[1:3])
        if status:
            code = os.waitstatus_to_exitcode(status)
            self.error = f"status {code}: {stderr}{self.stdout}"
            return False
        try:
            self.process = _start(self._operation.send(self.stdout))
        except StopIteration:
            return False
        return True


def _contents(fd: int) -> str:
    """Return what is in a file, and close it."""
    try:
        return os.pread(fd, os.fstat(fd).st_size, 0).decode(errors="replace")
    finally:
        os.close(fd)


def _start(command: Command) -> _Process:
    stdin, feed = os.pipe()
    try:
        data = command.stdin.encode()
        if len(data) > _PIPE_BYTES:
            fcntl.fcntl(feed, fcntl.F_SETPIPE_SZ, len(data))
        os.write(feed, data)
        os.close(feed)
        stdout, stderr = os.memfd_create("stdout"), os.memfd_create("stderr")
        actions = [(os.POSIX_SPAWN_DUP2, fd, to) for to, fd in enumerate((stdin, stdout, stderr))]
        argv, environment = list(command.argv), dict(command.environment)
        began = time.perf_counter()
        pid = os.posix_spawn(argv[0], argv, environment, file_actions=actions,
                             setsigdef=[signal.SIGPIPE])  # fmt: skip
    finally:
        os.close(stdin)
    return _Process(pid, stdout, stderr, began)


def _run_all(operations: Iterable[Operation], at_once: int) -> Iterator[_Running]:
    """Run operations, so many at a time; yields each that has ended."""
    waiting = iter(operations)
    running: dict[int, _Running] = {}
    while True:
        while len(running) < at_once and (operation := next(waiting, None)) is not None:
            begun = _Running(operation)
            running[begun.process.pid] = begun
        if not running:
            return
        pid, status, usage = os.wait4(-1, 0)
        ended = time.perf_counter()
        one = running.pop(pid, None)
        if one is None:
            continue  # left behind by a command: the arena is the init process
        if one.go_on(status, (usage.ru_utime + usage.ru_stime) * 1000, ended):
            running[one.process.pid] = one
        else:
            yield one


def spawn(command: Command) -> tuple[Cost, str]:
    """Run one command where we are; returns its cost and what it printed.

    Raises:
        BenchError: it fails.
    """

    def operation() -> Operation:
        yield command

    (done,) = _run_all([operation()], 1)
    if done.error:
        raise BenchError(f"{' '.join(command.argv)}: {done.error}")
    return done.cost, done.stdout


def _checked(result: int, what: str) -> None:
    if result:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _mount(kind: str, path: str, options: str = "") -> None:
    words = [word.encode() for word in (kind, path, kind, options)]
    _checked(_LIBC.mount(*words[:3], 0, words[3]), f"mount {path}")


@contextmanager
def inside(netns: int) -> Iterator[None]:
    """Be in another network namespace for a while."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        _checked(_LIBC.setns(netns, _NEWNET), "setns")
        yield
    finally:
        _checked(_LIBC.setns(own, _NEWNET), "setns")
        os.close(own)


def _address(netns: int) -> str:
    """Return the IPv4 address of eth0 that is up; raises OSError where there is none."""
    request = struct.pack("16s24x", IFNAME.encode())
    with inside(netns), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        (flags,) = struct.unpack_from("H", fcntl.ioctl(sock, _SIOCGIFFLAGS, request), 16)
        if not flags & _IFF_UP:
            raise OSError(0, f"{IFNAME} is down")
        return socket.inet_ntoa(fcntl.ioctl(sock, _SIOCGIFADDR, request)[20:24])


class _Server:
    """What runs inside: sandboxes, and the contestant's operations on them."""

    def __init__(self, contestant: Contestant) -> None:
        self._contestant = contestant
        self._pids: dict[int, int] = {}
        self._addresses: dict[str, int] = {}

    def enter(self) -> None:
        """Make the place what an arena is; as the first process of its namespace."""
        _checked(_LIBC.unshare(_NEWNS | _NEWNET), "unshare")
        _checked(_LIBC.mount(b"none", b"/", None, _MS_REC_PRIVATE, None), "mount /")
        _mount("proc", "/proc")
        _mount("sysfs", "/sys")
        for path in ("/run", "/var/lib"):
            _mount("tmpfs", path, "mode=755")
        for path in ("/run/netns", "/run/lock", "/run/containers", "/var/lib/cni"):
            os.mkdir(path)
        spawn(Command(("/sbin/ip", "link", "set", "lo", "up")))
        for command in self._contestant.prepare():
            spawn(command)

    def attach(self, number: int) -> Cost:
        """Wire a new sandbox."""
        self._make(number)
        time.sleep(SETTLE_S)
        cost = self._one(self._contestant.attach(self._container(number)))
        if error := self._fault(number):
            raise BenchError(error)
        return cost

    def detach(self, number: int) -> Cost:
        """Unwire a sandbox that is kept open although its process has ended."""
        netns = os.open(f"/proc/{self._pids[number]}/ns/net", os.O_RDONLY)
        try:
            self._end(number)
            time.sleep(SETTLE_S)
            container = Container(number, 0, f"/proc/{os.getpid()}/fd/{netns}")
            return self._one(self._contestant.detach(container))
        finally:
            os.close(netns)

    def detach_gone(self, number: int) -> Cost:
        """Unwire a sandbox that went with its process, a moment before."""
        time.sleep(SETTLE_S)
        self._end(number)
        return self._one(self._contestant.detach(Container(number, 0, "")))

    def attach_all(self, first: int, count: int, at_once: int) -> Crowd:
        """Wire many sandboxes; looks at each of them when all is done."""
        numbers = range(first, first + count)
        for number in numbers:
            self._make(number)
        operations = (self._contestant.attach(self._container(number)) for number in numbers)
        wall_ms, errors = self._all(operations, at_once)
        if not errors:  # whoever failed has no address, and is counted already
            errors = [error for number in numbers if (error := self._fault(number))]
        return Crowd(wall_ms, len(errors), next(iter(errors), ""))

    def detach_all(self, first: int, count: int, at_once: int) -> Crowd:
        """Unwire many sandboxes that went with their processes."""
        numbers = range(first, first + count)
        for number in numbers:
            self._end(number)
        operations = (self._contestant.detach(Container(number, 0, "")) for number in numbers)
        wall_ms, errors = self._all(operations, at_once)
        return Crowd(wall_ms, len(errors), next(iter(errors), ""))

    def links(self) -> list[str]:
        """Return the names of the links that the arena has, without the sandboxes'."""
        with open("/proc/net/dev", encoding="ascii") as file:
            return sorted(line.split(":")[0].strip() for line in file if ":" in line)

    def _make(self, number: int) -> None:
        # The process is born in the namespace, so there is nothing to wait for.
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        try:
            _checked(_LIBC.unshare(_NEWNET), "unshare")
            self._pids[number] = os.posix_spawn(_SLEEP[0], _SLEEP, {})
        finally:
            _checked(_LIBC.setns(own, _NEWNET), "setns")
            os.close(own)

    def _end(self, number: int) -> None:
        pid = self._pids.pop(number)
        self._addresses = {text: at for text, at in self._addresses.items() if at != number}
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def _container(self, number: int) -> Container:
        pid = self._pids[number]
        return Container(number, pid, f"/proc/{pid}/ns/net")

    def _fault(self, number: int) -> str:
        """Return what is wrong with a wired sandbox, or nothing."""
        netns = os.open(f"/proc/{self._pids[number]}/ns/net", os.O_RDONLY)
        try:
            address = _address(netns)
        except OSError as error:
            return f"container {number} has no address: {error}"
        finally:
            os.close(netns)
        other = self._addresses.setdefault(address, number)
        return f"{address} was given to {other} and {number}" if other != number else ""

    def _one(self, operation: Operation) -> Cost:
        (done,) = _run_all([operation], 1)
        if done.error:
            raise BenchError(done.error)
        return done.cost

    def _all(self, operations: Iterable[Operation], at_once: int) -> tuple[float, list[str]]:
        time.sleep(SETTLE_S)
        began = time.perf_counter()
        errors = [done.error for done in _run_all(operations, at_once) if done.error]
        return (time.perf_counter() - began) * 1000, errors

    def serve(self, requests: IO[str], answers: IO[str]) -> None:
        """Do what is asked until nobody asks any more."""
        for line in requests:
            act, *arguments = json.loads(line)
            answers.write(json.dumps([getattr(self, act)(*arguments)]) + "\n")
            answers.flush()


class Arena:
    """One contestant's place; a context manager that removes it again.

    Args:
        contestant: whose operations it runs.

    Attributes:
        pid: of its first process; the sandboxes' are its children, in their order.

    Raises:
        BenchError: it can't be made.
    """

    def __init__(self, contestant: Contestant) -> None:
        self.contestant = contestant
        sys.stdout.flush()
        sys.stderr.flush()
        from_parent, to_child = os.pipe()
        from_child, to_parent = os.pipe()
        self.pid = _fork()
        if not self.pid:
            os.close(to_child)
            os.close(from_child)
            with os.fdopen(from_parent) as requests, os.fdopen(to_parent, "w") as answers:
                _live(contestant, requests, answers)
        os.close(from_parent)
        os.close(to_parent)
        self._requests, self._answers = os.fdopen(to_child, "w"), os.fdopen(from_child)
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Arena:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove it."""
        self.close()

    def close(self) -> None:
        """Kill all that runs in it; the kernel removes the rest."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self._answers.close()
        self._requests.close()

    def attach(self, number: int) -> Cost:
        """Wire a new sandbox, which must then have an address.

        Raises:
            BenchError: that fails.
        """
        return Cost(*self._ask("attach", number))

    def detach(self, number: int) -> Cost:
        """Unwire one whose namespace is kept open, and whose process has ended.

        Raises:
            BenchError: that fails.
        """
        return Cost(*self._ask("detach", number))

    def detach_gone(self, number: int) -> Cost:
        """Unwire one whose namespace went with its process just before.

        Raises:
            BenchError: that fails.
        """
        return Cost(*self._ask("detach_gone", number))

    def attach_all(self, first: int, count: int, at_once: int) -> Crowd:
        """Wire that many new sandboxes, so many at a time."""
        return Crowd(*self._ask("attach_all", first, count, at_once))

    def detach_all(self, first: int, count: int, at_once: int) -> Crowd:
        """Unwire that many whose namespaces have gone, so many at a time."""
        return Crowd(*self._ask("detach_all", first, count, at_once))

    def links(self) -> list[str]:
        """Return the names of the links outside of all sandboxes."""
        return list(self._ask("links"))

    def _ask(self, act: str, *arguments: int) -> Any:
        self._requests.write(json.dumps([act, *arguments]) + "\n")
        self._requests.flush()
        return self._answer()

    def _answer(self) -> Any:
        answer = json.loads(self._answers.readline() or '"it ended"')
        if isinstance(answer, str):
            raise BenchError(f"{self.contestant.name}: {answer}")
        return answer[0]


def _fork() -> int:
    """Fork into a new process namespace, in which the child is the first."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY)
    try:
        _checked(_LIBC.unshare(_NEWPID), "unshare")
        try:
            return os.fork()
        finally:
            _LIBC.setns(own, _NEWPID)
    finally:
        os.close(own)


def _live(contestant: Contestant, requests: IO[str], answers: IO[str]) -> None:
    """Be the arena's process; does not return."""
    try:
        _checked(_LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL), "prctl")
        os.setsid()  # a terminal's Ctrl-C is the bench's
        server = _Server(contestant)
        server.enter()
        answers.write("[null]\n")
        answers.flush()
        server.serve(requests, answers)
    except (KeyboardInterrupt, SystemExit):
        pass
    except Exception as error:  # noqa: BLE001  # the child's edge
        told = str(error) if isinstance(error, BenchError) else repr(error)
        answers.write(json.dumps(told) + "\n")
        answers.flush()
    finally:
        os._exit(0)
