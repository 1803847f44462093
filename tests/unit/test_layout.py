"""Versions in folders: switched in the middle of starts, taken away, and what is left then."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hosts.requirements import require
from hosts.waiting import wait_until
from ocinet.hooks import hook
from ocinet.hooks.config.hook_entry import lasting

LAYOUT = Path(__file__).parents[2] / "packaging/layout"
STATE = {"ociVersion": "1.0.2", "id": "web", "pid": 4242, "status": "created", "bundle": "/"}
ASKS = {"annotations": {"ocinet.net": "lan"}}


class Layout:
    """An installation in a folder of its own, of this tree's code.

    Args:
        root: that folder.
    """

    def __init__(self, root: Path) -> None:
        self.share, self.lib = root / "share/ocinet", root / "lib/ocinet"
        self.hook = str(self.lib / "hook")
        self.script = str(self.lib / "current/ocinet/hooks/hook.py")

    def activate(self, version: str = "", *words: str) -> None:
        """Make the code a version that is started; or whatever else is said."""
        if version:
            (self.share / "code/VERSION").write_text(f"{version}\n")
        argv = [sys.executable, "-IS", str(self.share / "activate"), *words]
        subprocess.run([*argv, "--python", os.path.realpath(sys.executable)], check=True)

    def lose(self) -> None:
        """Be as after `rm -r`: `hook` is there, and no version."""
        self.lib.mkdir(parents=True)
        text = (LAYOUT / "hook.in").read_text().replace("@PYTHON@", sys.executable)
        (self.lib / "hook").write_text(text.replace("@CODE@", f"{self.lib}/1/ocinet/hooks/hook.py"))
        (self.lib / "hook").chmod(0o755)

    def versions(self) -> set[str]:
        """Return the folders that there are."""
        return {path.name for path in self.lib.iterdir() if path.is_dir() and not path.is_symlink()}

    def run(self, *words: str, state: object = STATE) -> tuple[int, str]:
        """Run the hook as it is registered; returns its status and what it says."""
        argv = [self.hook, "-I", "-S", self.script, *words]
        environment = {"PATH": "/usr/sbin:/usr/bin", "OCINET_RUN_DIR": f"{self.lib}/run"}
        done = subprocess.run(argv, input=json.dumps(state), env=environment, text=True,
                              capture_output=True, check=False)  # fmt: skip
        return done.returncode, done.stderr + done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where one is laid down that has the version `1`, compiled once for all tests."""
    root = tmp_path_factory.mktemp("installed")
    layout = Layout(root)
    code = Path(str(hook.__file__)).parents[1]
    # What `make dev` has are links: a version is files.
    shutil.copytree(code, layout.share / "code/ocinet", ignore=shutil.ignore_patterns("preload-*"))
    shutil.copy(LAYOUT / "activate.py", layout.share / "activate")
    shutil.copy(LAYOUT / "hook.in", layout.share)
    return root


@pytest.fixture
def layout(installed: Path, tmp_path: Path) -> Layout:
    """Return one of a test's own, with the version `1` in place."""
    shutil.copytree(installed, tmp_path / "root")
    layout = Layout(tmp_path / "root")
    layout.activate("1")
    return layout


def test_registered_paths_are_those_that_no_version_has(layout: Layout) -> None:
    """What starts it and by which name; elsewhere, interpreter and script as they are."""
    script = str(layout.lib / "1/ocinet/hooks/hook.py")
    assert lasting("/usr/bin/python3.11", script) == (layout.hook, layout.script)
    other = "/usr/lib/python3/dist-packages/ocinet/hooks/hook.py"
    assert lasting("/usr/bin/python3.11", other) == ("/usr/bin/python3.11", other)


def test_switching_in_the_middle_of_starts_fails_none(layout: Layout) -> None:
    """Whoever is started while versions come and go finds one whole one; the last but one stays."""
    starts = subprocess.Popen(
        ["sh", "-c", f"""while [ ! -e {layout.lib}/enough ]; do
            echo '{json.dumps(STATE)}' | {layout.hook} -I -S {layout.script} createRuntime \
                --hooks-dir || echo "failed: $?"; echo done; done"""],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    for version in ("2", "1", "3"):
        layout.activate(version)
    (layout.lib / "enough").touch()
    told, _ = starts.communicate(timeout=50)
    assert set(told.splitlines()) == {"done"}
    assert os.readlink(layout.lib / "current") == "3"
    # None of them has been out of use for a minute.
    assert layout.versions() == {"1", "2", "3"}


def test_environment_is_built_anew_in_the_middle_of_starts(layout: Layout, tmp_path: Path) -> None:
    """`make venv` has what is registered by a virtual environment's paths change in one call."""
    inside, starts = "lib/python3.11/site-packages", tmp_path / "starts"
    venv, new = tmp_path / "venv", tmp_path / "venv/.new"
    shutil.copytree(layout.lib / "1", venv / inside)
    script = venv / inside / "ocinet/hooks/hook.py"
    with subprocess.Popen(
        ["sh", "-c", f"""while [ ! -e {venv}/enough ]; do
            echo '{json.dumps(STATE)}' | {sys.executable} -I -S {script} createRuntime \
                --hooks-dir && echo done; done > {starts} 2>&1"""],
        env={"PATH": "/usr/sbin:/usr/bin", "OCINET_RUN_DIR": f"{tmp_path}/run"},
    ):  # fmt: skip
        for build in range(3):
            begun = starts.stat().st_size if build else 0
            wait_until(lambda: starts.exists() and starts.stat().st_size > begun, "one start")  # noqa: B023  # of this round
            shutil.copytree(layout.lib / "1/ocinet", new / inside / "ocinet")
            (new / inside / "ocinet/build").write_text(str(build))
            (new / "bin").mkdir()
            (new / "bin/ocinet").write_text(str(build))
            argv = [sys.executable, str(LAYOUT / "put_in_place.py"), str(new), str(venv)]
            subprocess.run(argv, check=True)
            assert (venv / inside / "ocinet/build").read_text() == str(build)
            assert (venv / "bin/ocinet").read_text() == str(build)
            assert not new.exists()
        (venv / "enough").touch()
    assert set(starts.read_text().splitlines()) == {"done"}


def test_old_versions_go_when_nobody_runs_them(layout: Layout) -> None:
    """One that a process holds open, or was started from, stays; so does the one before."""
    for version in ("2", "3"):
        layout.activate(version)
    held = os.open(layout.lib / "1", os.O_RDONLY)
    long_ago = (0, 0)
    os.utime(layout.lib / "current", long_ago, follow_symlinks=False)
    layout.activate("4")
    assert layout.versions() == {"1", "3", "4"}
    os.close(held)
    os.utime(layout.lib / "current", long_ago, follow_symlinks=False)
    layout.activate("5")
    assert layout.versions() == {"4", "5"}


def test_activate_again_changes_nothing(layout: Layout) -> None:
    """After an upgrade of Python, or killed half way: what is there is completed."""
    (layout.lib / "2.part/ocinet").mkdir(parents=True)
    before = os.lstat(layout.lib / "current").st_ino
    layout.activate("1")
    assert os.lstat(layout.lib / "current").st_ino == before
    layout.activate("2")
    assert (layout.lib / "2/ocinet/hooks/hook.py").is_file()
    assert not (layout.lib / "2.part").exists()


@pytest.mark.parametrize(
    ("words", "state", "status"),
    [
        (("createRuntime", "--hooks-dir", "--always"), STATE, 0),
        (("createRuntime", "--hooks-dir", "--always"), STATE | ASKS, 1),
        (("createRuntime", "--hooks-dir"), STATE | ASKS, 1),
        (("createRuntime",), STATE, 1),
        (("createRuntime", "--device=lan"), STATE, 1),
        (("poststop", "--hooks-dir"), STATE | ASKS, 0),
        (("poststop", "--hooks-dir", "--always"), STATE, 0),
    ],
)
def test_hook_without_a_version_refuses_who_asks_and_nobody_else(
    tmp_path: Path, words: tuple[str, ...], state: object, status: int
) -> None:
    """With the package gone, what is registered still is: others' containers start and stop."""
    layout = Layout(tmp_path)
    layout.lose()
    told = layout.run(*words, state=state)
    assert told[0] == status
    assert ("ocinet: the container asks ocinet for its network" in told[1]) == bool(status)


@pytest.mark.parametrize(
    ("config", "labels", "status"),
    [({}, {}, 0), (ASKS, {}, 1), ({}, {"ocinet.publish": "80"}, 1)],
)
def test_runtime_without_a_version_is_the_real_one(
    tmp_path: Path, config: dict[str, object], labels: object, status: int
) -> None:
    """It becomes what it wraps, unless podman's annotations or Docker's labels ask for us."""
    layout = Layout(tmp_path)
    layout.lose()
    kept = tmp_path / f"containers/{'0a' * 32}"
    kept.mkdir(parents=True)
    (kept / "config.v2.json").write_text(json.dumps({"Config": {"Labels": labels}}))
    mounts = [{"destination": "/etc/hostname", "source": f"{kept}/hostname"}]
    (tmp_path / "config.json").write_text(json.dumps(config | {"mounts": mounts}))
    words = ("runtime", f"OCINET_RUN_DIR={tmp_path}", "/bin/echo", "create", "--bundle",
             str(tmp_path), "web")  # fmt: skip
    told = layout.run(*words)
    assert told[0] == status
    assert (f"create --bundle {tmp_path} web\n" == told[1]) == (status == 0)


def test_retire_leaves_what_registrations_name_and_waits_for_who_runs(layout: Layout) -> None:
    """A hook that has begun ends with its code there; then nothing but `hook` is left."""
    with subprocess.Popen(
        [layout.hook, "-I", "-S", layout.script, "poststop"], stdin=subprocess.PIPE,
        env={"OCINET_RUN_DIR": f"{layout.lib}/run"}, stderr=subprocess.PIPE,
    ) as begun:  # fmt: skip
        wait_until(lambda: b"/1/ocinet/hooks" in Path(f"/proc/{begun.pid}/cmdline").read_bytes(),
                   "the hook is Python")  # fmt: skip
        argv = [sys.executable, "-IS", str(layout.share / "activate"), "--retire"]
        with subprocess.Popen(argv) as retired:
            wait_until(lambda: not (layout.lib / "current").exists(), "current is gone")
            assert layout.versions() == {"1"}
            assert begun.communicate(json.dumps(STATE).encode())[1] == b""
            assert begun.returncode == 0
        assert retired.returncode == 0
    assert [path.name for path in layout.lib.iterdir() if path.name != "run"] == ["hook"]
    assert layout.run("poststop")[0] == 0
    layout.activate("1")  # and comes back
    assert layout.run("createRuntime", "--hooks-dir") == (0, "")


def test_what_is_laid_is_taken_away_and_nothing_else(tmp_path: Path) -> None:
    """Twice laid, with files that the second one hasn't; `hook` goes when /etc/ocinet has."""
    code, root = tmp_path / "code", tmp_path / "root"
    for name in ("site/ocinet/x.py", "data/share/ocinet/ocinet.toml", "data/share/man/man8/o.8"):
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).touch()
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/share/man").mkdir(parents=True)
    before = sorted(root.rglob("*"))
    words = ("/usr", str(root))

    subprocess.run([LAYOUT / "lay", code, *words, sys.executable], check=True)
    (code / "data/share/man/man8/o.8").rename(code / "data/share/man/man8/other.8")
    subprocess.run([LAYOUT / "lay", code, *words, sys.executable], check=True)
    assert {path.name for path in (root / "usr/share/man/man8").iterdir()} == {"o.8", "other.8"}
    hook = root / "usr/lib/ocinet/hook"
    hook.parent.mkdir(parents=True)
    hook.touch()
    mine = root / "usr/share/zsh"
    mine.mkdir()
    told = [subprocess.run([LAYOUT / "take-away", *words], check=True, capture_output=True).stdout]
    assert [str(hook).encode() in told[0], hook.exists(), mine.exists()] == [True, True, True]

    mine.rmdir()
    subprocess.run([LAYOUT / "lay", code, *words, sys.executable], check=True)
    shutil.rmtree(root / "etc")
    subprocess.run([LAYOUT / "take-away", *words], check=True)
    hook.parent.parent.rmdir()
    assert sorted(root.rglob("*")) == before


def test_prefix_that_was_not_there_is_taken_away_too(tmp_path: Path) -> None:
    """With those above it that were made, and `hook`, for the settings are gone before."""
    code, root = tmp_path / "code", tmp_path / "root"
    for name in ("site/ocinet/x.py", "data/share/ocinet/ocinet.toml", "data/lib/udev/x.rules"):
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).touch()
    (root / "opt").mkdir(parents=True)
    words = ("/opt/my oc/a", str(root))
    subprocess.run([LAYOUT / "lay", code, *words, sys.executable], check=True)
    (root / "opt/my oc/a/lib/ocinet").mkdir()
    (root / "opt/my oc/a/lib/ocinet/hook").touch()
    shutil.rmtree(root / "etc")
    subprocess.run([LAYOUT / "take-away", *words], check=True)
    assert list(root.rglob("*")) == [root / "opt"]


def test_without_a_note_of_what_is_laid_nothing_is_taken_away(tmp_path: Path) -> None:
    """Not the versions that hooks start with either."""
    share = tmp_path / "share/ocinet"
    share.mkdir(parents=True)
    (share / "activate").write_text("#!/bin/sh\ntouch retired\n")
    (share / "activate").chmod(0o755)

    def take_away() -> subprocess.CompletedProcess[str]:
        return subprocess.run([LAYOUT / "take-away", tmp_path, ""], cwd=tmp_path, text=True,
                              capture_output=True, check=False)  # fmt: skip

    refused = take_away()
    assert (refused.returncode, (tmp_path / "retired").exists()) == (1, False)
    assert refused.stderr.startswith(f"cannot uninstall: no {share}/laid ")
    (share / "laid").touch()
    assert (take_away().returncode, (tmp_path / "retired").exists()) == (0, True)


@pytest.mark.parametrize("name", ["hook.in", "lay", "take-away"])
def test_scripts_pass_shellcheck(name: str) -> None:
    """Runtimes run them as root, under whatever is /bin/sh."""
    require("shellcheck")
    done = subprocess.run(["shellcheck", "--shell=sh", LAYOUT / name], capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout
