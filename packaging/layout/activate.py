#!/usr/bin/python3 -IS
"""Puts a version of ocinet in place while others run, or takes all of them away.

    activate [--lib DIR] [--python PATH]     after its files have been installed or changed
    activate --retire [--lib DIR]            before they are removed

    SHARE/code/              the files as they were installed, with VERSION; nobody runs these
    LIB/0.1.0-5f3a…/         a version: links to them, compiled by this machine's Python
    LIB/current              leads to the one that the command and the watcher start with
    LIB/hook                 names the one that hooks start with

A version is whole when it has its name, and one rename makes it the next start's. Who has
started goes on with what it has begun with: the version before stays, and older ones for as
long as a process runs them. Can be repeated, and killed anywhere.
"""

import fcntl
import os
import re
import shutil
import subprocess
import time
from argparse import ArgumentParser

SHARE = os.path.dirname(os.path.realpath(__file__))
_PART = ".part"  # the end of a name that nobody looks for
_GRACE_S = 60  # in which whoever has read a former name has opened what it leads to
_STARTED_S = 1  # in which a shell that has read `hook` has become Python
_END_S = 30  # that a hook may take
_CODE = re.compile("code=")
_LOAD = "import sys; sys.path.append(sys.argv[1]); from ocinet.hooks.preload import refresh; \
refresh(sys.argv[1] + '/ocinet/hooks/hook.py')"


def activate(share: str, lib: str, python: str) -> str:
    """Make the version that is installed in `share` the one that is started; returns its name."""
    with open(f"{share}/code/VERSION", encoding="ascii") as file:
        name = file.read().strip()
    version = f"{lib}/{name}"
    if not os.path.isdir(version):
        part = version + _PART
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(f"{share}/code", part, copy_function=_link)
        os.rename(part, version)
    # Where it lies, and before anybody starts it: who does is root, and writes none of it.
    subprocess.run([python, "-I", "-S", "-m", "compileall", "-q", version], check=False)
    subprocess.run([python, "-I", "-S", "-c", _LOAD, version], check=True)
    with open(f"{share}/hook.in", encoding="utf-8") as file:
        text = file.read().replace("@CODE@", f"{version}/ocinet/hooks/hook.py")
    _put(f"{lib}/hook", text.replace("@PYTHON@", python))
    since = _changed(f"{lib}/current")
    if since is None or os.readlink(f"{lib}/current") != name:
        before = [] if since is None else [os.readlink(f"{lib}/current")]
        _point(f"{lib}/current", name)
        if since is None or time.time() - since > _GRACE_S:
            _sweep(lib, keep=(name, *before))
    return name


def retire(lib: str) -> None:
    """Remove all versions; `hook` stays, for registrations name it, and says what is missing."""
    with open(f"{lib}/hook", encoding="utf-8") as file:
        lines = file.read().splitlines(keepends=True)
    # By name nothing is started any more; then those who have started come to their end.
    _put(f"{lib}/hook", "".join("code=\n" if _CODE.match(line) else line for line in lines))
    if os.path.lexists(f"{lib}/current"):
        os.unlink(f"{lib}/current")
    time.sleep(_STARTED_S)
    end = time.monotonic() + _END_S
    while _sweep(lib, keep=()) and time.monotonic() < end:
        time.sleep(0.2)
    for name in _versions(lib):
        shutil.rmtree(f"{lib}/{name}")


def _sweep(lib: str, keep: tuple[str, ...]) -> bool:
    """Remove versions that nobody runs; True if one is still run."""
    old = [name for name in _versions(lib) if name not in keep]
    running = _running([f"{lib}/{name}" for name in old]) if old else set()
    for name in old:
        if f"{lib}/{name}" not in running:
            shutil.rmtree(f"{lib}/{name}", ignore_errors=True)
    return bool(running)


def _running(versions: list[str]) -> set[str]:
    """Return those that a process has on its command line, as hooks do, or holds open."""
    found = set()
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                told = os.fsdecode(file.read()).split("\0")
            told += [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            continue  # it has ended
        found |= {path for path in versions for word in told if f"{word}/".startswith(f"{path}/")}
    return found


def _versions(lib: str) -> list[str]:
    return [entry.name for entry in os.scandir(lib) if entry.is_dir(follow_symlinks=False)]


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target, follow_symlinks=False)


def _put(path: str, text: str) -> None:
    with open(path + _PART, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o755)
        os.fsync(file.fileno())
    os.rename(path + _PART, path)


def _point(path: str, target: str) -> None:
    if os.path.lexists(path + _PART):
        os.unlink(path + _PART)
    os.symlink(target, path + _PART)
    os.rename(path + _PART, path)


def _changed(path: str) -> float | None:
    try:
        return os.lstat(path).st_mtime
    except FileNotFoundError:
        return None


def main() -> None:
    """Read the command line, and keep others out meanwhile."""
    parser = ArgumentParser(prog="activate", description=__doc__.partition("\n")[0])
    parser.add_argument("--lib", default=f"{os.path.dirname(os.path.dirname(SHARE))}/lib/ocinet")
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--retire", action="store_true")
    asked = parser.parse_args()
    os.umask(0o022)
    if asked.retire and not os.path.exists(f"{asked.lib}/hook"):
        return
    os.makedirs(asked.lib, exist_ok=True)
    fd = os.open(asked.lib, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    if asked.retire:
        retire(asked.lib)
    else:
        activate(SHARE, asked.lib, asked.python)


if __name__ == "__main__":
    main()
