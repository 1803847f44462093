"""What `hooks verify` says of a registration before and after it runs it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ocinet.base.errors import RequestError
from ocinet.hooks.config.hook_entry import Registration
from ocinet.hooks.registration import hooks_dir
from ocinet.hooks.registration.bundle import add
from ocinet.hooks.registration.installation import resolve
from ocinet.hooks.registration.verify import Finding, verify_bundle, verify_directory

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
_PODMAN_HINT = "register it again: ocinet hooks install --podman"


def _works(_up: Json, _down: Json) -> list[str]:
    return ["it ran"]


def _fails(_up: Json, _down: Json) -> list[str]:
    raise RequestError("cannot try the hook out", "createRuntime failed", "mend it")


@pytest.fixture
def registration() -> Registration:
    """What this very installation would register."""
    return resolve({})


@pytest.fixture
def bundle(tmp_path: Path, registration: Registration) -> Path:
    """A bundle with the hook."""
    (tmp_path / "config.json").write_text('{"linux": {}}')
    add(str(tmp_path), None, registration, lambda _: pytest.fail("nobody is asked for"))
    return tmp_path


def _edit(bundle: Path, change: Callable[[Json], object]) -> None:
    path = bundle / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def test_verify_of_good_bundle_finds_nothing_wrong(bundle: Path) -> None:
    """Both stages are named, and what the trial saw is told."""
    findings = verify_bundle(str(bundle), {}, _works)
    assert [finding.ok for finding in findings] == [True, True]
    assert "for createRuntime and poststop" in findings[0].what
    assert findings[1] == Finding("it ran", ok=True)


def test_verify_of_failing_trial_tells_the_hooks_own_words(bundle: Path) -> None:
    """The error of the trial is a finding like any other."""
    assert verify_bundle(str(bundle), {}, _fails)[-1] == Finding(
        "cannot try the hook out: createRuntime failed", "mend it"
    )


def test_verify_of_bundle_without_hook_says_what_is_missing(tmp_path: Path, bundle: Path) -> None:
    """A missing stage, both, or no bundle at all; nothing is run then."""
    _edit(bundle, lambda config: config["hooks"].pop("poststop"))
    (finding,) = verify_bundle(str(bundle), {}, _fails)
    assert finding.what.endswith("config.json has no hook of ocinet for poststop")
    _edit(bundle, lambda config: config.pop("hooks"))
    (finding,) = verify_bundle(str(bundle), {}, _fails)
    assert finding.what.endswith("for createRuntime and poststop")
    assert finding.hint == "register it again: ocinet hooks add BUNDLE"
    for text in ("[]", "{"):
        (tmp_path / "config.json").write_text(text)
        (finding,) = verify_bundle(str(bundle), {}, _fails)
        assert "can't be read" in finding.what
    (finding,) = verify_bundle(str(tmp_path / "none"), {}, _fails)
    assert "can't be read" in finding.what


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"path": "/nonexistent/python3"}, "/nonexistent/python3: No such file"),
        ({"timeout": 5}, "its timeout is 5"),
        ({"timeout": None}, "its timeout is None"),
        ({"env": []}, "its environment has no PATH"),
        ({"env": ["PATH=/bin", "OCINET_RUN_DIR=/x"]}, "its OCINET_RUN_DIR is '/x', yours is None"),
    ],
)
def test_verify_of_wrong_entry_says_what_is_wrong(bundle: Path, change: Json, said: str) -> None:
    """Each flaw of an entry is a finding, before anything is run."""
    _edit(bundle, lambda config: config["hooks"]["createRuntime"][0].update(change))
    flaws = [finding.what for finding in verify_bundle(str(bundle), {}, _works) if not finding.ok]
    assert [said in flaw for flaw in flaws].count(True) == 1
    assert flaws[0].startswith("createRuntime: ")


def test_verify_of_entry_for_another_stage_or_twice_is_told(bundle: Path) -> None:
    """Arguments must name the stage they stand in, once."""

    def spoil(config: Json) -> None:
        entries = config["hooks"]["poststop"]
        entries[0]["args"][4] = "createRuntime"
        entries.append(entries[0])

    _edit(bundle, spoil)
    flaws = [finding.what for finding in verify_bundle(str(bundle), {}, _works) if not finding.ok]
    assert flaws == ["poststop has it 2 times", "poststop: its arguments are for createRuntime"]


def test_verify_of_files_that_others_can_write_is_told(bundle: Path, tmp_path: Path) -> None:
    """A script that anyone can replace runs as root at every start."""
    script = tmp_path / "ocinet/hooks/hook.py"
    script.parent.mkdir(parents=True)
    script.touch()
    script.chmod(0o666)
    link = tmp_path / "python3"
    link.symlink_to(os.path.realpath(sys.executable))

    def spoil(config: Json) -> None:
        config["hooks"]["createRuntime"][0]["args"][3] = str(script)
        config["hooks"]["createRuntime"][0]["path"] = str(link)

    _edit(bundle, spoil)
    flaws = [finding.what for finding in verify_bundle(str(bundle), {}, _works) if not finding.ok]
    assert any("hook.py can be written by everyone" in flaw for flaw in flaws)
    assert any("is a link to" in flaw for flaw in flaws)


def test_verify_podman_finds_files_condition_and_directory(
    tmp_path: Path, registration: Registration
) -> None:
    """What install wrote is right, except that podman does not read a directory of our own."""
    directory = str(tmp_path / "hooks.d")
    hooks_dir.install(registration, directory=directory, environment=None)
    flaws = [finding for finding in verify_directory(directory, {}, _works) if not finding.ok]
    assert [f"add {json.dumps(directory)} to hooks_dir" in flaw.what for flaw in flaws] == [True]
    conf = {"CONTAINERS_CONF": "/etc/x.conf"}
    assert "CONTAINERS_CONF=/etc/x.conf" in verify_directory(directory, conf, _works)[0].what


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda document: document.update(stages=["poststart"]), "its stages are ['poststart']"),
        (lambda document: document["hook"]["args"].pop(), "its arguments lack --hooks-dir"),
        (lambda document: document.update(when={}), "leaves containers with ocinet.net out"),
        (
            lambda document: document.update(when={"annotations": {"^ocinet.net$": ".*"}}),
            "leaves containers with ocinet.publish out",
        ),
        (
            lambda document: document.update(when={"annotations": {"ocinet": ".*"}}),
            "its condition is not anchored",
        ),
    ],
)
def test_verify_podman_of_wrong_document_says_what_is_wrong(
    tmp_path: Path, registration: Registration, change: Callable[[Json], object], said: str
) -> None:
    """Each flaw of a file is told with its path and the way to mend it."""
    _expect_flaw(tmp_path, registration, "createRuntime", change, said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda document: document.update(stages=["poststart"]), "its stages are ['poststart']"),
        (lambda document: document["hook"].update(timeout=1), "its timeout is 1"),
        (lambda document: document.update(when={"always": True}), "not that of pods"),
    ],
)
def test_verify_podman_of_wrong_document_for_pods_says_what_is_wrong(
    tmp_path: Path, registration: Registration, change: Callable[[Json], object], said: str
) -> None:
    """The file for pods is looked at as the others are."""
    _expect_flaw(tmp_path, registration, "pod-poststop", change, said)


def _expect_flaw(
    directory: Path,
    registration: Registration,
    name: str,
    change: Callable[[Json], object],
    said: str,
) -> None:
    """Spoil one of the files that install writes, and look for what is said of it."""
    hooks_dir.install(registration, directory=str(directory), environment=None)
    path = Path(hooks_dir.hook_file(str(directory), name))
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    found = verify_directory(str(directory), {}, _works)
    assert any(said in each.what and each.hint == _PODMAN_HINT for each in found if not each.ok)


def test_verify_podman_of_foreign_file_is_told(tmp_path: Path) -> None:
    """A file in our place that is not ours masks the hook."""
    Path(hooks_dir.hook_file(str(tmp_path), "createRuntime")).write_text("{}")
    flaws = [finding.what for finding in verify_directory(str(tmp_path), {}, _works)]
    assert "it is not ocinet's" in flaws[0]
    assert "has no hook of ocinet for createRuntime and poststop" in flaws[-1]
