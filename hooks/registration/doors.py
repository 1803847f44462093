"""Which doors are registered on this machine, and what is wrong with each, seen without running it.

Looked for where they are put, and where podman's and Docker's configuration names them:
who registered elsewhere (a bundle, a directory of his own) verifies that himself.
"""

from __future__ import annotations

import glob
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocinet.base.errors import OcinetError
from ocinet.hooks.registration import cdi_specs, docker_daemon, hooks_dir
from ocinet.hooks.registration.foreign_files import read_text
from ocinet.hooks.registration.installation import write_flaws
from ocinet.hooks.registration.launcher_text import (
    docker_files_of,
    is_launcher,
    programs_of,
    sees_starts,
)
from ocinet.hooks.registration.verify import Finding, verify_cdi, verify_directory
from ocinet.request.podman_hooks import VENDOR_DIR, hooks_directories

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_LAUNCHERS = "/usr/local/sbin/*-runtime"
_DAEMON_JSON = "/etc/docker/daemon.json"
_RUNTIME_AGAIN = "install it again: ocinet runtime install"
_HEAD_BYTES = 1024  # of a program: enough to know a launcher by


@dataclass(frozen=True)
class Door:
    """One registration.

    Attributes:
        kind: hooks, devices or runtime.
        place: the directory, file or launcher.
        flaws: what is wrong with it; none of them is `ok`.
    """

    kind: str
    place: str
    flaws: tuple[Finding, ...]


def registered_doors(
    networks: Iterable[str], environment: Mapping[str, str], root: str = ""
) -> tuple[Door, ...]:
    """Look where hooks, devices and runtimes are registered.

    Args:
        networks: those that are defined: each should have its device.
        environment: of the operator, whose directories the hook should use.
        root: put before every path, for tests.
    """
    doors = [*_hooks(environment, root), *_devices(networks, environment, root), *_runtimes(root)]
    return tuple(doors)


def hooks_directories_known(root: str = "") -> tuple[str, ...]:
    """Return the directories that hooks may be registered in: the usual, and podman's."""
    directories = {hooks_dir.HOOKS_DIR, VENDOR_DIR}
    try:
        directories.update(hooks_directories(root)[0])
    except OcinetError:
        pass  # the directory's own findings tell of it
    return tuple(sorted(directories))


def has_hooks(directory: str, root: str = "") -> bool:
    """Tell whether a directory has a file of ours, by its name."""
    return any(os.path.lexists(root + path) for path in hooks_dir.hook_files(directory))


def launchers_known(root: str = "") -> tuple[str, ...]:
    """Return the runtimes of ours: where they are put, and where Docker has one."""
    paths = {path.removeprefix(root) for path in glob.glob(root + _LAUNCHERS)}
    try:
        paths.update(docker_daemon.launchers(read_text(root + _DAEMON_JSON) or ""))
    except OcinetError:
        pass  # dockerd does not start with it, and says why
    return tuple(path for path in sorted(paths) if _read_launcher(root + path))


def _hooks(environment: Mapping[str, str], root: str) -> Iterator[Door]:
    podman = shutil.which("podman") is not None  # CRI-O reads both by itself
    for directory in hooks_directories_known(root):
        if has_hooks(directory, root):
            findings = verify_directory(root + directory, environment, _no_trial, podman=podman)
            yield _door("hooks", directory, findings)


def _devices(networks: Iterable[str], environment: Mapping[str, str], root: str) -> Iterator[Door]:
    path = cdi_specs.spec_file(cdi_specs.DIRECTORY)
    if os.path.lexists(root + path):
        directory = root + cdi_specs.DIRECTORY
        yield _door("devices", path, verify_cdi(directory, networks, environment, _no_trial))


def _runtimes(root: str) -> Iterator[Door]:
    for path in launchers_known(root):
        text = _read_launcher(root + path)
        yield _door("runtime", path, tuple(_launcher_flaws(path, text, root)))


def _read_launcher(path: str) -> str:
    """Return a launcher's text, or "" where it is none of ours."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES).decode(errors="replace")
    except OSError:
        return ""
    return (read_text(path) or "") if is_launcher(head) else ""


def _launcher_flaws(path: str, text: str, root: str) -> Iterator[Finding]:
    for flaw in write_flaws(root + path):
        yield Finding(flaw, "what root runs, only root may write")
    for program in programs_of(text):
        if not os.path.isfile(root + program):
            yield Finding(f"{path} runs {program}, which is not there", _RUNTIME_AGAIN)
    if not sees_starts(text):
        what = "with Docker from 26 on and podman from 5 on, containers do not find their names"
        yield Finding(f"{path} is of a former ocinet: {what}", _RUNTIME_AGAIN)
    for docker in docker_files_of(text):
        try:
            named = docker_daemon.launchers(read_text(root + docker.file) or "")
        except OcinetError as error:
            yield Finding(f"{docker.file}: {error.why}", error.hint)
            continue
        if path not in named:
            yield Finding(f"{docker.file} does not name it any more", f"{_RUNTIME_AGAIN} --docker")


def _door(kind: str, place: str, findings: Iterable[Finding]) -> Door:
    return Door(kind, place, tuple(finding for finding in findings if not finding.ok))


def _no_trial(_up: object, _down: object) -> list[str]:
    return []
