"""The code archive: a hook that loads from it is the same hook."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ocinet.hooks
from ocinet.hooks.archive import HEAD, archive_path, refresh

_PACKAGES = ("base", "ipam", "engine", "request", "hooks")
_TREE = Path(next(iter(ocinet.hooks.__path__))).parent
# What the hook does at its start, and then with all that it would load for an attach.
_LOADED = """\
import sys
__file__ = sys.argv.pop(1)
text = open(__file__).read().replace("status = main(sys.argv[1:])", "import ocinet.engine.engine")
text = text.replace("posix._exit(status)", "")
exec(compile(text, __file__, "exec"))
print(*sorted(name for name in sys.modules if name.startswith("ocinet")))
"""


@pytest.fixture
def script(tmp_path: Path) -> str:
    """Install the packages in a folder of their own; returns the path of `hook.py`."""
    for package in _PACKAGES:
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(_TREE / package, tmp_path / "ocinet" / package, ignore=skipped)
    return f"{tmp_path}/ocinet/hooks/hook.py"


def _run(script: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run the hook without a legal stage: it loads, says what it wants, and ends."""
    return subprocess.run(
        [sys.executable, "-I", "-S", *flags, script, "nonsense"],
        check=False, capture_output=True, text=True, input="{}",
        env={"OCINET_RUN_DIR": f"{os.path.dirname(script)}/run"},
    )  # fmt: skip


def _loaded(script: str) -> list[str]:
    command = [sys.executable, "-I", "-S", "-c", _LOADED, script]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def _from_folders(script: str) -> list[str]:
    """Return the lines by which a verbose interpreter tells of our modules read one by one."""
    shown = _run(script, "-v").stderr.splitlines()
    return [line for line in shown if "/ocinet/" in line and "code object from" in line]


def test_archive_is_made_once(script: str) -> None:
    """And again when a module has changed, but not otherwise."""
    assert refresh(script)
    assert not refresh(script)
    Path(script).with_name("entry").joinpath("stage.py").touch()
    assert refresh(script)


def test_everything_comes_from_the_archive(script: str) -> None:
    """No module of ours is looked for in its folder."""
    assert _from_folders(script)
    refresh(script)
    assert _from_folders(script) == []


def test_the_same_modules_are_loaded(script: str) -> None:
    """With the archive as without it: none is missing, and none comes unasked."""
    without = _loaded(script)
    refresh(script)
    assert _loaded(script) == without
    assert "ocinet.engine.attach" in without


def test_hook_does_the_same(script: str) -> None:
    """Its words and its status are those without the archive."""
    without = _run(script)
    refresh(script)
    with_it = _run(script)
    assert (with_it.returncode, with_it.stderr) == (without.returncode, without.stderr)
    assert "'nonsense' is no stage" in without.stderr


def test_changed_module_counts_at_once(script: str) -> None:
    """The archive has the old one: it is not believed."""
    refresh(script)
    call = Path(script).with_name("entry") / "call.py"
    call.write_text(call.read_text().replace("is no stage", "is none"))
    assert "'nonsense' is none" in _run(script).stderr


@pytest.mark.parametrize("module", ["engine/__init__.py", "base/value.py", "engine/attach.py"])
def test_module_that_others_need_may_change(script: str, module: str) -> None:
    """What depends on it is loaded all the same."""
    refresh(script)
    expected = _loaded(script)
    changed = Path(script).parents[1] / module
    changed.write_text(changed.read_text() + "\n# changed\n")
    assert _loaded(script) == expected


def test_removed_module_is_gone(script: str) -> None:
    """The archive does not stand in for a source that is not there."""
    refresh(script)
    Path(script).with_name("entry").joinpath("state.py").unlink()
    assert "No module named 'ocinet.hooks.entry.state'" in _run(script).stderr


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * HEAD, b"half", None],
    ids=["empty", "of another interpreter", "garbage", "cut off"],
)
def test_archive_that_is_no_good_is_passed_over(script: str, content: bytes | None) -> None:
    """The hook loads as Python always does, and the next refresh mends it."""
    refresh(script)
    path = Path(archive_path(script))
    whole = path.read_bytes()
    path.write_bytes(whole[:1000] if content is None else content)

    assert "'nonsense' is no stage" in _run(script).stderr
    assert refresh(script)
    assert path.read_bytes() == whole


def test_archive_as_a_module_makes_its_own(script: str) -> None:
    """`python3 -m ocinet.hooks.archive` is for packages' scripts."""
    root = script.rsplit("/", 3)[0]
    command = [sys.executable, "-m", "ocinet.hooks.archive"]
    subprocess.run(command, check=True, cwd=root, env={"PYTHONPATH": root})
    assert not refresh(script)
