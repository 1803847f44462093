"""The launcher's text: a few lines of shell, and in its head what it is registered with.

    #!/bin/sh
    # Written by `ocinet runtime install`, removed by `ocinet runtime uninstall`.
    # docker: {"file": "/etc/docker/daemon.json", "name": "ocinet", "made": false}

An engine calls its runtime some five times for a container, and only one of
these is ours to see. So the launcher finds out which, and becomes the real
runtime for all others: that costs a shell's start. Pure: text in, text out.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ocinet.base.paths import Paths
from ocinet.hooks.wrapper.runtime_call import GLOBAL_OPTIONS, VERBS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocinet.hooks.config.hook_entry import Registration

_SIGN = "# Written by `ocinet runtime install`, removed by `ocinet runtime uninstall`."
_DOCKER = "# docker: "
_START = "\n    start)\n"
_SCRIPT = """\
#!/bin/sh
{head}
# {verbs} get ocinet's part into the bundle first; all else is the runtime's alone,
# but for the start of who has been wired before its engine had written its /etc/hosts.
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
    start)
        for id do :; done
        record=
        [ -r {attachments}/"$id".json ] && read -r record < {attachments}/"$id".json
        case $record in
        *'"unnamed": true'*) exec {command} "$runtime" "$@" ;;
        esac
        break
        ;;
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


def render(
    runtime: str, registration: Registration, docker_files: Iterable[DockerFile] = ()
) -> str:
    """Return the launcher's text.

    Args:
        runtime: the real one, by its absolute path.
        registration: of the hooks.
        docker_files: what it is registered with.
    """
    records = [_DOCKER + json.dumps(asdict(docker_file)) for docker_file in docker_files]
    # The runtime keeps the engine's own PATH.
    moved = [pair for pair in registration.environment if not pair.startswith("PATH=")]
    # As every program in Go, runc takes one dash for two.
    spelled = [f"{dashes}{name}" for name in GLOBAL_OPTIONS for dashes in ("--", "-")]
    return _SCRIPT.format(
        head="\n".join((_SIGN, *records)),
        verbs=" and ".join(VERBS),
        runtime=shlex.quote(runtime),
        options=" | ".join(spelled),
        patterns=" | ".join(VERBS),
        attachments=shlex.quote(_attachments(moved)),
        command=shlex.join([*registration.command("runtime"), *moved]),
    )


def _attachments(moved: list[str]) -> str:
    """Return where records of containers are, by what moves ocinet's directories."""
    pairs = (pair.partition("=")[::2] for pair in moved)
    return f"{Paths.from_environment(dict(pairs)).run}/attachments"


def is_launcher(text: str) -> bool:
    """Tell whether a program is a launcher of ocinet's, by the beginning of its text."""
    return text.splitlines()[1:2] == [_SIGN]


def sees_starts(launcher: str) -> bool:
    """Tell whether a launcher has who starts named, as those of former versions had not."""
    return _START in launcher


def docker_files_of(launcher: str) -> tuple[DockerFile, ...]:
    """Return what a launcher says it is registered with; nothing if it is none of ocinet's."""
    docker_files = []
    for line in launcher.splitlines() if is_launcher(launcher) else ():
        if line.startswith(_DOCKER):
            try:
                record = json.loads(line[len(_DOCKER) :])
                docker_files.append(DockerFile(record["file"], record["name"], record["made"]))
            except (ValueError, LookupError, TypeError):
                continue  # somebody has edited it; --docker names the file
    return tuple(docker_files)


def programs_of(launcher: str) -> Iterator[str]:
    """Yield what a launcher runs, by absolute paths: the runtime, the interpreter, the script.

    Args:
        launcher: its text.
    """
    programs: list[str] = []
    for line in launcher.splitlines():
        begin, _, command = line.partition(") exec ")
        if begin.startswith("runtime="):
            programs += shlex.split(begin.removeprefix("runtime="))
        # What moves ocinet's directories begins with the name of a variable.
        programs += [word for word in shlex.split(command) if word.startswith("/")]
    yield from dict.fromkeys(programs)  # the same for each of its verbs
