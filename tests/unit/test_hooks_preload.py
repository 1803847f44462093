"""The preload: a hook that loads from it is the same hook."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import MAGIC_NUMBER
from marshal import dumps, loads
from pathlib import Path
from typing import Any

import pytest

import ocinet.hooks
from ocinet.hooks.entry.engine_access import load_engine
from ocinet.hooks.entry.on_demand import FIRST_OF
from ocinet.hooks.preload import PARTS, preload_path, refresh
from ocinet.hooks.registration.installation import code_flaws

_SIZE = 4
_PACKAGES = ("base", "ipam", "engine", "request", "hooks")
_TREE = Path(next(iter(ocinet.hooks.__path__))).parent
# What the hook does at its start, and then with all that it would load for an attach,
# or, as the wrapper, for a create.
_LOADED = """\
import sys
__file__, door = sys.argv.pop(1), sys.argv.pop(1)
sys.argv.append(door)
text = open(__file__).read()
text = text.replace("status = main(sys.argv[1:], preload=preload)", '''
        preload("created")
        import ocinet.hooks.entry.created
        from ocinet.hooks.entry.engine_access import load_engine
        load_engine(preload, "attach")
        import ocinet.engine.settle, ocinet.ipam.allocation, ocinet.engine.records.claim_attempt
        import ocinet.engine.ruleset.network_sets
''')
text = text.replace("status = make_container(sys.argv[1:], preload=preload)", '''
        preload("injection")
        import ocinet.hooks.wrapper.injection, ocinet.hooks.config.hook_entry
        from ocinet.hooks.entry.engine_access import load_engine
        load_engine(preload, "attach")
        import ocinet.engine.settle, ocinet.ipam.allocation, ocinet.engine.records.claim_attempt
        import ocinet.engine.ruleset.network_sets
''')
text = text.replace("posix._exit(status)", "")
exec(compile(text, __file__, "exec"))
PRINT
"""
_NAMES = "print(*sorted(name for name in sys.modules if name.startswith('ocinet')))"
# Of each module what a traceback, or `resolve`, would look for.
_PLACES = """\
import json
print(json.dumps({
    name: [module.__name__, module.__package__, getattr(module, "__file__", None),
           list(getattr(module, "__path__", ())),
           next((thing.__code__.co_filename for thing in vars(module).values()
                 if getattr(thing, "__module__", "") == name and hasattr(thing, "__code__")), "")]
    for name, module in sorted(sys.modules.items()) if name.startswith("ocinet")}))
"""
# Of each module what it has by the end, but for what imports alone leave there.
_BOUND = """\
import json
print(json.dumps({
    name: sorted(vars(module).keys() - {"__builtins__", "__cached__", "annotations"})
    for name, module in sorted(sys.modules.items()) if name.startswith("ocinet.")}))
"""


# The hook up to its engine, and then a module that few need, as who needs it imports it.
_ON_DEMAND = """\
import sys
__file__, act, wanted = sys.argv[1:4]
text = open(__file__).read().partition("if __name__ ==")[0]
root = __file__.rsplit("/", 3)[0]
sys.path.append(root)
ours = sys.modules["ocinet"] = type(sys)("ocinet")
ours.__path__ = [root + "/ocinet"]
exec(compile(text, __file__, "exec"))
parts = []
def noted(part):
    parts.append(part)
    preload(part)
noted("stage")
from ocinet.hooks.entry.engine_access import load_engine, opener
if act == "attach":
    noted("created")
    import ocinet.hooks.entry.created
opener(noted, act)
load_engine(noted, act)
before = len(parts)
exec(f"from {wanted} import __name__ as name")
assert name == wanted
print(*parts[before:])
"""


@pytest.fixture
def script(tmp_path: Path) -> str:
    """Install the packages in a folder of their own; returns the path of `hook.py`."""
    for package in _PACKAGES:
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(_TREE / package, tmp_path / "at/ocinet" / package, ignore=skipped)
    return f"{tmp_path}/at/ocinet/hooks/hook.py"


def _run(script: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run the hook without a legal stage: it loads, says what it wants, and ends."""
    return subprocess.run(
        [sys.executable, "-I", "-S", *flags, script, "nonsense"],
        check=False, capture_output=True, text=True, input="{}",
        env={"OCINET_RUN_DIR": f"{os.path.dirname(script)}/../run"},
    )  # fmt: skip


def _show(script: str, what: str, door: str = "stage") -> str:
    command = [sys.executable, "-I", "-S", "-c", _LOADED.replace("PRINT", what), script, door]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _loaded(script: str, door: str = "stage") -> list[str]:
    return _show(script, _NAMES, door).split()


def _from_folders(script: str) -> list[str]:
    """Return the lines by which a verbose interpreter tells of our modules read one by one."""
    shown = _run(script, "-v").stderr.splitlines()
    return [line for line in shown if "/ocinet/" in line and "code object from" in line]


def _parts_of(script: str) -> list[Path]:
    return [Path(preload_path(script, part)) for part in PARTS]


def _content(part: Path) -> object:
    """Return what is in a part: marshal writes the same values in more than one way.

    It notes a string for later references if something else refers to it at that moment.
    """
    written = part.read_bytes()
    start = len(MAGIC_NUMBER) + _SIZE
    end = start + int.from_bytes(written[len(MAGIC_NUMBER) : start], "little")
    loader, (*marks, size, modules) = loads(written[start:end])  # noqa: S302  # made by this test
    assert len(written) == end + size
    asleep = [loads(written[end + offset :][:size]) for *_, (offset, size) in modules]  # noqa: S302  # the same
    return written[: len(MAGIC_NUMBER)], loader, marks, [module[:-1] for module in modules], asleep


def _of(*pair: Any) -> bytes:
    """Return a part that has this to be read at once."""
    at_once = dumps(pair)
    return MAGIC_NUMBER + len(at_once).to_bytes(_SIZE, "little") + at_once


def _beside(script: str, path: str) -> Path:
    """Return a path of the installation, below `ocinet`."""
    return Path(script).parents[1] / path


def test_preload_is_made_once(script: str) -> None:
    """And again when a module has changed, but not otherwise."""
    assert refresh(script)
    assert not refresh(script)
    _beside(script, "hooks/entry/stage.py").touch()
    assert refresh(script)


def test_everything_comes_from_the_preload(script: str) -> None:
    """No module of ours is looked for in its folder."""
    assert _from_folders(script)
    refresh(script)
    assert _from_folders(script) == []


@pytest.mark.parametrize("part", PARTS)
def test_preload_that_others_could_have_written_is_not_run(script: str, part: str) -> None:
    """Whoever can write it has root's rights at the next start: modules are read one by one."""
    refresh(script)
    path = Path(preload_path(script, part))
    loader = compile("import os; os.write(2, b'preloaded code ran')", "evil", "exec")
    path.write_bytes(_of(loader, ()))
    command = ("-c", _LOADED.replace("PRINT", ""), script, "stage")
    if part in ("stage", "engine"):
        assert "preloaded code ran" in _stderr(*command), "the attack is real"
    for mode in (0o646, 0o664):
        path.chmod(mode)
        assert "preloaded code ran" not in _stderr(*command)
    if os.geteuid() == 0:
        path.chmod(0o644)
        os.chown(path, 65534, -1)
        assert "preloaded code ran" not in _stderr(*command)


def _stderr(*words: str) -> str:
    command = [sys.executable, "-I", "-S", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True).stderr


def test_hook_and_refresh_with_no_umask_leave_nothing_that_others_can_write(
    script: str, tmp_path: Path
) -> None:
    """Python makes `__pycache__` by the umask, which runtimes may hand on as 0."""
    command = [sys.executable, "-I", "-S", script, "nonsense"]
    subprocess.run(command, check=False, capture_output=True, input=b"{}", umask=0,
                   env={"OCINET_RUN_DIR": f"{tmp_path}/run"})  # fmt: skip
    before = os.umask(0)
    try:
        refresh(script)
    finally:
        os.umask(before)
    assert list(code_flaws(script)) == []
    assert _beside(script, "hooks/__pycache__").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("door", ["stage", "runtime"])
def test_the_same_modules_are_loaded(script: str, door: str) -> None:
    """With the preload as without it: none is missing, and none comes unasked."""
    without = _loaded(script, door)
    refresh(script)
    assert _loaded(script, door) == without
    assert "ocinet.engine.attach" in without
    assert ("ocinet.hooks.entry.stage" in without) is (door == "stage")


def test_no_module_of_a_create_is_in_no_part(script: str, tmp_path: Path) -> None:
    """From the wrapper's start to the engine, none is read from its folder."""
    refresh(script)
    private = {"namespaces": [{"type": "network"}]}
    config = {"annotations": {"ocinet.net": "bridge"}, "linux": private}
    (tmp_path / "config.json").write_text(json.dumps(config))
    command = [sys.executable, "-I", "-S", "-X", "importtime", script, "runtime",
               *(f"OCINET_{name}_DIR={tmp_path}/{name}" for name in ("CONFIG", "STATE", "RUN")),
               "/bin/false", "create", "-b", str(tmp_path), "--pid-file", "/no", "web"]  # fmt: skip
    told = subprocess.run(command, check=False, capture_output=True, text=True).stderr
    imported = {line.rpartition("|")[2].strip() for line in told.splitlines()}
    assert "_socket" in imported  # the engine's
    assert not {name for name in imported if name.startswith("ocinet")}
    assert "os" not in imported  # nor anything else that the hook does without


def test_modules_know_where_they_are(script: str) -> None:
    """Names, packages, files and the places in tracebacks are those of an import."""
    without = json.loads(_show(script, _PLACES))
    refresh(script)
    assert json.loads(_show(script, _PLACES)) == without
    root = script.removesuffix("/ocinet/hooks/hook.py")
    assert without["ocinet.engine"][2:4] == [f"{root}/ocinet/engine/__init__.py",
                                             [f"{root}/ocinet/engine"]]  # fmt: skip


@pytest.mark.parametrize("door", ["stage", "runtime"])
def test_modules_have_the_same_names(script: str, door: str) -> None:
    """All that they import and define is there, under the names that they gave it."""
    without = json.loads(_show(script, _BOUND, door))
    refresh(script)
    assert json.loads(_show(script, _BOUND, door)) == without
    assert "nfnetlink" in without["ocinet.engine.firewall.table"]  # a module, imported by its name


def test_hook_does_the_same(script: str) -> None:
    """Its words and its status are those without the preload."""
    without = _run(script)
    refresh(script)
    with_it = _run(script)
    assert (with_it.returncode, with_it.stderr) == (without.returncode, without.stderr)
    assert "'nonsense' is no stage" in without.stderr


def test_internal_error_tells_its_place(script: str) -> None:
    """File and line are the source's, whichever way the code came."""
    call = _beside(script, "hooks/entry/call.py")
    call.write_text(
        call.read_text().replace("    act, device, flags =", "    1 / 0\n    act, device, flags =")
    )
    line = call.read_text().splitlines().index("    1 / 0") + 1
    without = _run(script).stderr
    refresh(script)
    assert _from_folders(script) == []
    assert _run(script).stderr == without
    assert f"ZeroDivisionError: division by zero ({call}:{line})" in without


def test_what_few_need_is_loaded_with_its_part(script: str) -> None:
    """As the first of its modules is imported, and none of them comes from its folder."""
    refresh(script)
    for act, parts in FIRST_OF.items():
        for module, part in parts.items():
            command = [sys.executable, "-v", "-I", "-S", "-c", _ON_DEMAND, script, act, module]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            assert done.stdout.split()[-1:] == [part], (act, module)
            lines = done.stderr.splitlines()
            assert not [it for it in lines if "/ocinet/" in it and "code object from" in it], module


def test_what_few_need_is_found_without_its_part(script: str) -> None:
    """Stale or gone, Python finds the modules as it always does."""
    refresh(script)
    for act, parts in FIRST_OF.items():
        module, part = next(iter(parts.items()))
        Path(preload_path(script, part)).unlink()
        command = [sys.executable, "-I", "-S", "-c", _ON_DEMAND, script, act, module]
        subprocess.run(command, check=True, capture_output=True)


def test_changed_module_counts_at_once(script: str) -> None:
    """The preload has the old one: it is not believed, whatever the time of the change says."""
    refresh(script)
    call = _beside(script, "hooks/entry/call.py")
    call.write_text(call.read_text().replace("is no stage", "is none"))
    assert "'nonsense' is none" in _run(script).stderr
    os.utime(call, (0, 0))  # as where an older release, or an image, is put in its place
    assert "'nonsense' is none" in _run(script).stderr
    assert refresh(script)
    assert _from_folders(script) == []
    assert "'nonsense' is none" in _run(script).stderr


def test_loader_that_has_changed_is_not_believed(script: str) -> None:
    """Its code lies in each part: what an older one says of the rest does not count."""
    refresh(script)
    loader = _beside(script, "hooks/preloaded.py")
    loader.write_text(loader.read_text() + "\n")
    assert _from_folders(script)
    assert refresh(script)
    assert _from_folders(script) == []


def test_changed_module_of_the_same_size_counts_at_once(script: str) -> None:
    """Its time alone tells."""
    refresh(script)
    call = _beside(script, "hooks/entry/call.py")
    call.write_text(call.read_text().replace("is no stage", "is NO stage"))
    assert "'nonsense' is NO stage" in _run(script).stderr


@pytest.mark.parametrize("module", ["engine/__init__.py", "base/value.py", "engine/attach.py"])
def test_module_that_others_need_may_change(script: str, module: str) -> None:
    """What depends on it is loaded all the same."""
    refresh(script)
    expected = _loaded(script)
    changed = _beside(script, module)
    changed.write_text(changed.read_text() + "\n# changed\n")
    assert _loaded(script) == expected


def test_removed_module_is_gone(script: str) -> None:
    """The preload does not stand in for a source that is not there."""
    refresh(script)
    _beside(script, "hooks/entry/state.py").unlink()
    assert "No module named 'ocinet.hooks.entry.state'" in _run(script).stderr


def test_added_module_counts_at_once(script: str) -> None:
    """A package takes the place of the module that has its name, for the preload as for Python."""
    refresh(script)
    package = _beside(script, "hooks/entry/call")
    package.mkdir()
    text = _beside(script, "hooks/entry/call.py").read_text()
    (package / "__init__.py").write_text(text.replace("is no stage", "is none"))
    assert "'nonsense' is none" in _run(script).stderr


def test_caches_of_python_change_nothing(script: str) -> None:
    """A folder that gets its `__pycache__` later is the folder that it was."""
    refresh(script)
    for package in _PACKAGES:
        subprocess.run([sys.executable, "-m", "compileall", "-q", _beside(script, package)],
                       check=True)  # fmt: skip
    assert not refresh(script)
    assert _from_folders(script) == []


def test_moved_installation_is_another_one(script: str, tmp_path: Path) -> None:
    """A copy, times and all, does not load the code of where it was copied from."""
    refresh(script)
    shutil.copytree(tmp_path / "at", tmp_path / "copy", copy_function=shutil.copy2)
    copied = f"{tmp_path}/copy/ocinet/hooks/hook.py"
    call = _beside(copied, "hooks/entry/call.py")
    call.write_text(call.read_text().replace("is no stage", "is none"))
    assert "'nonsense' is none" in _run(copied).stderr
    assert refresh(copied)
    assert _from_folders(copied) == []


@pytest.mark.parametrize("links", ["ocinet", "ocinet/hooks"])
def test_linked_installation_has_its_own(script: str, tmp_path: Path, links: str) -> None:
    """`make dev` links the packages: a change behind the link counts at once."""
    place = tmp_path / "venv"
    (place / "ocinet").mkdir(parents=True)
    if links == "ocinet":
        (place / "ocinet").rmdir()
        (place / "ocinet").symlink_to(tmp_path / "at/ocinet")
    else:
        for package in _PACKAGES:
            (place / "ocinet" / package).symlink_to(tmp_path / "at/ocinet" / package)
    linked = f"{place}/ocinet/hooks/hook.py"
    assert refresh(linked)
    assert _from_folders(linked) == []
    call = _beside(script, "hooks/entry/call.py")
    call.write_text(call.read_text().replace("is no stage", "is none"))
    assert "'nonsense' is none" in _run(linked).stderr


@pytest.mark.parametrize(
    "flaw", ["empty", "garbage", "another Python's", "cut off", "cut off behind", "nothing"]
)
def test_preload_that_is_no_good_is_passed_over(script: str, flaw: str) -> None:
    """The hook loads as Python always does, and the next refresh mends it."""
    refresh(script)
    whole = {path: _content(path) for path in _parts_of(script)}
    for path in whole:
        content = path.read_bytes()
        contents = {
            "empty": b"",
            "garbage": b"half",
            "another Python's": b"\0" + content[1:],
            "cut off": content[:1000],
            "cut off behind": content[:-1],  # where those are who sleep
            "nothing": _of(),
        }
        path.write_bytes(contents[flaw])
    assert "'nonsense' is no stage" in _run(script).stderr
    assert "ocinet.engine.attach" in _loaded(script, "runtime")
    assert refresh(script)
    assert {path: _content(path) for path in whole} == whole


def test_parts_are_of_use_each_without_the_others(script: str) -> None:
    """One that is not there, or stale, takes nothing from those that are, and refresh makes it."""
    expected = {door: _loaded(script, door) for door in ("stage", "runtime")}
    refresh(script)
    for path in _parts_of(script):
        whole = _content(path)
        path.unlink()
        assert {door: _loaded(script, door) for door in expected} == expected, path
        assert refresh(script)
        assert _content(path) == whole


def test_part_whose_packages_are_not_there_is_left_alone(script: str) -> None:
    """Nothing of the engine's part stands by itself: it waits for what comes before it."""
    refresh(script)
    root = script.removesuffix("/ocinet/hooks/hook.py")
    text = f"import sys; sys.path.append({root!r}); from ocinet.hooks.hook import preload; "
    text += "preload('attach'); print(*sys.modules); import ocinet.engine.lifecycle"
    command = [sys.executable, "-I", "-S", "-c", text]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "ocinet.engine" not in shown


def test_engine_that_is_loaded_is_not_read_again() -> None:
    """The wrapper loads it while the runtime works: to open it costs nothing more."""
    asked: list[str] = []
    load_engine(None, "attach")
    load_engine(asked.append, "attach")
    assert asked == []


def test_preload_as_a_module_makes_its_own(script: str) -> None:
    """`python3 -m ocinet.hooks.preload` is for packages' scripts."""
    root = script.rsplit("/", 3)[0]
    command = [sys.executable, "-m", "ocinet.hooks.preload"]
    subprocess.run(command, check=True, cwd=root, env={"PYTHONPATH": root})
    assert not refresh(script)


def test_preload_is_its_makers_alone_to_write(script: str) -> None:
    """Root runs it: no umask opens it, or the folder that it is in, to others."""
    before = os.umask(0)
    try:
        refresh(script)
    finally:
        os.umask(before)
    for path in (preload_path(script, "stage"), os.path.dirname(preload_path(script, "stage"))):
        assert os.stat(path).st_mode & 0o022 == 0
