"""The machine lab: boots a Debian of its own, has the checks run in it, and writes what came out.

    tests/vm/lab.py [-k EXPRESSION] [--report FILE]

There is no virtualization where this is to run, so the machine is emulated: a minute to
the prompt. All checks of a folder of `guest/` share one boot; those of `second/` and
`third/` run in the same machine after a reboot, and another. `make vm-test` makes what it
needs: the disk, which is never written to, and an installation of ocinet in the root that
the disk is made of.

Effects: a copy of the tests, a disk on top of that one and the machine's console in
    `build/vm-run`, which is made anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_RUN = _ROOT / "build/vm-run"
_DISK = _ROOT / "build/vm/disk.img"
_SITE = _ROOT / "build/roots/trixie/var/ocinet/build/vm-site"
_BOOTS = ("first", "second", "third")
_LONGEST_BOOT_S = 5400  # emulated, beside whatever else the machine does
_POLL_S = 0.5
_JOB = """#!/bin/sh
set -eu
cd /lab
sh vm/guest/install-product
exec python3 -m pytest -q -p no:cacheprovider -c vm/guest/pytest.ini --rootdir /lab \\
    vm/guest/{boot} {options} > /lab/{boot}.log 2>&1
"""


@dataclass(frozen=True)
class Check:
    """What one check came to.

    Attributes:
        boot: the folder that it is in: first, second, third.
        fact: what it holds, as its docstring says.
        outcome: passed, failed or skipped.
        seconds: that it took.
        why: it failed or was skipped, in one line; else what it measured, or "".
    """

    boot: str
    fact: str
    outcome: str
    seconds: float
    why: str


def share() -> Path:
    """Lay out what the machine sees at /lab; see `guest/install-product`."""
    shutil.rmtree(_RUN, ignore_errors=True)
    shared = _RUN / "lab"
    shutil.copytree(_ROOT / "tests/vm", shared / "vm")
    shutil.copytree(_ROOT / "packaging", shared / "packaging")
    shutil.copytree(_SITE, shared / "site")
    return shared


def qemu(overlay: Path, shared: Path, console: Path) -> list[str]:
    """Return the command that boots the machine; its job ends it."""
    return [
        "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max",
        "-m", "3072", "-smp", "2", "-nodefaults",
        "-kernel", str(_DISK.parent / "vmlinuz"), "-initrd", str(_DISK.parent / "initrd.img"),
        # Each line to the serial port, and each mitigation, is dear where all is emulated.
        "-append", "root=/dev/vda rw console=ttyS0 quiet mitigations=off systemd.show_status=no",
        "-drive", f"file={overlay},format=qcow2,if=virtio",
        "-fsdev", f"local,id=lab,path={shared},security_model=none",
        "-device", "virtio-9p-pci,fsdev=lab,mount_tag=lab",
        "-nic", "none", "-display", "none", "-serial", f"file:{console}", "-no-reboot",
    ]  # fmt: skip


def boot(name: str, command: list[str], shared: Path) -> tuple[Check, ...]:
    """Boot once, and tell of each check as it ends.

    Raises:
        SystemExit: the machine did not come to an end by itself.
    """
    began = time.monotonic()
    print(f"{name} boot", flush=True)
    results = shared / f"{name}.jsonl"
    # In a session of its own: what interrupts the lab is for the lab to pass on.
    machine = subprocess.Popen(command, start_new_session=True)
    _prefer(machine.pid)
    told = 0
    try:
        while machine.poll() is None:
            time.sleep(_POLL_S)
            told = _tell(results, told)
            if time.monotonic() - began > _LONGEST_BOOT_S:
                raise SystemExit(f"the machine has not ended after {_LONGEST_BOOT_S} s; see {_RUN}")
    finally:
        machine.kill()
        machine.wait()
    _tell(results, told)
    print(f"{name} boot took {time.monotonic() - began:.0f} s", flush=True)
    return _read(results)


def _prefer(pid: int) -> None:
    """Have a session's processes before those of others: starved, a boot takes many tries.

    A hook has 20 s, however long the machine takes that runs it.
    """
    with suppress(OSError):  # a kernel without autogroups
        Path(f"/proc/{pid}/autogroup").write_text("-8")


def _tell(results: Path, told: int) -> int:
    checks = _read(results)
    for check in checks[told:]:
        why = f"\n            {check.why}" if check.why else ""
        print(f"  {check.outcome:8}{check.fact} ({check.seconds:.0f} s){why}", flush=True)
    return len(checks)


def _read(results: Path) -> tuple[Check, ...]:
    if not results.exists():
        return ()
    lines = results.read_text().splitlines(keepends=True)
    return tuple(Check(**json.loads(line)) for line in lines if line.endswith("\n"))


def report(checks: tuple[Check, ...], machine: dict[str, str]) -> str:
    """Return the page that says what was run and what came out."""
    lines = [
        "# What was run in the machine lab",
        "",
        "`make vm-test` wrote this: it boots a Debian of its own, with systemd as its first",
        "process, and runs in it what no namespace can show.",
        "",
        "| program | version |",
        "|---|---|",
        *(f"| {name} | {version} |" for name, version in machine.items()),
    ]  # fmt: skip
    for name in _BOOTS:
        lines += ["", f"## {name.capitalize()} boot", "", "| | what holds | |", "|---|---|---|"]
        lines += [
            f"| {check.outcome} | {check.fact} | {check.why.replace('|', chr(92) + '|')} |"
            for check in checks if check.boot == name
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run all boots; returns 0 if every check passed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--report", type=Path, help="file to write what came out to")
    parser.add_argument("-k", default="", help="run only the checks that match, as pytest's -k")
    arguments = parser.parse_args()
    shared = share()
    overlay = _RUN / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b",
                    str(_DISK), str(overlay)], check=True)  # fmt: skip
    checks: tuple[Check, ...] = ()
    for name in _BOOTS:
        options = f"-k '{arguments.k}'" if arguments.k else ""
        (shared / "job").write_text(_JOB.format(boot=name, options=options))
        command = qemu(overlay, shared, _RUN / f"{name}.console")
        checks += boot(name, command, shared)
    machine = json.loads((shared / "machine.json").read_text())
    if arguments.report and not arguments.k:
        arguments.report.write_text(report(checks, machine))
    failed = [check for check in checks if check.outcome == "failed"]
    print(f"{len(checks) - len(failed)} of {len(checks)} checks passed; what they said: {shared}")
    return 1 if failed or not checks else 0


if __name__ == "__main__":
    sys.exit(main())
