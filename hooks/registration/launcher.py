"""Installing the launcher, the program that engines run in a runtime's place.

    /usr/local/sbin/ocinet-runtime        see `launcher_text`
    /etc/docker/daemon.json               names it as one of Docker's runtimes

What it was registered with stands in its head, so that uninstall takes all of
it back.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocinet.base.errors import ConflictError, OcinetError, RequestError, SystemFailure
from ocinet.base.temporaries import sweep_quietly
from ocinet.hooks.config.hook_entry import SEARCH_PATH
from ocinet.hooks.registration import docker_daemon
from ocinet.hooks.registration.all_or_nothing import all_or_nothing
from ocinet.hooks.registration.foreign_files import (
    MADE,
    Installed,
    read_text,
    remove_directories,
    rewrite,
)
from ocinet.hooks.registration.installation import refuse_writers
from ocinet.hooks.registration.launcher_text import (
    DockerFile,
    docker_files_of,
    is_launcher,
    render,
)
from ocinet.hooks.registration.launcher_users import started_by

if TYPE_CHECKING:
    from ocinet.hooks.config.hook_entry import Registration

DEFAULT_NAME = "ocinet"
DEFAULT_RUNTIME = "runc"
# Where programs of root are, whatever the PATH of who installs.
_PLACES = f"/usr/local/sbin:/usr/local/bin:{SEARCH_PATH}"
_MODE = 0o755
_LEGAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_DOCKERS_OWN = ("runc", "io.")  # names that dockerd keeps for itself


@dataclass(frozen=True)
class Launcher:
    """A launcher, as it is to be installed.

    Attributes:
        runtime: runc, crun, or the path of a runtime.
        name: that engines shall know it by.
        chosen_path: where it shall lie; "" means where its name says.
        docker: the `daemon.json` to name it in, or "".
        default: whether it shall be Docker's default.
    """

    runtime: str = DEFAULT_RUNTIME
    name: str = DEFAULT_NAME
    chosen_path: str = ""
    docker: str = ""
    default: bool = False

    @property
    def path(self) -> str:
        """Where it lies."""
        return self.chosen_path or launcher_path(self.name)


@dataclass(frozen=True)
class _Edit:
    """A `daemon.json` as it is, and as it shall be; None is no file."""

    docker_file: DockerFile
    before: str | None
    after: str | None

    def apply(self) -> bool:
        """Do it; False if there is nothing to do. What a killed one left goes in any case."""
        sweep_quietly(os.path.dirname(self.docker_file.file))
        if self.before == self.after:
            return False
        if self.after is None:
            os.unlink(self.docker_file.file)
            return True
        return rewrite(self.docker_file.file, self.after)


def launcher_path(name: str) -> str:
    """Return where the launcher of a runtime lies, unless told otherwise."""
    return f"/usr/local/sbin/{name}-runtime"


def install(launcher: Launcher, registration: Registration) -> Installed:
    """Write the launcher, and name it in Docker's configuration.

    Can be repeated: a later call replaces an earlier one.

    Args:
        launcher: see there.
        registration: of the hooks; the launcher runs what they run.

    Returns:
        What was written.

    Raises:
        RequestError: a name, path or file is not one to work with; nothing has
            changed then.
        ConflictError: the launcher's path or the runtime's name is another
            one's; nothing has changed then.
        SystemFailure: a file can't be written; then all are as they were.
    """
    path = launcher.path
    try:
        _check_name(launcher.name)
        _check_path(path)
        runtime = find_runtime(launcher.runtime)
        # What an earlier call has noted is kept, so that uninstall finds all of it.
        known = {docker_file.file: docker_file for docker_file in _registered(path)}
        edits = [_register(launcher, known.get(launcher.docker))] if launcher.docker else []
        known |= {edit.docker_file.file: edit.docker_file for edit in edits}
        text = render(runtime, registration, known.values())
        with all_or_nothing((path, *(edit.docker_file.file for edit in edits))):
            changed = [path] if rewrite(path, text, _MODE) else []
            changed += [edit.docker_file.file for edit in edits if edit.apply()]
    except OcinetError as error:
        raise error.within(f"cannot install {path}") from error
    return Installed(tuple(changed))


def uninstall(path: str, docker: DockerFile | None = None) -> Installed:
    """Take a launcher back, and its name out of every `daemon.json` that has it from us.

    Files that are not ours stay, and so does the launcher while containers that it has started
    need it to be stopped.

    Args:
        path: of the launcher.
        docker: one more file to take its name out of.

    Raises:
        RequestError: a `daemon.json` can't be read any more; nothing has
            changed then.
        SystemFailure: a file can't be written or removed.
    """
    sweep_quietly(os.path.dirname(path))
    try:
        text = read_text(path)
        known = {docker_file.file: docker_file for docker_file in docker_files_of(text or "")}
        if docker:
            known.setdefault(docker.file, docker)
        # All are read before one is written: where one can't be, everything stays as it is.
        edits = [_unregister(docker_file, path) for docker_file in known.values()]
        changed = [edit.docker_file.file for edit in edits if edit.apply()]
        why = _why_it_stays(path, text)
        if text is not None and not why:
            os.unlink(path)
            changed.append(path)
        _remove_emptied({os.path.dirname(file) for file in changed})
    except OSError as error:
        raise SystemFailure(f"cannot remove {path}", error.strerror or str(error)) from error
    except OcinetError as error:
        raise error.within(f"cannot remove {path}") from error
    return Installed(tuple(changed), (why,) if why else ())


def _why_it_stays(path: str, text: str | None) -> str:
    """Return why what is at a launcher's path can't be removed; "" if it can, or is not there."""
    if text is None:
        return ""
    if not is_launcher(text):
        return f"{path} is not ocinet's, and stays"
    users = ", ".join(started_by(path))
    again = "say this again when they have ended"
    return f"{path} stays: it alone can stop {users} (hint: {again})" if users else ""


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
        if is_launcher(file.read(1024).decode(errors="replace")):
            raise RequestError("", f"{path} is a launcher of ocinet's, and would start itself",
                               "give the real one: --runtime runc")  # fmt: skip
    refuse_writers(path, "", "use a runtime that only root can write")
    return path


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
    text = read_text(path)
    if text is not None and not is_launcher(text):
        raise ConflictError("", f"{path} is there, and not ocinet's", "choose another --launcher")
    while not os.path.lexists(directory):
        directory = os.path.dirname(directory)
    refuse_writers(directory, "", "choose a --launcher where only root can write")


def _register(launcher: Launcher, earlier: DockerFile | None) -> _Edit:
    """Return how the launcher is named in its `daemon.json`, and what to remember of it.

    Args:
        launcher: see there.
        earlier: what was remembered of that file before.
    """
    file = launcher.docker
    if not file.startswith("/"):
        raise RequestError("", f"{file!r} is not an absolute path")
    if earlier and earlier.name != launcher.name:
        raise ConflictError("", f"{file} knows this launcher as {earlier.name}",
                            f"ocinet runtime uninstall --name {earlier.name}, first")  # fmt: skip
    before = read_text(file)
    try:
        after = docker_daemon.register(
            before or "", launcher.name, launcher.path, default=launcher.default
        )
    except OcinetError as error:
        raise error.within(file) from error
    # A file that was not there before any launcher of ours goes with the last of them.
    made = before is None or (earlier.made if earlier else _made_by_another(before, file))
    return _Edit(DockerFile(file, launcher.name, made), before, after)


def _unregister(docker_file: DockerFile, launcher: str) -> _Edit:
    """Return how a launcher is taken out of a `daemon.json`; one that is only ours goes."""
    before = read_text(docker_file.file)
    if before is None or not before.strip():
        return _Edit(docker_file, before, before)
    try:
        after = docker_daemon.unregister(before, docker_file.name, launcher)
        left = None if docker_file.made and docker_daemon.is_empty(after) else after
    except OcinetError as error:
        raise error.within(docker_file.file) from error
    return _Edit(docker_file, before, left)


def _made_by_another(text: str, file: str) -> bool:
    """Tell whether a `daemon.json` is there because of another launcher of ours."""
    return any(
        docker_file.made and docker_file.file == file
        for launcher in docker_daemon.launchers(text)
        for docker_file in _registered(launcher)
    )


def _registered(path: str) -> tuple[DockerFile, ...]:
    """Return what the launcher at a path is registered with; nothing if there is none."""
    return docker_files_of(read_text(path) or "")


def _remove_emptied(directories: set[str]) -> None:
    """Remove what was made for files that have gone.

    One that has more of ours in it is to be known by the one who takes that.
    """
    remove_directories(path for path in directories if os.listdir(path) == [MADE])
