"""All that is registered on this machine, and how each is taken back.

Looked for where it is put, where podman's and Docker's configuration names it, and in the
bundles of containers that are known. Only what is ours is listed, so that whatever was killed
in between is listed again, and what has been taken back is not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ocinet.base.errors import OcinetError
from ocinet.hooks.config.config_edit import has_ours, is_wrappers, our_annotations
from ocinet.hooks.registration import (
    bundle,
    cdi_specs,
    doors,
    firewalld,
    hooks_dir,
    launcher,
    link_managers,
    unit,
)
from ocinet.hooks.registration.foreign_files import (
    Installed,
    emptied_directories,
    read_text,
    remove_directories,
)
from ocinet.hooks.registration.podman_config import DROP_IN, is_drop_in
from ocinet.request.annotations import BUNDLE
from ocinet.request.config_json import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

HOOKS, DEVICES, RUNTIME, IN_BUNDLE = "hooks", "devices", "runtime", "bundle"
EMPTIED = "emptied"  # a directory that was made for what has been taken back
_TOPS = ("/etc/containers", "/etc/cdi", "/run/cdi", "/etc/docker", "/etc/systemd/network",
         "/etc/NetworkManager", "/etc/firewalld", "/usr/local/sbin")  # fmt: skip
_CDI_DIRS = (cdi_specs.DIRECTORY, "/run/cdi")


@dataclass(frozen=True)
class Registered:
    """One registration.

    Attributes:
        kind: hooks, devices, runtime, bundle, links, firewalld, unit or emptied.
        place: the directory or file.
        take_back: does that; see the `uninstall` of each.
    """

    kind: str
    place: str
    take_back: Callable[[], Installed]


def registrations(bundles: Iterable[str], root: str = "") -> tuple[Registered, ...]:
    """List what is registered, in the order in which it is to be taken back.

    Args:
        bundles: directories to look into.
        root: put before the paths of files, for tests; those of launchers and bundles are whole.
    """
    found = [*_hooks(root), *_devices(root), *_runtimes(root), *_bundles(bundles)]
    for kind, installer in (("links", link_managers), ("firewalld", firewalld), ("unit", unit)):
        take_back = partial(installer.uninstall, root)
        found += [Registered(kind, path, take_back) for path in installer.installed(root)]
    return (*found, *_emptied(root))


def _emptied(root: str) -> Iterator[Registered]:
    for top in _TOPS:
        for path in emptied_directories(root + top):
            yield Registered(EMPTIED, path.removeprefix(root), partial(_remove, path))


def _remove(directory: str) -> Installed:
    remove_directories((directory,))
    return Installed((directory,))


def _hooks(root: str) -> Iterator[Registered]:
    drop_in = _text_of(root + DROP_IN)
    for directory in doors.hooks_directories_known(root):
        # The drop-in goes last: alone, it is what a killed one has left.
        if doors.has_hooks(directory, root) or is_drop_in(drop_in, directory):
            take_back = partial(hooks_dir.uninstall, directory=directory, root=root)
            yield Registered(HOOKS, directory, take_back)


def _devices(root: str) -> Iterator[Registered]:
    for directory in _CDI_DIRS:
        try:
            cdi_specs.read_devices(root + directory)
        except OcinetError:
            continue  # there is none, or it is another's
        take_back = partial(cdi_specs.uninstall, directory=root + directory)
        yield Registered(DEVICES, cdi_specs.spec_file(directory), take_back)


def _runtimes(root: str) -> Iterator[Registered]:
    for path in doors.launchers_known(root):
        yield Registered(RUNTIME, path, partial(launcher.uninstall, root + path))


def _bundles(bundles: Iterable[str]) -> Iterator[Registered]:
    for directory in sorted(set(bundles)):
        path = f"{directory}/{CONFIG}"
        try:
            config = json.loads(_text_of(path) or "{}")
        except ValueError:
            continue
        # An engine's own, which it writes anew at each start, has our hooks by its registration.
        by_hand = has_ours(config) and BUNDLE in our_annotations(config)
        if by_hand and not is_wrappers(config):
            yield Registered(IN_BUNDLE, directory, partial(_take_out, directory, path))


def _take_out(directory: str, path: str) -> Installed:
    return Installed((path,) if bundle.remove(directory) else ())


def _text_of(path: str) -> str:
    try:
        return read_text(path) or ""
    except OcinetError:
        return ""  # whatever it is, it is not ours
