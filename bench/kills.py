"""ocinet killed, and refused, at its system calls: what is left, and whether it can be repeated.

bench/kills.py [--acts NAME,…] [--most N] [--seed N] [--errors ERRNO,…] [--children] [--out FILE]
bench/kills.py --sum FILE…

Each act of ocinet that writes is run again and again under strace, which kills it, or fails
the call, at one system call more each time: at those that change something, of ocinet and
of the programs that it runs. Afterwards nothing may be torn, no address be given twice, and
once the act was repeated, or `ocinet gc` run, nothing be left. In namespaces of its own.

What stands in the file of --out is not done again: one more run of the same command does so
many more rounds of each act, and --sum adds up what several came to.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

from kill_acts import ACTS, Act  # noqa: E402  # the path is set above
from kill_lab import Lab, Scene  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

ERRNOS = ("ENOSPC", "EIO", "EROFS", "EACCES", "ENOMEM", "EMFILE", "EINTR", "ENOBUFS")
# What changes something; of the rest, openat where it makes a file.
_CHANGING = (
    "write", "pwrite64", "rename", "renameat", "renameat2", "link", "linkat", "unlink",
    "unlinkat", "mkdir", "mkdirat", "rmdir", "symlink", "symlinkat", "sendto", "sendmsg",
    "fsync", "ftruncate", "fchmod", "fchown", "setns", "clone", "clone3", "vfork", "openat",
)  # fmt: skip
# Where a call can fail as if the host were short of something; the others are for kills.
_FAILING = (*_CHANGING, "read", "recvmsg", "flock", "socket", "bind", "connect", "lseek")
# What a program does around what it sends: after `pselect6` the kernel has done it.
_OF_PROGRAMS = (*_FAILING, "setsockopt", "getsockopt", "getsockname", "getuid", "pselect6")
# What an act has started may be nobody's child when it is killed, and ends with the first process.
_APART = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_IN_A_ROW = 6  # a round is made ready and looked at for seconds, and killed in one
_FAULTS = ("internal error", "fault in ocinet", "Traceback", "Fatal Python error")
# With these files Python begins to load us; until then a failure is its own.
_FIRST_OF_OURS = re.compile(r"/(?:hooks/hook\.py|cli/(?:__pycache__/)?main\.[a-z0-9.-]+)\"")
# A line of a trace that is in a function of ours; the code of a module is `<module>`.
_IN_OURS = re.compile(r'File "[^"]*/(?:ocinet|base|cli|engine|hooks|ipam|request)/.*, in (?!<)')
_LONGEST_TOLD = 3000
KINDS = ("torn", "double", "not repeatable", "not working", "left", "not undone", "untold",
         "in Python")  # fmt: skip


class Point(NamedTuple):
    """The k-th call of a kind, counted in each process by itself."""

    call: str
    number: int


class Outcome(NamedTuple):
    """What came of one round.

    Attributes:
        act: its name.
        points: where it was stopped, each time that it was tried.
        fault: KILL or an errno.
        way: repeated, until it was let through, or collected.
        hit: how many of the points it came to.
        findings: what is not as it has to be, by kind.
        of_children: how often it was a program of its that was hit, and not itself.
    """

    act: str
    points: tuple[Point, ...]
    fault: str
    way: str
    hit: int
    findings: dict[str, str]
    of_children: int = 0


def points(
    scene: Scene, act: Act, calls: tuple[str, ...], *, of_children: bool = False
) -> list[Point]:
    """Return where an act can be stopped, from one run that is not.

    Args:
        scene: that it is run in.
        act: that is run.
        calls: that count.
        of_children: only where the programs that it runs can be, and it goes on.
    """
    log = scene.lab.path("trace")
    with scene.ready(act):
        scene.run(act)  # what Python compiles, it compiles once
    with scene.ready(act):
        words = ("strace", "-f", "-q", "-o", log, "-e", f"trace={','.join(calls)}")
        scene.run(act, *words)
    found, own = _points(Path(log).read_text(errors="replace"), calls)
    return [point for point in found if not of_children or point.number > own[point.call]]


def _main_of(log: str) -> str:
    """Return the id of the process that the others are children of: it ends last."""
    return log.rstrip().rpartition("\n")[2].partition(" ")[0]


def _points(log: str, calls: tuple[str, ...]) -> tuple[list[Point], collections.Counter[str]]:
    """Return the calls of a log by their numbers, without those of a Python that starts.

    And how many there are of each in the process itself.
    Numbers are those of each process, so what a child does under such a number goes as well.
    """
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    found: dict[Point, None] = {}
    before: dict[str, int] = {}
    for line in log.splitlines():
        pid, _, rest = line.partition(" ")
        call = rest.strip().partition("(")[0]
        if call not in calls:
            continue
        counts[pid, call] += 1
        reads = call == "openat" and "O_CREAT" not in rest and calls is _CHANGING
        says = call == "write" and rest.strip().startswith(("write(1,", "write(2,"))
        if not (reads or says):
            found[Point(call, counts[pid, call])] = None
        if call == "openat" and not before and _FIRST_OF_OURS.search(rest):
            found = {}  # its first one: a registration is tried in a child
            before = {name: count for (other, name), count in counts.items() if other == pid}
    main = _main_of(log)
    own = collections.Counter(
        {call: number for (pid, call), number in counts.items() if pid == main}
    )
    return [point for point in found if point.number > before.get(point.call, 0)], own


def injected(scene: Scene, act: Act, chosen: tuple[Point, ...], fault: str, way: str) -> Outcome:
    """Do one round: try it as often as there are points, and have it stopped at each."""
    log = scene.lab.path("trace")
    what = "signal=SIGKILL" if fault == "KILL" else f"error={fault}"
    mark = "killed by SIGKILL" if fault == "KILL" else "(INJECTED)"
    findings: dict[str, str] = {}
    hit = of_children = 0
    with scene.ready(act) as before:
        for point in chosen:
            done = scene.run(
                act, "strace", "-f", "-q", "-o", log, "-e", f"trace={point.call}",
                "-e", f"inject={point.call}:{what}:when={point.number}",
            )  # fmt: skip
            told = Path(log).read_text(errors="replace")
            struck = {line.partition(" ")[0] for line in told.splitlines() if mark in line}
            hit += bool(struck)
            of_children += bool(struck) and _main_of(told) not in struck
            findings["torn"] = findings.get("torn") or scene.lab.torn()
            if any(fault in done.stderr for fault in _FAULTS):
                findings[_whose(done.stderr)] = done.stderr[-_LONGEST_TOLD:]
            if fault != "KILL" and done.returncode and act.undone:
                findings["not undone"] = scene.lab.difference(before)
            if fault != "KILL" and done.returncode and act.stoic and "in Python" not in findings:
                findings["untold"] = f"{done.returncode}: {done.stderr[-_LONGEST_TOLD:]}"
        if way == "repeated":
            findings.update(_repeated(scene, act))
        if act.works:
            findings["double"] = scene.lab.doubles()
        scene.finish(act)
        findings["left"] = scene.left()
    found = {kind: told for kind, told in findings.items() if told}
    return Outcome(act.name, chosen, fault, way, hit, found, of_children)


def _whose(trace: str) -> str:
    """Return what kind of finding a trace is.

    In Python alone, where no function of ours has been called: nobody could have caught it.
    """
    return "untold" if "Traceback" not in trace or _IN_OURS.search(trace) else "in Python"


def _repeated(scene: Scene, act: Act) -> dict[str, str]:
    """Do it once more; return what is not as it has to be."""
    again = scene.run(act)
    if again.returncode not in act.fine:
        return {"not repeatable": f"{again.returncode}: {again.stderr[-300:]}"}
    return {"not working": act.works(scene.lab) if act.works else ""}


class Choice(NamedTuple):
    """Which rounds are done.

    Attributes:
        faults: KILL, or errnos.
        part: of each act's rounds, in an order that is chosen by chance.
        seed: of the chance.
        done: not again.
        of_children: only where the programs that an act runs are hit, and it goes on.
    """

    faults: tuple[str, ...]
    part: slice
    seed: int
    done: Collection[Outcome] = ()
    of_children: bool = False


def rounds(lab: Lab, acts: list[Act], choice: Choice) -> Iterator[Outcome]:
    """Do rounds of each act."""
    rng = random.Random(choice.seed)  # noqa: S311  # which rounds, no secret
    former = {(each.act, each.points, each.fault, each.way) for each in choice.done}
    calls: tuple[str, ...] = _CHANGING if choice.faults == ("KILL",) else _FAILING
    if choice.of_children:
        calls = _OF_PROGRAMS
    for act in acts:
        with Scene(lab, act) as scene:
            found = points(scene, act, calls, of_children=choice.of_children)
            plan = _plan(found, choice.faults, rng)
            left = [row for row in plan if (act.name, *row) not in former]
            for chosen, fault, way in left[choice.part]:
                yield injected(scene, act, chosen, fault, way)


def _plan(
    found: list[Point], faults: tuple[str, ...], rng: random.Random
) -> list[tuple[tuple[Point, ...], str, str]]:
    """Return rounds by chance, of which each part has as many of one errno as of another.

    Kills come several in a row to who repeats, so that what mends is killed as well; every
    second round, as long as there are such, leaves it to gc instead. Of errors there is one,
    and every second time that each errno has come, it is left to gc.
    """
    rng.shuffle(found)
    if faults == ("KILL",):
        rows = [found[at : at + _IN_A_ROW] for at in range(0, len(found), _IN_A_ROW)]
        once = [((point,), "KILL", "collected") for point in rng.sample(found, len(found))]
        plan: list[tuple[tuple[Point, ...], str, str]] = []
        for row, alone in zip(rows, once, strict=False):
            plan += [(tuple(row), "KILL", "repeated"), alone]
        return plan + once[len(rows) :]
    columns = [rng.sample(found, len(found)) for _fault in faults]
    return [
        ((point,), fault, way)
        for way, row in zip(itertools.cycle(("collected", "repeated")), zip(*columns, strict=True))
        for point, fault in zip(row, faults, strict=True)
    ]


def read(path: str) -> list[Outcome]:
    """Return what stands in a file of --out, if there is one."""
    if not Path(path).is_file():
        return []
    outcomes = [Outcome(**json.loads(line)) for line in Path(path).read_text().splitlines()]
    return [
        outcome._replace(points=tuple(Point(*point) for point in outcome.points))
        for outcome in outcomes
    ]


def show(outcomes: list[Outcome]) -> str:
    """Return the table of docs/reliability.md."""
    lines = ["| act | rounds | faults that came | " + " | ".join(KINDS) + " |",
             "|---" * (len(KINDS) + 3) + "|"]  # fmt: skip
    by_act: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_act.setdefault(outcome.act, []).append(outcome)
    by_act["all"] = outcomes
    for name, some in by_act.items():
        hit = sum(outcome.hit for outcome in some)
        found = [str(sum(kind in outcome.findings for outcome in some)) for kind in KINDS]
        lines.append(f"| {name} | {len(some)} | {hit} | {' | '.join(found)} |")
    return "\n".join(lines)


def main() -> int:
    """Run what the command line says; 1 if anything was found."""
    names = ", ".join(act.name for act in ACTS)
    parser = argparse.ArgumentParser(description=__doc__, epilog=f"acts: {names}")
    parser.add_argument("--acts", default="", help="of these alone")
    parser.add_argument("--most", type=int, default=0, help="rounds of each act; 0: all")
    parser.add_argument("--seed", type=int, default=1, help="of the choice")
    parser.add_argument("--errors", default="", help="errnos in the place of kills; all: eight")
    parser.add_argument("--out", default="", help="where each round goes, a line of JSON")
    parser.add_argument("--seconds", type=int, default=0, help="after which no round begins")
    parser.add_argument("--children", action="store_true", help="of ocinet's, which goes on")
    parser.add_argument("--sum", nargs="+", default=[], help="of such files, and do nothing else")
    given = parser.parse_args()
    if given.sum:
        print(show([outcome for path in given.sum for outcome in read(path)]))
        return 0
    wanted = given.acts.split(",") if given.acts else [act.name for act in ACTS]
    acts = [act for act in ACTS if act.name in wanted]
    errors = ERRNOS if given.errors == "all" else tuple(filter(None, given.errors.split(",")))
    end = time.monotonic() + given.seconds if given.seconds else None
    outcomes = []
    with Lab() as lab, open(given.out or os.devnull, "a", encoding="utf-8") as out:
        former = read(given.out) if given.out else []
        part = slice(given.most or None)
        choice = Choice(errors or ("KILL",), part, given.seed, former, given.children)
        for outcome in rounds(lab, acts, choice):
            outcomes.append(outcome)
            out.write(json.dumps(outcome._asdict()) + "\n")
            out.flush()
            if outcome.findings:
                print(json.dumps(outcome._asdict()), flush=True)
            if end and time.monotonic() > end:
                break
    print(show(outcomes))
    return int(any(set(outcome.findings) - {"in Python"} for outcome in outcomes))


if __name__ == "__main__":
    if os.environ.get("OCINET_KILLS") != "inside" and "--sum" not in sys.argv:
        inside = {**os.environ, "OCINET_KILLS": "inside"}
        words = [*_APART, sys.executable, *sys.argv]
        sys.exit(subprocess.run(words, env=inside, check=False).returncode)
    sys.exit(main())
