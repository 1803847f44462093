"""The launcher's file and the daemon.json files that name it: put there, and taken back."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ocinet.base.errors import ConflictError, OcinetError, RequestError, SystemFailure
from ocinet.base.paths import Paths
from ocinet.engine.model.attachment import ATTACHED, Attachment, Container
from ocinet.engine.records.attachments import AttachmentStore
from ocinet.hooks.config.hook_entry import Registration
from ocinet.hooks.registration.launcher import (
    Launcher,
    find_runtime,
    install,
    launcher_path,
    uninstall,
)
from ocinet.hooks.registration.launcher_text import DockerFile

REGISTRATION = Registration(
    "/usr/bin/python3.11", "/lib/ocinet/hooks/hook.py", ("PATH=/bin", "OCINET_RUN_DIR=/run/a b")
)


class Place:
    """A directory with a runtime, where launchers are put."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.launcher = directory / "sbin" / "ocinet-runtime"
        self.docker = directory / "docker" / "daemon.json"
        self.runtime = directory / "runc"
        self.runtime.write_text("#!/bin/sh\n")
        self.runtime.chmod(0o755)

    def to_install(self, **options: Any) -> Launcher:
        """Return what is to be installed."""
        usual = {"runtime": str(self.runtime), "chosen_path": str(self.launcher)}
        return Launcher(**{**usual, **options})

    def install(self, **options: Any) -> tuple[str, ...]:
        """Install, and return what has changed, by file names."""
        changed = install(self.to_install(**options), REGISTRATION).changed
        return tuple(Path(path).name for path in changed)

    def with_docker(self, **options: Any) -> tuple[str, ...]:
        """Install with Docker's file."""
        return self.install(docker=str(self.docker), **options)

    def uninstall(self, path: Path | None = None, docker: DockerFile | None = None) -> list[str]:
        """Uninstall, and return what has changed, by file names."""
        done = uninstall(str(path or self.launcher), docker)
        return [Path(path).name for path in done.changed]

    def files(self) -> set[str]:
        """Return all files but the runtime."""
        found = {str(path.relative_to(self.directory)) for path in self.directory.rglob("*")
                 if path.is_file()}  # fmt: skip
        return found - {"runc"}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a directory with a runtime."""
    return Place(tmp_path)


def refusal(place: Place, **options: Any) -> str:
    """Return why an installation is refused; it has changed nothing."""
    before = {path: (place.directory / path).read_bytes() for path in place.files()}
    with pytest.raises(OcinetError) as caught:
        place.install(**options)
    assert {path: (place.directory / path).read_bytes() for path in place.files()} == before
    return str(caught.value)


def test_install_writes_an_executable_and_again_changes_nothing(place: Place) -> None:
    """A shell script of absolute paths, quoted; the moved directories go along."""
    assert place.install() == ("ocinet-runtime",)
    text = place.launcher.read_text()
    assert stat.S_IMODE(place.launcher.stat().st_mode) == 0o755
    assert f"runtime={place.runtime}\n" in text
    command = (
        "/usr/bin/python3.11 -I -S /lib/ocinet/hooks/hook.py runtime 'OCINET_RUN_DIR=/run/a b'"
    )
    assert f'exec {command} "$runtime" "$@"' in text
    assert "PATH=" not in text
    subprocess.run(["/bin/sh", "-n", str(place.launcher)], check=True)
    assert place.install() == ()
    place.launcher.chmod(0o700)
    assert place.install() == ("ocinet-runtime",)
    assert stat.S_IMODE(place.launcher.stat().st_mode) == 0o755


def test_path_with_shell_signs_is_quoted(place: Place) -> None:
    """Nobody's path becomes a command."""
    odd = place.directory / "a 'b' $(touch c)" / "runc"
    odd.parent.mkdir()
    odd.write_text('#!/bin/sh\necho "real $*"\n')
    odd.chmod(0o755)
    place.install(runtime=str(odd))
    shown = subprocess.run(
        [place.launcher, "state", "web"], check=True, capture_output=True, text=True
    ).stdout
    assert shown == "real state web\n"


def test_start_comes_here_for_who_is_recorded_to_be_unnamed_alone(place: Place) -> None:
    """Found out by the shell itself, which starts no program for it."""
    runtime = place.directory / "runtime"
    runtime.write_text('#!/bin/sh\necho "real $*"\n')
    runtime.chmod(0o755)
    records = place.directory / "run" / "attachments"
    records.mkdir(parents=True)
    ours = place.directory / "ours"
    ours.write_text('#!/bin/sh\nshift 5\necho "ours $*"\n')
    ours.chmod(0o755)
    registration = Registration(str(ours), "/hook.py", (f"OCINET_RUN_DIR={records.parent}",))
    install(place.to_install(runtime=str(runtime)), registration)

    def shown(*words: str) -> str:
        call = [str(place.launcher), *words]
        return subprocess.run(call, check=True, capture_output=True, text=True).stdout.strip()

    store = AttachmentStore(Paths(run=str(records.parent)))
    for name, unnamed in (("web", True), ("db", False)):
        attachment = Attachment(Container(name, name), "bridge", ATTACHED, "1:2", "boot", "now")
        store.put(attachment.replace(unnamed=unnamed))
    assert shown("--root", "/r", "start", "web") == f"ours {runtime} --root /r start web"
    assert shown("--root", "/r", "start", "db") == "real --root /r start db"
    assert shown("start", "nosuch") == "real start nosuch"
    assert shown("start") == "real start"
    assert shown("--root", "start", "state", "web") == "real --root start state web"


def test_install_names_it_in_daemon_json_and_uninstall_takes_all_back(place: Place) -> None:
    """A file that was not there is removed again, and so are the directories."""
    assert place.with_docker(default=True) == ("ocinet-runtime", "daemon.json")
    config = json.loads(place.docker.read_text())
    assert config == {
        "runtimes": {"ocinet": {"path": str(place.launcher)}},
        "default-runtime": "ocinet",
    }
    assert stat.S_IMODE(place.docker.stat().st_mode) == 0o644
    assert place.with_docker() == ()
    assert place.uninstall() == ["daemon.json", "ocinet-runtime"]
    assert os.listdir(place.directory) == ["runc"]
    assert place.uninstall() == []


@pytest.mark.parametrize("before", ["{}", "{}\n", '{\n    "debug": true\n}\n', '{"a":1}'])
def test_uninstall_leaves_a_daemon_json_that_was_there_as_it_was(place: Place, before: str) -> None:
    """Byte for byte, with owner and mode; through a link, too."""
    real = place.directory / "etc" / "real.json"
    real.parent.mkdir()
    real.write_text(before)
    real.chmod(0o640)
    os.chown(real, os.getuid(), os.getgid())
    place.docker.parent.mkdir()
    place.docker.symlink_to(real)
    place.with_docker()
    assert place.docker.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert "ocinet" in real.read_text()
    place.uninstall()
    assert real.read_text() == before
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert os.listdir(real.parent) == ["real.json"]


def test_what_was_registered_is_remembered_across_installs(place: Place) -> None:
    """A later install without --docker does not forget; one with another runtime replaces."""
    place.with_docker()
    other = place.directory / "crun"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    assert place.install(runtime=str(other)) == ("ocinet-runtime",)
    place.install(docker=f"{place.directory}/second.json")
    assert place.uninstall() == ["daemon.json", "second.json", "ocinet-runtime"]
    assert not place.docker.exists()


@pytest.mark.parametrize("first", [0, 1])
def test_two_launchers_share_a_daemon_json_that_was_made_for_them(place: Place, first: int) -> None:
    """Whichever goes first: the last one takes the file along."""
    paths = [place.launcher, place.directory / "sbin" / "crun-runtime"]
    place.with_docker()
    place.with_docker(chosen_path=str(paths[1]), name="crun-net")
    runtimes = json.loads(place.docker.read_text())["runtimes"]
    assert {name: entry["path"] for name, entry in runtimes.items()} == {
        "ocinet": str(paths[0]), "crun-net": str(paths[1])}  # fmt: skip
    place.uninstall(paths[first])
    assert list(json.loads(place.docker.read_text())["runtimes"]) == [["crun-net", "ocinet"][first]]
    place.uninstall(paths[1 - first])
    assert os.listdir(place.directory) == ["runc"]


def test_uninstall_takes_a_file_that_it_is_told_of(place: Place) -> None:
    """Registered by hand, or the launcher is gone already."""
    place.install()
    place.docker.parent.mkdir()
    entry = {"ocinet": {"path": str(place.launcher)}, "other": {"path": "/x"}}
    place.docker.write_text(json.dumps({"runtimes": entry}))
    place.launcher.unlink()
    told = DockerFile(str(place.docker), "ocinet")
    assert place.uninstall(docker=told) == ["daemon.json"]
    assert json.loads(place.docker.read_text()) == {"runtimes": {"other": {"path": "/x"}}}


def test_files_of_others_stay(place: Place) -> None:
    """A program that has our place, and a runtime that has our name."""
    place.launcher.parent.mkdir()
    place.launcher.write_text("#!/bin/sh\nexec runc\n")
    told = refusal(place)
    assert told.endswith("is there, and not ocinet's (hint: choose another --launcher)")
    done = uninstall(str(place.launcher))
    assert done.changed == ()
    assert done.warnings == (f"{place.launcher} is not ocinet's, and stays",)
    assert place.launcher.read_text() == "#!/bin/sh\nexec runc\n"


@pytest.mark.parametrize(
    "text", ['{"a": 1} // x', "[]", '{"runtimes": 5}', '{"runtimes": {"ocinet": {"path": "/x"}}}']
)
def test_daemon_json_that_cannot_be_edited_stops_the_install(place: Place, text: str) -> None:
    """Nothing has changed then, the launcher is not there; the error names the file."""
    place.docker.parent.mkdir()
    place.docker.write_text(text)
    told = refusal(place, docker=str(place.docker))
    assert told.startswith(f"cannot install {place.launcher}: {place.docker}: ")
    place.docker.write_bytes(b'{"a": "\xff"}')
    assert "it is not UTF-8" in refusal(place, docker=str(place.docker))


def test_broken_daemon_json_stops_the_uninstall(place: Place) -> None:
    """The launcher stays as long as Docker may know it."""
    place.with_docker()
    place.docker.write_text("{")
    with pytest.raises(RequestError, match="it is not JSON"):
        place.uninstall()
    assert place.launcher.exists()
    place.docker.unlink()
    assert place.uninstall() == ["ocinet-runtime"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"name": ""}, "is no runtime's name"),
        ({"name": "a/b"}, "is no runtime's name"),
        ({"name": "runc"}, "Docker keeps the name runc for itself"),
        ({"name": "io.containerd.runc.v2"}, "Docker keeps the name"),
        ({"chosen_path": "sbin/x"}, "is not an absolute path"),
        ({"docker": "daemon.json"}, "is not an absolute path"),
        ({"runtime": "bin/runc"}, "is not an absolute path"),
        ({"runtime": "/no/such/runc"}, "there is no runtime /no/such/runc"),
        ({"runtime": "no-such-runtime"}, "was looked for in /usr/local/sbin:"),
    ],
)
def test_install_of_something_impossible_is_refused(
    place: Place, options: dict[str, str], why: str
) -> None:
    """Names, paths and runtimes that can't be."""
    assert why in refusal(place, **options)


def test_runtime_that_is_a_launcher_is_refused(place: Place) -> None:
    """It would start itself for ever."""
    place.install()
    told = refusal(place, runtime=str(place.launcher), chosen_path=f"{place.directory}/other")
    assert "is a launcher of ocinet's, and would start itself" in told


def test_places_that_others_can_write_are_refused(place: Place) -> None:
    """Whoever can replace launcher or runtime is root at the next start."""
    place.install()
    place.launcher.parent.chmod(0o777)
    assert "can be written by everyone" in refusal(place)
    place.launcher.parent.chmod(0o755)
    place.runtime.chmod(0o777)
    assert "can be written by everyone" in refusal(place)


def test_file_that_knows_the_launcher_by_another_name_is_told(place: Place) -> None:
    """One launcher has one name in one file."""
    place.with_docker()
    with pytest.raises(ConflictError, match="knows this launcher as ocinet"):
        place.with_docker(name="second")


def test_name_gives_the_launchers_place() -> None:
    """Unless it is told otherwise."""
    assert launcher_path("ocinet") == "/usr/local/sbin/ocinet-runtime"
    assert Launcher(name="x").path == "/usr/local/sbin/x-runtime"
    assert Launcher(chosen_path="/y").path == "/y"


def test_find_runtime_by_name_is_absolute() -> None:
    """By the places where programs of root are."""
    assert find_runtime("sh").endswith("/sh")
    assert find_runtime("sh").startswith("/")


def test_launcher_that_cannot_be_written_is_told(place: Place) -> None:
    """Its directory is a file."""
    (place.directory / "sbin").write_text("")
    with pytest.raises(SystemFailure, match="cannot"):
        place.install()
