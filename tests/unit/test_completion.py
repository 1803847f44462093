"""What bash, zsh and fish offer, each run for real beside engines that print names."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from hosts.requirements import require
from hosts.waiting import wait_until

_FILES = Path(__file__).parents[2] / "packaging/completion"
_LIMIT = "timeout -s KILL 1 "
_SHELLS = ("bash", "zsh", "fish")
_ID = "6f" * 32
# As the programs answer to what is asked of them; anything else is an error.
_PROGRAMS = {
    "ocinet": 'case "$*" in "network ls -q") echo lan;; "ps --all"*) echo web; echo shop;; esac',
    "docker": 'case "$*" in "ps "*Names*) echo shop; echo db;; esac',
    "podman": 'case "$*" in "ps "*Names*) echo mail;; esac',
    "runc": f'case "$*" in "list -q") echo bare; echo {_ID};; esac',
    "crun": "exit 1",
}
_MEANT = {"web", "shop", "db", "mail", "bare"}
# zsh completes nothing without a line that is edited: what it would offer is written down.
_ZSH = """\
PS1= RPS1=
fpath=({directory} $fpath)
autoload -Uz compinit && compinit -u -D
compadd() {{
    [[ ${{@[1,(i)(-|--)]}} == *-[a-zA-Z]#[OAD]* ]] && {{ builtin compadd "$@"; return }}
    local -a hits
    builtin compadd -A hits "$@"
    print -rl -- $hits >> {told}
    builtin compadd "$@"
}}
finish() {{ print -- DONE >> {told} }}
comppostfuncs=(finish)
print -- READY >> {told}
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A directory with engines and an ocinet of the test's own."""
    place = tmp_path / "bin"
    place.mkdir()
    for name, script in _PROGRAMS.items():
        _write(place / name, script)
    return place


def _write(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def patient(tmp_path: Path) -> Path:
    """A directory with ours, but that a program that a busy machine starts late is waited for."""
    place = tmp_path / "completion"
    shutil.copytree(_FILES, place)
    for path in place.iterdir():
        text = path.read_text()
        assert _LIMIT in text, path
        path.write_text(text.replace(_LIMIT, "timeout -s KILL 40 "))
    return place


def _offered(shell: str, line: str, programs: Path, files: Path) -> set[str]:
    """Return what a shell offers where a line ends, by the files of a directory."""
    require(shell)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "TERM": "dumb",
                   "HOME": str(programs), "XDG_CONFIG_HOME": str(programs)}  # fmt: skip
    if shell == "zsh":
        return _offered_by_zsh(line, programs, files, environment)
    if shell == "fish":
        script = f'source {files}/ocinet.fish; complete -C "{line}"'
    else:
        *words, last = line.split(" ")
        listed = " ".join(f"'{word}'" for word in (*words, last))
        script = (
            f"source {files}/ocinet.bash; COMP_WORDS=({listed}); COMP_CWORD={len(words)}; "
            "_ocinet; printf '%s\\n' \"${COMPREPLY[@]}\""
        )
    done = subprocess.run(
        [shell, "-c", script], check=True, capture_output=True, text=True, env=environment
    )
    assert not done.stderr
    return {each.partition("\t")[0] for each in done.stdout.splitlines()}


def _offered_by_zsh(
    line: str, programs: Path, files: Path, environment: dict[str, str]
) -> set[str]:
    told, setup = programs / "told", programs / "setup.zsh"
    told.write_text("")
    setup.write_text(_ZSH.format(directory=files, told=told))
    ours, its = pty.openpty()
    zsh = subprocess.Popen(
        ["zsh", "-f", "-i"], stdin=its, stdout=its, stderr=its, env=environment,
        start_new_session=True,
    )  # fmt: skip
    try:
        os.write(ours, f"source {setup}\n".encode())
        wait_until(lambda: "READY" in told.read_text(), "zsh", timeout_s=50)
        os.write(ours, f"{line}\t".encode())
        wait_until(lambda: "DONE" in told.read_text(), "zsh's completion", timeout_s=50)
    finally:
        zsh.kill()
        zsh.wait()
        os.close(ours)
        os.close(its)
    return set(told.read_text().split()) - {"READY", "DONE"}


@pytest.mark.parametrize("shell", _SHELLS)
@pytest.mark.parametrize("line", ["inspect ", "attach ", "wait web "])
def test_containers_of_ocinet_and_of_engines_are_offered_by_name(
    shell: str, line: str, programs: Path, patient: Path
) -> None:
    """Each once, and no id of what podman runs by runc."""
    offered = _offered(shell, f"ocinet {line}", programs, patient)
    assert offered - {"pid:", "netns:"} == _MEANT
    assert offered >= {"pid:", "netns:"}


@pytest.mark.parametrize("shell", _SHELLS)
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("net", {"network"}),
        ("network ins", {"inspect"}),
        ("network rm ", {"lan"}),
        ("attach web --net ", {"lan"}),
        ("ls --lat", {"--latest"}),
        ("ps --lat", {"--latest"}),
        ("reserve r", {"rm", "rm-port"}),
        ("plan li", {"link"}),
        ("plan link web db --su", {"--subnet"}),
    ],
)
def test_words_flags_and_values_are_offered(
    shell: str, line: str, wanted: set[str], programs: Path, patient: Path
) -> None:
    """Commands, groups, aliases, networks, flags."""
    offered = _offered(shell, f"ocinet {line}", programs, patient)
    typed = line.rpartition(" ")[2]
    assert {each for each in offered if each.startswith(typed)} == wanted


@pytest.mark.parametrize("shell", _SHELLS)
def test_engine_that_hangs_is_waited_for_a_second(shell: str, programs: Path) -> None:
    """What the others say is offered then, if they are started within it: so once more."""
    for name in ("docker", "runc"):
        _write(programs / name, "trap '' TERM; exec sleep 100")

    def whole() -> bool:
        begun = time.monotonic()
        offered = _offered(shell, "ocinet inspect ", programs, _FILES)
        assert time.monotonic() - begun < 40  # with the shell's own start, on a busy machine
        return offered - {"pid:", "netns:"} == {"web", "shop", "mail"}

    wait_until(whole, "what the others say", timeout_s=50)


def test_engine_that_is_not_there_is_not_missed(
    programs: Path, patient: Path, tmp_path: Path
) -> None:
    """Nothing is said of it, and no names are lost."""
    few = tmp_path / "few"
    few.mkdir()
    for name in ("bash", "sh", "timeout", "grep", "sort", "cat"):
        (few / name).symlink_to(shutil.which(name) or "")
    (few / "ocinet").symlink_to(programs / "ocinet")
    script = f"source {patient}/ocinet.bash; _ocinet_values containers"
    done = subprocess.run(
        [few / "bash", "-c", script], check=True, capture_output=True, text=True,
        env={"PATH": str(few)},
    )  # fmt: skip
    assert done.stdout.split() == ["shop", "web", "pid:", "netns:"]
    assert not done.stderr
