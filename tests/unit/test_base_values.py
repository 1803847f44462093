"""Values, names, errors, paths and the clock."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocinet.base import clock, names
from ocinet.base.clock import Deadline, Process, describe_process
from ocinet.base.errors import (
    BusyError,
    ConflictError,
    KernelError,
    OcinetError,
    RequestError,
    SystemFailure,
    failures,
)
from ocinet.base.paths import Paths
from ocinet.base.value import Value


class Point(Value):
    """A value with a default."""

    x: int
    y: int = 0


class Point3(Point):
    """One field more."""

    z: int = 0


# -- values ------------------------------------------------------------------------


def test_value_takes_fields_by_position_and_name() -> None:
    """Fields come in the order of their declaration, the parent's first."""
    assert Point3(1, z=3) == Point3(1, 0, 3)
    assert repr(Point3(1, 2)) == "Point3(x=1, y=2, z=0)"
    assert Point(1).replace(y=5) == Point(1, 5)


@pytest.mark.parametrize(
    ("args", "fields", "why"),
    [
        ((), {}, "needs the field 'x'"),
        ((), {"y": 1}, "needs the field 'x'"),
        ((1, 2, 3), {}, "takes 2 fields, got 3"),
        ((1,), {"x": 1}, "unexpected field 'x'"),
        ((1,), {"q": 1}, "unexpected field 'q'"),
        ((), {"x": 1, "q": 1}, "unexpected field 'q'"),
    ],
)
def test_value_with_wrong_fields_is_refused(
    args: tuple[int, ...], fields: dict[str, int], why: str
) -> None:
    """Missing, doubled and unknown fields are programming errors."""
    with pytest.raises(TypeError, match=why):
        Point(*args, **fields)


def test_value_with_a_wrong_field_is_not_copied() -> None:
    """What the class does not declare is a programming error in a copy as well."""
    with pytest.raises(TypeError, match="unexpected field 'q'"):
        Point(1).replace(q=1)  # type: ignore[call-arg,unused-ignore]  # what is tested


def test_value_can_not_be_changed() -> None:
    """Neither set nor deleted."""
    point = Point(1)
    with pytest.raises(AttributeError, match="frozen"):
        point.x = 2  # type: ignore[misc]  # what is tested
    with pytest.raises(AttributeError, match="frozen"):
        del point.x


def test_values_are_equal_by_type_and_fields() -> None:
    """A subclass with the same fields is another value."""
    assert Point(1) != Point3(1)
    assert Point(1) != (1, 0)
    assert len({Point(1), Point(1), Point(2), Point3(1)}) == 3


# -- names --------------------------------------------------------------------------


@given(st.text(max_size=10) | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,220}", fullmatch=True))
def test_check_container_takes_what_the_design_says(name: str) -> None:
    """Its pattern is the one of the documentation, matched in full."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,199}", name):
        assert names.check_container(name) == name
    else:
        with pytest.raises(RequestError, match="is no container id"):
            names.check_container(name)


@given(st.text(max_size=10) | st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,70}", fullmatch=True))
def test_check_network_takes_what_the_design_says(name: str) -> None:
    """As above, and the words that mean a mode are no names."""
    legal = re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,62}", name)
    if legal and name not in names.RESERVED_NETWORKS:
        assert names.check_network(name) == name
    else:
        with pytest.raises(RequestError):
            names.check_network(name)


@pytest.mark.parametrize("name", names.RESERVED_NETWORKS)
def test_check_network_of_a_mode_is_refused(name: str) -> None:
    """`host`, `none`, `container` and `default` mean something else."""
    with pytest.raises(RequestError, match="reserved"):
        names.check_network(name)


@pytest.mark.parametrize("name", ["eth0", "a", "x" * 15, "eth-0.5_@!", "LO"])
def test_check_ifname_takes_what_the_kernel_takes(name: str) -> None:
    """More than letters and digits is allowed."""
    assert names.check_ifname(name) == name


@pytest.mark.parametrize("name", ["", "x" * 16, ".", "..", "lo", "all", "default", "a/b", "a:b",
                                  "a b", "a\tb", "a\nb", "\x7f", "ü", "eth%d", "a%"])  # fmt: skip
def test_check_ifname_of_what_the_kernel_would_not_take_as_it_is_is_refused(name: str) -> None:
    """`%d` would be taken for a pattern: the kernel chose another name."""
    with pytest.raises(RequestError, match="is no interface name"):
        names.check_ifname(name)


def test_did_you_mean_names_the_nearest() -> None:
    """A hint only where something is near."""
    assert names.did_you_mean("brige", ["bridge", "lan"]) == "did you mean bridge?"
    assert names.did_you_mean("zzz", ["bridge", "lan"]) == ""


# -- errors -------------------------------------------------------------------------


def test_error_renders_on_one_line() -> None:
    """What, why, hint; parts that are empty leave no punctuation."""
    assert str(OcinetError("a", "b", "c")) == "a: b (hint: c)"
    assert str(OcinetError("", "b")) == "b"


@pytest.mark.parametrize("kind", [RequestError, ConflictError, BusyError, KernelError])
@pytest.mark.parametrize(("what", "why"), [("", "cause"), ("inner", "inner: cause")])
def test_within_keeps_kind_cause_and_hint(kind: type[OcinetError], what: str, why: str) -> None:
    """An error told as part of a larger act says no less."""
    inner = kind(what, "cause", "hint")

    outer = inner.within("outer")

    assert type(outer) is kind
    assert (outer.what, outer.why, outer.hint) == ("outer", why, "hint")
    assert outer.__cause__ is inner


def test_kernel_error_within_keeps_the_errno() -> None:
    """Whoever catches it can still ask which."""
    outer = KernelError("", "cause", errno=17).within("outer")

    assert outer.errno == 17


def test_failures_raises_one_as_it_is_and_several_together() -> None:
    """None is fine; the first hint is kept."""
    failures("cannot", [])
    one = RequestError("a", "b")
    with pytest.raises(RequestError) as raised:
        failures("cannot", [one])
    assert raised.value is one
    with pytest.raises(SystemFailure) as together:
        failures("cannot", [one, RequestError("", "c", "do it")])
    assert str(together.value) == "cannot: a: b; c (hint: do it)"


# -- paths and the clock --------------------------------------------------------------


def test_paths_come_from_the_environment() -> None:
    """Unset and empty variables mean the defaults; a relative path is refused."""
    assert Paths.from_environment({}) == Paths()
    assert Paths.from_environment({"OCINET_RUN_DIR": "/x", "OCINET_STATE_DIR": ""}).run == "/x"
    with pytest.raises(RequestError, match="OCINET_CONFIG_DIR"):
        Paths.from_environment({"OCINET_CONFIG_DIR": "etc"})


def test_now_is_rfc_3339_with_milliseconds() -> None:
    """Times sort as text."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", clock.now())
    assert clock.now() <= clock.now()


def test_boot_id_is_the_kernels() -> None:
    """36 characters, the same each time."""
    assert re.fullmatch(r"[0-9a-f-]{36}", clock.boot_id())
    assert clock.boot_id() == clock.boot_id()


def test_process_of_a_living_one_is_alive() -> None:
    """This very process runs, with its name's blanks and brackets whatever they be."""
    me = Process.of(os.getpid())

    assert me is not None
    assert me.alive
    assert not me.replace(start_time=me.start_time + 1).alive


@pytest.mark.parametrize("name", ["a) R 1 (b", "x y", "\xff\n"])
def test_process_with_a_strange_name_is_read(name: str) -> None:
    """The command's name may look like the fields behind it; for people it is one line."""
    ready, tell = os.pipe()
    pid = os.fork()
    if not pid:
        with open("/proc/self/comm", "wb") as comm:
            comm.write(name.encode("latin-1"))
        os.write(tell, b"x")
        signal.pause()
    assert os.read(ready, 1) == b"x"
    found = Process.of(pid)
    shown = describe_process(pid)
    with open(f"/proc/{pid}/stat", "rb") as stat:
        start_time = stat.read().split()[-31]  # proc(5): 22 of 52
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(ready)
    os.close(tell)

    assert found == Process(pid, int(start_time))
    assert shown.isprintable()
    assert shown.startswith(f"process {pid} (")


def test_process_that_has_ended_is_none() -> None:
    """A zombie is gone as well; so is an id that nobody has."""
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    zombie = Process.of(pid)
    os.waitpid(pid, 0)

    assert zombie is None
    assert Process.of(pid) is None
    assert Process.of(1 << 30) is None
    assert describe_process(1 << 30) == f"process {1 << 30}"


def test_deadline_runs_out() -> None:
    """Nothing is left, never less than nothing, and the check says for what."""
    later, past = Deadline(60), Deadline(0)

    later.check("cannot wait")
    assert 59 < later.left_s <= 60
    assert past.left_s == 0
    with pytest.raises(BusyError, match="cannot wait: it took longer than 0 s"):
        past.check("cannot wait")


# -- imports ------------------------------------------------------------------------


def test_import_of_the_store_costs_nothing_but_ours() -> None:
    """On the hook's path are C modules, `os` and what it brings, and no other."""
    site = os.path.dirname(os.path.dirname(os.path.dirname(clock.__spec__.origin or "")))
    code = (
        "import sys; sys.path.append(sys.argv[1]); before = set(sys.modules);"
        "import ocinet.ipam.store, ocinet.engine.records.port_claims, ocinet.base.events;"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [os.path.realpath(sys.executable), "-I", "-S", "-c", code, site],
        capture_output=True,
        text=True,
        check=True,
    )
    frozen = {"__future__", "stat", "os", "os.path", "posixpath", "genericpath", "_collections_abc"}
    c_modules = {"_json", "_socket", "_stat", "_struct", "errno", "fcntl"}
    foreign = {module for module in done.stdout.split() if not module.startswith("ocinet")}
    assert foreign <= frozen | c_modules
