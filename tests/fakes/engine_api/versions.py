"""In what the versions of an engine differ, as far as the watcher and docker-py can tell.

Each was asked: the contract suite compares the fakes with whatever engine there is,
by the latest of these that is not later than that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class DockerVersion:
    """What one version of dockerd does.

    Attributes:
        version: as it says.
        api: the newest version of its API.
        least_api: the oldest one.
        releases_first: it disconnects a container that has ended before it tells of the
            death, and has written it down by then.
        connects_late: it tells of the connection once the runtime has created the
            container, and so not at all where that fails.
        disconnects_twice: it tells twice of who runs and is disconnected by hand, and once
            of who does not run; else once, and not at all.
        restart: policy of who asks for none.
        start_error: beginning of what it notes of a runtime's failure.
        no_image: what is said of an image that it has not.
    """

    version: str
    api: str
    least_api: str
    releases_first: bool = False
    connects_late: bool = False
    disconnects_twice: bool = True
    restart: str = ""
    start_error: str = "failed to create shim task: OCI runtime create failed"
    no_image: str = "no such image: {0}: No such image: {0}:latest"


@dataclass(frozen=True)
class PodmanVersion:
    """What one version of podman does.

    Attributes:
        version: as it says.
        api: of Docker's that it has.
        kill_conflict: status of a kill of what does not run.
        shows_none: it shows none and host as networks, a member's sandbox as its owner's,
            and where the sandbox of a container without a network is.
        keeps_ports: it keeps which ports were to be bound, if not to what, and that all were.
        keeps_start_error: it notes why a runtime has failed.
        knows_die: its filters know "die" besides "died".
        restart: policy of who asks for none.
        stopped_in: where it shows a container that has ended, and was not cleaned up yet,
            as "stopped": list, inspect.
    """

    version: str
    api: str
    kill_conflict: int = 500
    shows_none: bool = False
    keeps_ports: bool = False
    keeps_start_error: bool = False
    knows_die: bool = False
    restart: str = ""
    stopped_in: tuple[str, ...] = ()


_TASK = "failed to create task for container: failed to create shim task: OCI runtime create failed"
_OF_20 = DockerVersion("20.10.24+dfsg1", "1.41", "1.12")
_OF_26 = replace(
    _OF_20,
    version="26.1.5+dfsg1",
    api="1.45",
    least_api="1.24",
    releases_first=True,
    restart="no",
    start_error=_TASK,
    no_image="No such image: {}:latest",
)
_OF_28 = replace(
    _OF_26, version="28.5.2+dfsg4", api="1.51", connects_late=True, disconnects_twice=False
)
DOCKERS = {"20.10": _OF_20, "26.1": _OF_26, "28.5": _OF_28}

_OF_4 = PodmanVersion("4.3.1", "1.41")
_OF_5 = replace(
    _OF_4,
    version="5.4.2",
    kill_conflict=409,
    shows_none=True,
    keeps_ports=True,
    keeps_start_error=True,
    knows_die=True,
    restart="no",
    stopped_in=("list", "inspect"),
)
PODMANS = {
    "4.3": _OF_4,
    "5.4": _OF_5,
    "5.8": replace(_OF_5, version="5.8.6", api="1.44", stopped_in=("list",)),
}
OLDEST = {"docker": "20.10", "podman": "4.3"}


def known(kind: str, found: tuple[int, int]) -> str:
    """Return the latest version that is known and not later than one, by its name here.

    Args:
        kind: docker or podman.
        found: major and minor.
    """
    names = DOCKERS if kind == "docker" else PODMANS
    parsed = {name: tuple(int(part) for part in name.split(".")) for name in names}
    earlier = [name for name in names if parsed[name] <= found]
    return earlier[-1] if earlier else OLDEST[kind]
