"""What runc's and crun's own state tells of the containers that they run.

For a person who names one: nobody else keeps a list where no engine listens. By
file, as podman's names are, whose bundle a container's state leads to:

    /run/runc/ID/state.json   {"init_process_pid": 812, "init_process_start": 4711,
                               "config": {"labels": ["bundle=/run/bundles/web"]}}
    /run/crun/ID/status       {"pid": 812, "process-start-time": 4711,
                               "bundle": "/run/bundles/web"}

Root's alone, where a runtime keeps it unless `--root` says otherwise.
"""

from __future__ import annotations

import os

from ocinet.base.clock import Process
from ocinet.base.errors import OcinetError
from ocinet.base.jsontext import MAX_BYTES, loads
from ocinet.base.names import check_container
from ocinet.base.value import Value
from ocinet.request.bounded_reads import read_file
from ocinet.request.podman_files import exposed_by_image, find_named, origin_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

PODMAN = "podman"
_STATES = {"runc": "state.json", "crun": "status"}
_OF_PODMAN = "-containers/"  # in the bundle's path, behind the storage driver's name
_BUNDLE_LABEL = "bundle="


class RuntimeContainer(Value):
    """A container as its runtime's state has it.

    Attributes:
        engine: runc or crun, or podman where that made the bundle.
        id: whole.
        name: podman's, else the id.
        bundle: the bundle's path, or "".
        process: its first one; None if it has ended.
        exposed: the ports of podman's image, as `80/tcp`; None: nothing tells.
    """

    engine: str
    id: str
    name: str
    bundle: str
    process: Process | None
    exposed: tuple[str, ...] | None = None


def find_containers(text: str, run: str = "/run") -> tuple[RuntimeContainer, ...]:
    """Return those containers of runc and crun that a text may mean.

    Args:
        text: an id, podman's name, or an id's start.
        run: where both keep their state.

    Returns:
        Those of that id or name; else those whose ids begin so.
    """
    everyone = list(_containers(run))
    # One list of podman's is read for all of its containers, and not one for each.
    storages = dict.fromkeys(_storage(found.bundle) for found in everyone)
    named = {find_named(storage, text) for storage in storages if storage} - {""}
    exact = [found for found in everyone if found.id == text or found.id in named]
    meant = exact or [found for found in everyone if found.id.startswith(text)]
    return tuple(map(_as_podman_has_it, meant))


def _containers(run: str) -> Iterator[RuntimeContainer]:
    for runtime, name in _STATES.items():
        try:
            ids = sorted(os.listdir(f"{run}/{runtime}"))
        except OSError:
            continue  # it has never run here
        for container_id in ids:
            try:
                check_container(container_id)
                path = f"{run}/{runtime}/{container_id}/{name}"
                yield _read(runtime, container_id, loads(read_file(path, MAX_BYTES), path))
            except (OcinetError, OSError, ValueError, TypeError, AttributeError, KeyError):
                continue  # half made, just deleted, or of another version: it is not this one


def _read(runtime: str, container_id: str, state: dict[str, Any]) -> RuntimeContainer:
    if runtime == "runc":
        pid, start = state["init_process_pid"], state["init_process_start"]
        labels = state["config"].get("labels") or ()
        bundle = next((label for label in labels if label.startswith(_BUNDLE_LABEL)), "")
        bundle = bundle.removeprefix(_BUNDLE_LABEL)
    else:
        pid, start, bundle = state["pid"], state["process-start-time"], state["bundle"]
    process = Process(int(pid), int(start))
    return RuntimeContainer(
        runtime, container_id, container_id, str(bundle), process if process.alive else None
    )


def _storage(bundle: str) -> str:
    """Return where podman keeps a bundle's container; "" if it is none of podman's."""
    driver, of_podman, _ = bundle.rpartition(_OF_PODMAN)
    return f"{driver}{_OF_PODMAN}".rstrip("/") if of_podman else ""


def _as_podman_has_it(found: RuntimeContainer) -> RuntimeContainer:
    if not _storage(found.bundle):
        return found
    name = origin_of(found.id, found.bundle).name
    exposed = exposed_by_image(found.id, found.bundle)
    return found.replace(engine=PODMAN, name=name or found.id[:12], exposed=exposed)
