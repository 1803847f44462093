"""The systemd unit and tmpfiles: systemd takes them, and they fit what the code does."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hosts.requirements import require
from ocinet.base.files import Directory
from ocinet.base.paths import Paths
from ocinet.cli.command_tree import Entry, resolve
from ocinet.cli.parser import Parser
from ocinet.engine.kernel.sandbox import _CAPABILITIES
from ocinet.watcher import service

PACKAGING = Path(__file__).parents[2] / "packaging"
UNIT = PACKAGING / "systemd/ocinet-watcher.service"
CLUSTER_UNIT = PACKAGING / "systemd/ocinet-cluster.service"
TMPFILES = PACKAGING / "tmpfiles/ocinet.conf"
_REPEATED = ("SystemCallFilter",)  # a second line of it adds to the first
# The figure of `systemd-analyze security`, 0 to 100: the less, the better.
_EXPOSURE = 38


def settings(section: str) -> dict[str, str]:
    """Return a section's settings; one that stands there twice is an error."""
    text = re.split(rf"^\[{section}\]$", UNIT.read_text(), flags=re.MULTILINE)[1]
    text = re.split(r"^\[", text, flags=re.MULTILINE)[0]
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals, line
            assert key not in found or key in _REPEATED, line
            found[key] = f"{found.get(key, '')} {value}".strip()
    return found


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze, on a unit that is reloaded by `kill`."""
    require("systemd-analyze", "kill")
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("shipped", [UNIT, CLUSTER_UNIT], ids=lambda path: path.stem)
def test_unit_is_taken_by_systemd_without_a_word(tmp_path: Path, shipped: Path) -> None:
    """No unknown key, no value that is ignored, no program that is not there."""
    unit = tmp_path / shipped.name
    unit.write_text(shipped.read_text().replace("/usr/bin/ocinet", "/bin/true"))
    done = analyze("verify", "--man=no", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shipped", [UNIT, CLUSTER_UNIT], ids=lambda path: path.stem)
def test_unit_is_exposed_no_more_than_it_was(shipped: Path) -> None:
    """What systemd itself says of the unit's hardening does not get worse unnoticed."""
    done = analyze("security", "--offline=true", f"--threshold={_EXPOSURE}", str(shipped))
    assert done.returncode == 0, done.stdout


def test_cluster_unit_waits_for_no_etcd() -> None:
    """Where Docker or podman run it, that were a cycle, and systemd would leave one of them out."""
    (after,) = re.findall(r"^After=(.*)$", CLUSTER_UNIT.read_text(), re.MULTILINE)
    assert not [unit for unit in after.split() if "etcd" in unit]


def test_unit_starts_a_command_that_there_is() -> None:
    """The words behind the program are a command's, and it takes them."""
    program, *words = settings("Service")["ExecStart"].split()
    assert program == "/usr/bin/ocinet"
    entry, rest = resolve(words)
    assert isinstance(entry, Entry)
    from importlib import import_module

    parser = Parser(entry.words, entry.summary)
    import_module(f"ocinet.cli.{entry.module}").COMMANDS[entry.words].configure(parser)
    parser.parse_args(rest)


def test_unit_is_needed_by_nobody_and_needs_nobody() -> None:
    """Engines start without it, and it starts without them: there is but an order."""
    unit, install = settings("Unit"), settings("Install")
    assert {"Description", "Documentation", "After", "StartLimitIntervalSec"} == unit.keys()
    assert install == {"WantedBy": "multi-user.target"}
    section, page = re.fullmatch(r"man:(\w+)\((\d)\)", unit["Documentation"]).groups()  # type: ignore[union-attr]  # no match fails
    assert (PACKAGING / f"man/{section}.{page}").exists()


def test_unit_gives_the_watcher_the_time_it_takes() -> None:
    """It is not killed while it gets ready, waits for an attach, or is asked to stop."""
    found = settings("Service")
    assert int(found["TimeoutStartSec"]) > service._SETTLE_S + service._STOP_S
    assert int(found["TimeoutStopSec"]) > service._STOP_S
    assert int(found["WatchdogSec"]) > 2 * service._STOP_S
    assert (found["Type"], found["NotifyAccess"]) == ("notify", "main")


def test_unit_lets_the_watcher_write_what_is_its_own() -> None:
    """All else is read-only; what lies elsewhere by default is named."""
    found, paths = settings("Service"), Paths()
    writable = found["ReadWritePaths"].split()
    writable += [f"/var/lib/{name}" for name in found["StateDirectory"].split()]
    assert found["ProtectSystem"] == "strict"
    for path in (paths.config, paths.state, paths.run, paths.netns):
        assert any(f"{path}/".startswith(f"{directory}/") for directory in writable), path
    # What systemd does not find it does not make writable: it has to be made first.
    assert f"/etc/{found['ConfigurationDirectory']}" == paths.config


def test_unit_leaves_the_capabilities_that_the_engine_checks() -> None:
    """Without them nothing works at all."""
    kept = settings("Service")["CapabilityBoundingSet"].split()
    assert {name for name, _ in _CAPABILITIES} <= set(kept)
    assert "CAP_NET_BROADCAST" in kept  # to be told of changes within sandboxes
    assert "CAP_NET_BIND_SERVICE" in kept  # to hold published ports


@pytest.mark.parametrize(
    "key",
    ["PrivateNetwork", "PrivateUsers", "PrivatePIDs", "ProtectKernelTunables", "ProtectProc",
     "ProcSubset", "MemoryDenyWriteExecute", "User", "DynamicUser"],
)  # fmt: skip
def test_unit_says_what_is_off_on_purpose(key: str) -> None:
    """What would stop the watcher is not set, and the comment says why not."""
    text = UNIT.read_text()
    assert key not in settings("Service")
    assert key in text.partition("# Off on purpose:")[2]


@pytest.mark.needs("root", "systemd-tmpfiles")
def test_tmpfiles_makes_a_directory_that_is_trusted(tmp_path: Path) -> None:
    """With owner and mode as the stores want them."""
    subprocess.run(
        ["systemd-tmpfiles", "--create", f"--root={tmp_path}", "-"],
        input=TMPFILES.read_text(), text=True, check=True,
    )  # fmt: skip
    path = tmp_path / Paths().run.lstrip("/")
    Directory(str(path)).close()
    assert path.stat().st_mode & 0o7777 == 0o700


def test_tmpfiles_never_cleans_what_is_in_use() -> None:
    """An age would have records removed while their containers run."""
    lines = [line.split() for line in TMPFILES.read_text().splitlines() if line[:1] not in "#"]
    assert [(kind, path, age) for kind, path, _, _, _, age in lines] == [("d", Paths().run, "-")]
