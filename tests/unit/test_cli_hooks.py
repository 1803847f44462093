"""hook and hooks: what the command hands on, and what it prints."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fakes.shell import Shell

STAGES = ("createRuntime", "poststop")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a shell on an installation of its own."""
    return Shell(tmp_path)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a bundle with a network namespace and nothing of ours."""
    path = tmp_path / "web"
    path.mkdir()
    config = {"ociVersion": "1.0.2", "linux": {"namespaces": [{"type": "network"}]}}
    (path / "config.json").write_text(json.dumps(config))
    return path


def asks(bundle: Path) -> dict[str, str]:
    """Return the annotations of a bundle."""
    found: dict[str, str] = json.loads((bundle / "config.json").read_text()).get("annotations", {})
    return found


def add(shell: Shell, bundle: Path, *flags: str) -> None:
    """Add the hooks, or skip where this interpreter could not be registered."""
    outcome = shell.run("hooks", "add", str(bundle), *flags)
    if "others than" in outcome.err or "may write" in outcome.err:
        pytest.skip("the tree is writable by others than root")
    assert outcome.code == 0, outcome.err


def test_hooks_add_writes_what_flags_ask_for(shell: Shell, bundle: Path) -> None:
    """Flags become annotations; a second time changes nothing and says so."""
    flags = ("--net", "lan", "--ip", "10.9.0.5", "-p", "8080:80", "--name", "web")
    add(shell, bundle, *flags)
    found = asks(bundle)
    found.pop("ocinet.bundle")
    assert found == {"ocinet.net": "lan", "ocinet.ip": "10.9.0.5",
                     "ocinet.publish": "8080:80/tcp", "ocinet.name": "web"}  # fmt: skip
    assert "is like that already" in shell.run("hooks", "add", str(bundle), *flags).err
    assert shell.run("hooks", "remove", str(bundle)).code == 0
    assert asks(bundle) == {}
    assert "there is nothing of ocinet's" in shell.run("hooks", "remove", str(bundle)).err


def test_hooks_add_without_flags_keeps_what_the_bundle_asks_for(shell: Shell, bundle: Path) -> None:
    """No flag means: as its annotations say."""
    config = json.loads((bundle / "config.json").read_text())
    config["annotations"] = {"ocinet.net": "dmz"}
    (bundle / "config.json").write_text(json.dumps(config))
    add(shell, bundle)
    assert asks(bundle)["ocinet.net"] == "dmz"


def test_hooks_add_registers_the_stage_that_is_asked_for(shell: Shell, bundle: Path) -> None:
    """`--stage prestart` for old runtimes."""
    add(shell, bundle, "--stage", "prestart")
    assert set(json.loads((bundle / "config.json").read_text())["hooks"]) == {
        "prestart", "poststop"}  # fmt: skip


def test_hooks_add_with_a_wrong_flag_leaves_the_bundle_alone(shell: Shell, bundle: Path) -> None:
    """The flag is named."""
    outcome = shell.run("hooks", "add", str(bundle), "--ip", "x")
    assert outcome.code == 2
    assert outcome.err.startswith("ocinet: --ip: 'x'")
    assert asks(bundle) == {}


@pytest.mark.parametrize("command", ["install", "uninstall", "verify"])
def test_hooks_without_a_place_ask_where(shell: Shell, command: str) -> None:
    """Nothing is guessed."""
    outcome = shell.run("hooks", command)
    assert outcome.code == 2
    assert "say --podman, --hooks-dir DIR or --cdi" in outcome.err


def test_hooks_verify_of_two_places_is_refused(shell: Shell, bundle: Path) -> None:
    """A bundle and podman are verified apart."""
    assert shell.run("hooks", "verify", str(bundle), "--podman").code == 2


def test_hooks_verify_of_a_bundle_without_hooks_tells_how_to_add_them(
    shell: Shell, bundle: Path
) -> None:
    """What is wrong is data, with what to do; and the exit code tells."""
    outcome = shell.run("hooks", "verify", str(bundle))
    assert outcome.code == 1
    assert outcome.lines[0].startswith("BAD   ")
    assert "(hint: " in outcome.lines[0]
    (shown,) = shell.run("hooks", "verify", str(bundle), "--json").data
    assert shown.keys() == {"ok", "what", "hint"}
    assert shown["ok"] is False


@pytest.mark.skipif(os.geteuid() != 0, reason="root can give a file away")
def test_hooks_add_to_a_bundle_of_somebody_elses_says_so(shell: Shell, bundle: Path) -> None:
    """Who can write `config.json` asks with root's word; the person may mean just that."""
    add(shell, bundle)
    os.chown(bundle, 65534, -1)
    told = shell.run("hooks", "add", str(bundle)).err
    assert f"{bundle} belongs to user 65534: whoever can write the bundle asks as root" in told
    verified = shell.run("hooks", "verify", str(bundle))
    assert f"{bundle} belongs to user 65534" in verified.out + verified.err


def test_hooks_uninstall_of_nothing_prints_nothing(shell: Shell, tmp_path: Path) -> None:
    """Not there is success."""
    if os.path.exists("/etc/containers/containers.conf.d/50-ocinet.conf"):
        pytest.skip("ocinet is registered with podman on this machine")
    outcome = shell.run("hooks", "uninstall", "--hooks-dir", str(tmp_path))
    assert (outcome.code, outcome.out) == (0, "")


def test_hooks_add_of_an_unknown_network_warns_with_the_nearest(shell: Shell, bundle: Path) -> None:
    """It may be made before the container is: a word, and no error."""
    shell.run("network", "create", "--subnet", "10.9.0.0/24", "lan")
    assert shell.run("hooks", "add", str(bundle), "--net", "lan").err == ""
    outcome = shell.run("hooks", "add", str(bundle), "--net", "lann;other")
    assert outcome.code == 0
    assert outcome.err.splitlines() == [
        "ocinet: it asks for the network lann, which is not there (hint: did you mean lan?)",
        "ocinet: it asks for the network other, which is not there "
        "(hint: make it with: ocinet network create other)",
    ]
    assert asks(bundle)["ocinet.net"] == "lann;other"
    Path(shell.paths.config, "networks/lan.json").write_text("{}")
    outcome = shell.run("hooks", "add", str(bundle), "--net", "lan")
    assert "what it asks for: cannot read the network lan" in outcome.err


def test_hooks_install_for_another_engine_tells_podman_nothing(
    shell: Shell, tmp_path: Path
) -> None:
    """A hooks directory alone gets its files; that podman does not read it is said."""
    directory = tmp_path / "made/hooks.d"
    outcome = shell.run("hooks", "install", "--hooks-dir", str(directory))
    if "others than" in outcome.err or "can be written by" in outcome.err:
        pytest.skip("the tree is writable by others than root")
    names = (*STAGES, "pod-poststop")
    assert outcome.lines == [f"{directory}/50-ocinet-{name}.json" for name in names]
    assert outcome.err == (
        f"ocinet: podman does not read {directory}; if it shall, say --podman, too\n"
    )
    (directory / "10-site.json").write_text("{}")
    gone = shell.run("hooks", "uninstall", "--hooks-dir", str(directory))
    assert gone.lines == outcome.lines
    assert [path.name for path in directory.iterdir()] == ["10-site.json"]


@pytest.mark.parametrize("flag", ["--hooks-dir", "--cdi"])
def test_hooks_uninstall_removes_the_directories_that_install_made(
    shell: Shell, tmp_path: Path, flag: str
) -> None:
    """The tree is as it was; a directory that was there before stays, empty or not."""
    (tmp_path / "there").mkdir()
    for directory in ("made/by/us", "there/made", "there"):
        outcome = shell.run("hooks", "install", flag, f"{tmp_path}/{directory}")
        if "can be written by" in outcome.err:
            pytest.skip("the tree is writable by others than root")
        shell.run("hooks", "uninstall", flag, f"{tmp_path}/{directory}")
        assert not (tmp_path / "made").exists()
        assert list((tmp_path / "there").iterdir()) == []


def test_hooks_install_cdi_gives_every_network_a_device(shell: Shell, tmp_path: Path) -> None:
    """Those that are defined, and the default one."""
    shell.run("network", "create", "--subnet", "10.9.0.0/24", "lan")
    outcome = shell.run("hooks", "install", "--cdi", f"{tmp_path}/cdi", "--stage", "prestart")
    if "can be written by" in outcome.err:
        pytest.skip("the tree is writable by others than root")
    spec = json.loads((tmp_path / "cdi/ocinet.json").read_text())
    assert [device["name"] for device in spec["devices"]] == ["bridge", "lan"]
    stages = [hook["hookName"] for hook in spec["devices"][0]["containerEdits"]["hooks"]]
    assert stages == ["prestart", "poststop"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("install", "--cdi", "--podman"), "hooks and devices are two registrations"),
        (("uninstall", "--cdi", "/x", "--hooks-dir", "/y"), "hooks and devices are two"),
        (("verify", "--cdi", "--podman"), "hooks and devices are two"),
        (("verify", "/bundle", "--cdi"), "a bundle and a directory are two things"),
        (("install", "--cdi", "/nonexistent", "--always"), "--always does not go with --cdi"),
    ],
)
def test_hooks_of_two_places_are_refused(shell: Shell, words: tuple[str, ...], said: str) -> None:
    """One registration at a time; nothing is written."""
    outcome = shell.run("hooks", *words)
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.out == ""


def test_commands_with_broken_settings_warn_once(shell: Shell) -> None:
    """What looks or takes down goes on with the defaults; the file and the key are named."""
    shell.run("network", "create", "--subnet", "10.9.0.0/24", "lan")
    Path(shell.paths.config, "ocinet.toml").write_text("ipv7 = true\n")
    outcome = shell.run("network", "prune", "--force")  # which opens the engine twice
    assert (outcome.code, outcome.lines) == (0, ["lan"])
    assert outcome.err == (
        f"ocinet: nothing can be attached now: cannot read {shell.paths.config}/ocinet.toml: "
        "unknown key 'ipv7' (hint: did you mean ipv6?)\n"
    )
