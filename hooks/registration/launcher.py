"""The launcher: the program that engines run in a runtime's place, and who knows of it.

    /usr/local/sbin/ocinet-runtime        a few lines of shell
    /etc/docker/daemon.json               names it as one of Docker's runtimes

An engine calls its runtime some five times for a container, and only one of
these is ours to see. So the launcher finds out which, and becomes the real
runtime for all others: that costs a shell's start. What it was registered with
stands in its head, so that uninstall takes all of it back.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocinet.base.atomic import replace_file
from ocinet.base.errors import ConflictError, OcinetError, RequestError, SystemFailure
from ocinet.hooks.config.hook_entry import SEARCH_PATH
from ocinet.hooks.registration import docker_daemon
from ocinet.hooks.registration.foreign_files import (
    MADE,
    Installed,
    make_directory,
    remove_directories,
)
from ocinet.hooks.registration.installation import refuse_writers
from ocinet.hooks.wrapper.runtime_call import GLOBAL_OPTIONS, VERBS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.hooks.config.hook_entry import Registration

DAEMON_JSON = "/etc/docker/daemon.json"
DEFAULT_NAME = "ocinet"
DEFAULT_RUNTIME = "runc"
_PLACES = f"/usr/local/sbin:/usr/local/bin:{SEARCH_PATH}"
_OURS = "# Written by `ocinet runtime install`, removed by `ocinet runtime uninstall`."
_DOCKER = "# docker: "
_MODE = 0o755
_LEGAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_DOCKERS_OWN = ("runc", "io.")  # names that dockerd keeps for itself

_SCRIPT = """\
#!/bin/sh
{head}
# {verbs} get ocinet's part into the bundle first; all else is the runtime's alone.
runtime={runtime}
value=
for word do
    if [ "$value" ]; then
        value=
        continue
    fi
    case $word in
    {options}) value=follows ;;
    -*) ;;
    {patterns}) exec {command} "$runtime" "$@" ;;
    *) break ;;
    esac
done
exec "$runtime" "$@"
"""


@dataclass(frozen=True)
class DockerFile:
    """A `daemon.json` that a launcher was registered with.

    Attributes:
        file: its path.
        name: of the runtime there.
        made: whether there was none before us.
    """

    file: str
    name: str
    made: bool = False


@dataclass(frozen=True)
class Wanted:
    """What is to be installed.

    Attributes:
        runtime: runc, crun, or the path of a runtime.
        name: that engines shall know it by.
        path: of the launcher; "" means one after the name.
        docker: the `daemon.json` to name it in, or "".
        default: whether it shall be Docker's default.
    """

    runtime: str = DEFAULT_RUNTIME
    name: str = DEFAULT_NAME
    path: str = ""
    docker: str = ""
    default: bool = False

    @property
    def launcher(self) -> str:
        """The launcher's path."""
        return self.path or launcher_path(self.name)


def launcher_path(name: str) -> str:
    """Return where the launcher of a runtime lies, unless told otherwise."""
    return f"/usr/local/sbin/{name}-runtime"


def install(wanted: Wanted, registration: Registration) -> Installed:
    """Write the launcher, and name it in Docker's configuration.

    Can be repeated: a later call replaces an earlier one.

    Args:
        wanted: see there.
        registration: of the hooks; the launcher runs what they run.

    Returns:
        What was written.

    Raises:
        RequestError: a name, path or file is not one to work with; nothing has
            changed then.
        ConflictError: the launcher's path or the runtime's name is another
            one's; nothing has changed then.
        SystemFailure: a file can't be written.
    """
    path = wanted.launcher
    try:
        _check_name(wanted.name)
        _check_path(path)
        runtime = find_runtime(wanted.runtime)
        known = _registered(path)
        edited = _edit_docker(wanted, known) if wanted.docker else None
        if edited:
            known = (*(one for one in known if one.file != edited[0].file), edited[0])
        text = render(runtime, registration, known)
        changed = [path] if _put(path, text, _MODE) else []
        if edited and _put(edited[0].file, edited[1]):
            changed.append(edited[0].file)
    except OcinetError as error:
        raise error.within(f"cannot install {path}") from error
    return Installed(tuple(changed))


def uninstall(path: str, docker: DockerFile | None = None) -> Installed:
    """Take a launcher back, and its name out of every `daemon.json` that has it from us.

    Files that are not ours stay.

    Args:
        path: of the launcher.
        docker: one more file to take its name out of.

    Raises:
        RequestError: a `daemon.json` can't be read any more; nothing has
            changed then.
        SystemFailure: a file can't be written or removed.
    """
    try:
        warnings = []
        text = _read(path)
        if text is not None and not _is_ours(text):
            warnings.append(f"{path} is not ocinet's, and stays")
        known = _recorded(text) if text is not None and _is_ours(text) else ()
        if docker and all(one.file != docker.file for one in known):
            known = (*known, docker)
        edits = [(one, *_unregistered(one, path)) for one in known]
        changed = [one.file for one, old, new in edits if _apply(one, old, new)]
        if text is not None and _is_ours(text):
            os.unlink(path)
            changed.append(path)
        directories = {os.path.dirname(file) for file in changed}
        # One that has more of ours in it is to be known by the one who takes that.
        remove_directories(one for one in directories if os.listdir(one) == [MADE])
    except OSError as error:
        raise SystemFailure(f"cannot remove {path}", error.strerror or str(error)) from error
    except OcinetError as error:
        raise error.within(f"cannot remove {path}") from error
    return Installed(tuple(changed), tuple(warnings))


def find_runtime(runtime: str) -> str:
    """Return the absolute path of the real runtime.

    Args:
        runtime: a name, or an absolute path.

    Raises:
        RequestError: it is not there, or no runtime to be trusted.
    """
    if "/" in runtime and not runtime.startswith("/"):
        raise RequestError("", f"{runtime!r} is not an absolute path")
    path = shutil.which(runtime, path=_PLACES)
    if path is None:
        hint = f"install it, or give another with --runtime: {runtime} was looked for in {_PLACES}"
        raise RequestError("", f"there is no runtime {runtime}", hint)
    with open(path, "rb") as file:
        if _is_ours(file.read(1024).decode(errors="replace")):
            raise RequestError("", f"{path} is a launcher of ocinet's, and would start itself",
                               "give the real one: --runtime runc")  # fmt: skip
    refuse_writers(path, "", "use a runtime that only root can write")
    return path


def render(runtime: str, registration: Registration, known: Iterable[DockerFile] = ()) -> str:
    """Return the launcher's text.

    Args:
        runtime: the real one, by its absolute path.
        registration: of the hooks.
        known: what it is registered with.
    """
    records = [{"file": one.file, "name": one.name, "made": one.made} for one in known]
    moved = [pair for pair in registration.environment if not pair.startswith("PATH=")]
    spelled = [f"{dashes}{name}" for name in GLOBAL_OPTIONS for dashes in ("--", "-")]
    return _SCRIPT.format(
        head="\n".join((_OURS, *(_DOCKER + json.dumps(record) for record in records))),
        verbs=" and ".join(VERBS),
        runtime=shlex.quote(runtime),
        options=" | ".join(spelled),
        patterns=" | ".join(VERBS),
        command=shlex.join([*registration.command("runtime"), *moved]),
    )


def _check_name(name: str) -> None:
    if not name or not _LEGAL.issuperset(name) or name.startswith((".", "-")):
        raise RequestError("", f"{name!r} is no runtime's name", "use letters, digits and _.-")
    if name == _DOCKERS_OWN[0] or name.startswith(_DOCKERS_OWN[1]):
        raise RequestError("", f"Docker keeps the name {name} for itself", "choose another --name")


def _check_path(path: str) -> None:
    """Refuse a launcher's path that is not ours to take, or that others could take."""
    directory = os.path.dirname(path)
    if not path.startswith("/") or path.endswith("/"):
        raise RequestError("", f"{path!r} is not an absolute path of a file")
    text = _read(path)
    if text is not None and not _is_ours(text):
        raise ConflictError("", f"{path} is there, and not ocinet's", "choose another --launcher")
    while not os.path.lexists(directory):
        directory = os.path.dirname(directory)
    refuse_writers(directory, "", "choose a --launcher where only root can write")


def _edit_docker(wanted: Wanted, known: tuple[DockerFile, ...]) -> tuple[DockerFile, str]:
    """Return the `daemon.json` as it shall be, and what to remember of it."""
    file = wanted.docker
    if not file.startswith("/"):
        raise RequestError("", f"{file!r} is not an absolute path")
    earlier = next((one for one in known if one.file == file), None)
    if earlier and earlier.name != wanted.name:
        raise ConflictError("", f"{file} knows this launcher as {earlier.name}",
                            f"ocinet runtime uninstall --name {earlier.name}, first")  # fmt: skip
    before = _read(file)
    try:
        text = docker_daemon.register(
            before or "", wanted.name, wanted.launcher, default=wanted.default
        )
    except OcinetError as error:
        raise error.within(file) from error
    made = before is None or (earlier.made if earlier else _made_by_another(before, file))
    return DockerFile(file, wanted.name, made), text


def _made_by_another(text: str, file: str) -> bool:
    """Tell whether a `daemon.json` is there because of another launcher of ours."""
    return any(
        one.made
        for launcher in docker_daemon.launchers(text)
        for one in _registered(launcher)
        if one.file == file
    )


def _unregistered(docker: DockerFile, launcher: str) -> tuple[str | None, str | None]:
    """Return a `daemon.json` as it is, and as it is without us; None is no file."""
    before = _read(docker.file)
    if before is None or not before.strip():
        return before, before
    try:
        after = docker_daemon.unregister(before, docker.name, launcher)
        return before, None if docker.made and docker_daemon.is_empty(after) else after
    except OcinetError as error:
        raise error.within(docker.file) from error


def _apply(docker: DockerFile, before: str | None, after: str | None) -> bool:
    if before == after:
        return False
    if after is None:
        os.unlink(docker.file)
        return True
    return _put(docker.file, after)


def _registered(path: str) -> tuple[DockerFile, ...]:
    """Return what the launcher at a path says it is registered with; nothing if it is not ours."""
    text = _read(path)
    return _recorded(text) if text is not None and _is_ours(text) else ()


def _recorded(text: str) -> tuple[DockerFile, ...]:
    found = []
    for line in text.splitlines():
        if line.startswith(_DOCKER):
            try:
                record = json.loads(line[len(_DOCKER) :])
                found.append(DockerFile(record["file"], record["name"], record["made"]))
            except (ValueError, LookupError, TypeError):
                continue  # somebody has edited it; --docker names the file
    return tuple(found)


def _is_ours(text: str) -> bool:
    return text.splitlines()[1:2] == [_OURS]


def _read(path: str) -> str | None:
    """Return a file's text, or None if it is not there."""
    what = f"cannot read {path}"
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SystemFailure(what, error.strerror or str(error)) from error
    except ValueError as error:
        raise RequestError(what, "it is not UTF-8") from error


def _put(path: str, text: str, mode: int | None = None) -> bool:
    """Put a file in place, with owner and mode as they were; False if it is like that already.

    Args:
        path: of the file; a link is followed.
        text: all of it.
        mode: in place of the one that it has.
    """
    path = os.path.realpath(path)
    make_directory(os.path.dirname(path))
    try:
        status = os.stat(path) if os.path.exists(path) else None
        same_mode = status is None or mode in (None, status.st_mode & 0o7777)
        if status and same_mode and _read(path) == text:
            return False
        replace_file(
            path,
            text,
            mode=mode or (status.st_mode & 0o7777 if status else 0o644),
            owner=(status.st_uid, status.st_gid) if status else None,
        )
    except OSError as error:
        raise SystemFailure(f"cannot write {path}", error.strerror or str(error)) from error
    return True
