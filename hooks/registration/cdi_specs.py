"""Registering networks as CDI devices: `podman run --device ocinet.dev/net=lan …`.

    DIR/ocinet.json        one device per network, Container Device Interface 0.3.0

An engine that knows CDI puts the hooks of a device into the container's own
`config.json`. So there is nothing to configure but this file, no annotation to
give, and the runtime itself runs poststop. podman 4 reads it by itself, Docker
25 with `"features": {"cdi": true}`, Docker 28.3 by itself.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from ocinet.base.errors import RequestError
from ocinet.hooks.registration.all_or_nothing import all_or_nothing
from ocinet.hooks.registration.foreign_files import (
    Installed,
    make_directory,
    put,
    read_json,
    remove_directories,
    take,
)
from ocinet.hooks.registration.installation import refuse_writers
from ocinet.request.cdi import KIND
from ocinet.request.config_json import DEVICE, DOWN_STAGE, UP_STAGES, is_our_hook

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.hooks.config.hook_entry import Registration

    Json = dict[str, Any]

DIRECTORY = "/etc/cdi"
_READ_BY_DEFAULT = (DIRECTORY, "/var/run/cdi", "/run/cdi")
_VERSION = "0.3.0"  # the first that was released; what reads a later one reads it, too


def install(
    registration: Registration,
    networks: Iterable[str],
    *,
    directory: str = DIRECTORY,
    stage: str = UP_STAGES[0],
) -> Installed:
    """Write one device for each network; a later call replaces an earlier one.

    Args:
        registration: what the runtime shall run.
        networks: their names.
        directory: absolute; made if it is missing.
        stage: createRuntime, or prestart for runtimes older than spec 1.0.2.

    Raises:
        RequestError: the directory is one that others can write to.
        SystemFailure: the file can't be written.
    """
    what = f"cannot register devices in {directory}"
    if not directory.startswith("/"):
        raise RequestError(what, "it is not an absolute path")
    names = sorted(set(networks))
    legal = [name for name in names if is_device_name(name)]
    path = spec_file(directory)
    with all_or_nothing((path,)):
        make_directory(directory)
        refuse_writers(directory, what, "register them where only root can write")
        changed = (path,) if put(path, render(registration, legal, stage)) else ()
    warnings = [
        f"the network {name} gets no device: a device's name begins with a letter, "
        "and ends with a letter or digit"
        for name in names
        if name not in legal
    ]
    return Installed(changed, (*warnings, *unread(directory)))


def uninstall(*, directory: str = DIRECTORY) -> Installed:
    """Take the devices back; a file that is not ours stays.

    Raises:
        SystemFailure: the file or its directory can't be removed.
    """
    path = spec_file(directory)
    changed = (path,) if take(path, lambda text: _is_our_spec(json.loads(text))) else ()
    remove_directories((directory,))
    return Installed(changed)


def spec_file(directory: str) -> str:
    """Return the path of our file in a directory of CDI specifications."""
    return f"{directory}/ocinet.json"


def is_device_name(network: str) -> bool:
    """Tell whether CDI 0.3.0 takes a network's name for a device's."""
    return network[:1].isalpha() and network[-1:].isalnum()


def render(registration: Registration, networks: Iterable[str], stage: str) -> str:
    """Return a CDI specification with one device for each network."""
    devices = [
        {
            "name": network,
            "containerEdits": {
                "hooks": [
                    {"hookName": name, **registration.entry(name, f"{DEVICE}{network}")}
                    for name in (stage, DOWN_STAGE)
                ]
            },
        }
        for network in networks
    ]
    document = {"cdiVersion": _VERSION, "kind": KIND, "devices": devices}
    return json.dumps(document, indent=2) + "\n"


def read_devices(directory: str) -> dict[str, dict[str, list[Json]]]:
    """Return our devices by name, each with its hook entries by stage.

    Raises:
        RequestError: there is no file of ours.
        SystemFailure: it can't be read.
    """
    path = spec_file(directory)
    document = read_json(path)
    if not _is_our_spec(document):
        raise RequestError(f"cannot read {path}", "it is not ocinet's")
    devices: dict[str, dict[str, list[Json]]] = {}
    for device in document["devices"]:
        stages = devices.setdefault(device["name"], {})
        for entry in device["containerEdits"]["hooks"]:
            stages.setdefault(str(entry.get("hookName")), []).append(entry)
    return devices


def unread(directory: str) -> tuple[str, ...]:
    """Say so if engines have to be told of a directory."""
    if directory in _READ_BY_DEFAULT or os.path.realpath(directory) in _READ_BY_DEFAULT:
        return ()
    return (
        f"engines do not read {directory} by themselves: name it to them, as "
        "with cdi-spec-dirs in Docker's daemon.json, or use /etc/cdi",
    )


def _is_our_spec(document: Any) -> bool:
    """Tell whether a specification is ours: of our kind, and with no hook but ours."""
    try:
        hooks = [
            entry for device in document["devices"] for entry in device["containerEdits"]["hooks"]
        ]
        named = all(isinstance(device["name"], str) for device in document["devices"])
        return document["kind"] == KIND and named and all(is_our_hook(entry) for entry in hooks)
    except (KeyError, TypeError):
        return False
