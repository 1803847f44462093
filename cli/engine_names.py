"""Containers by the names of their engines, which ocinet need not know yet.

web, 6f2a…              asked of every engine that is there
docker:web, podman:web  of that one alone, as are runc:web and crun:web

Sockets that are not there cost nothing, and an engine that hangs a few seconds.
"""

from __future__ import annotations

import os

from ocinet.base.errors import NotFoundError, OcinetError, RequestError
from ocinet.base.names import check_container
from ocinet.base.value import Value
from ocinet.engine.model.attachment import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocinet.base.paths import Paths

    LookUp = Callable[[str, str], tuple["EngineContainer", ...]]

ENGINES = ("docker", "podman", "runc", "crun")
_SOCKETED = ("docker", "podman")


class EngineContainer(Value):
    """A container that an engine knows.

    Attributes:
        engine: one of `ENGINES`.
        container: under the engine's own id, so that whoever hears of its end by that
            takes the record down; without a process if it does not run.
        exposed: its ports, its image's among them, as `80/tcp`; None: nothing tells.
    """

    engine: str
    container: Container
    exposed: tuple[str, ...] | None = None


def split_engine(text: str) -> tuple[str, str]:
    """Return the engine that a text names, or "", and the rest.

    >>> split_engine("docker:web"), split_engine("web")
    (('docker', 'web'), ('', 'web'))
    """
    engine, colon, name = text.partition(":")
    return (engine, name) if colon and engine in ENGINES else ("", text)


def choose(text: str, look_up: LookUp) -> EngineContainer | None:
    """Return the container that a person means, whichever engine has it; None: nobody.

    Args:
        text: see the module.
        look_up: returns whom engines know by a name: of one, or of all with "".

    Raises:
        RequestError: the name is not legal, or several have it; names each of them.
        OcinetError: an engine that may have it does not answer.
    """
    engine, name = split_engine(text)
    check_container(name, "container")
    found = look_up(name, engine)
    if len(found) > 1:
        # An engine and its id is what tells them apart, whatever they are called.
        several = len({known.engine for known in found}) < len(found)
        words = [
            f"{known.engine}:{known.container.id[:12] if several else name}" for known in found
        ]
        raise RequestError("", f"{text} is not unique: {', '.join(words)}", f"say {words[0]}")
    return found[0] if found else None


def exposed_by(container: Container, look_up: LookUp) -> tuple[str, ...]:
    """Return the ports that a container exposes, as its engine or its image tells.

    Raises:
        NotFoundError: nothing tells: no engine has it, or a runtime alone.
        OcinetError: an engine that may have it does not answer.
    """
    for found in look_up(container.id, ""):
        if found.container.id == container.id and found.exposed is not None:
            return found.exposed
    why = f"nothing tells which ports {container.name} exposes: no Docker or podman has it"
    raise NotFoundError("", why, "name them: -p PORT")


def running(text: str, look_up: LookUp) -> Container | None:
    """Return whom `choose` finds, if it runs; None if there is nobody.

    Raises:
        NotFoundError: it does not run.
        OcinetError: as `choose`.
    """
    found = choose(text, look_up)
    if found and found.container.process is None:
        name = found.container.name
        why = f"{found.engine}'s container {name} does not run"
        raise NotFoundError("", why, f"start it first: {found.engine} start {name}")
    return found.container if found else None


def look_up_on(paths: Paths, environment: Mapping[str, str]) -> LookUp:
    """Return what looks containers up on this machine.

    Args:
        paths: where the settings are, which name the sockets.
        environment: may have DOCKER_HOST.
    """

    def look_up(name: str, engine: str) -> tuple[EngineContainer, ...]:
        found: dict[str, EngineContainer] = {}
        failure: OcinetError | None = None
        try:
            sockets = _sockets(paths, environment) if engine in ("", *_SOCKETED) else ()
        except OcinetError as error:
            sockets, failure = (), error
        for socket in sockets:
            try:
                named = _ask(name, socket)
            except OcinetError as error:
                failure = error
                continue
            if named and engine in ("", named.engine):
                found[named.container.id] = named
        # What podman has in hand is crun's as well, under the same id.
        for known in _by_state(name):
            if engine in ("", known.engine):
                found.setdefault(known.container.id, known)
        if failure and not found:
            raise failure
        return tuple(found.values())

    return look_up


def _sockets(paths: Paths, environment: Mapping[str, str]) -> tuple[str, ...]:
    from ocinet.engine.records.settings import engine_sockets, load_or_defaults

    sockets = engine_sockets(load_or_defaults(paths)[0], environment)
    return tuple(path for path in sockets if os.path.exists(path))


def _ask(name: str, socket: str) -> EngineContainer | None:
    from ocinet.watcher.by_name import find_named  # a third of a second: only where one listens

    named = find_named(name, socket)
    if named is None:
        return None
    container = Container(named.id, named.name, process=named.process)
    return EngineContainer(named.engine, container, named.exposed)


def _by_state(name: str) -> tuple[EngineContainer, ...]:
    from ocinet.request.runtime_files import find_containers

    return tuple(
        EngineContainer(
            known.engine,
            Container(known.id, known.name, known.bundle, process=known.process),
            known.exposed,
        )
        for known in find_containers(name)
    )
