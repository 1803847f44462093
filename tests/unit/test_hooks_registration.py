"""What runtimes are told to run, and in which directories they find it."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from pathlib import Path

import pytest

from ocinet.base.errors import RequestError, SystemFailure
from ocinet.base.jsontext import MAX_BYTES
from ocinet.hooks.config.hook_entry import Registration
from ocinet.hooks.registration import hooks_dir, podman_config
from ocinet.hooks.registration.foreign_files import (
    MADE,
    Installed,
    make_directory,
    mark_beside,
    remove_directories,
)
from ocinet.hooks.registration.installation import code_flaws, resolve, write_flaws
from ocinet.hooks.registration.inventory import registrations
from ocinet.request.config_json import is_our_hook
from ocinet.request.podman_hooks import POD_HOOK, VENDOR_DIR, pod_hook

REGISTRATION = Registration("/usr/bin/python3.11", "/usr/lib/ocinet/hooks/hook.py")


def test_resolve_gives_real_interpreter_script_and_environment() -> None:
    """Links are resolved, PATH is there, and the directories that were moved are told."""
    found = resolve({"OCINET_RUN_DIR": "/run/x", "OCINET_STATE_DIR": "", "HOME": "/root"})
    assert found.interpreter == os.path.realpath(sys.executable)
    assert found.script.endswith("/ocinet/hooks/hook.py")
    assert found.environment == ("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "OCINET_RUN_DIR=/run/x")
    entry = found.entry("poststop", "--hooks-dir")
    assert entry["args"] == ["python3", "-I", "-S", found.script, "poststop", "--hooks-dir"]
    assert entry["timeout"] == 60
    assert is_our_hook(entry)


def test_resolve_of_shim_or_missing_interpreter_is_refused(tmp_path: Path) -> None:
    """A shim costs as much as the whole wiring, at every start."""
    shim = tmp_path / "python3"
    shim.write_text("#!/bin/sh\nexec python3 $@\n")
    with pytest.raises(RequestError, match="is a script that starts another interpreter"):
        resolve({}, str(shim))
    with pytest.raises(SystemFailure, match="No such file"):
        resolve({}, str(tmp_path / "nothing"))


def test_resolve_of_interpreter_that_others_can_replace_is_refused(tmp_path: Path) -> None:
    """The directory counts as much as the file."""
    copy = tmp_path / "bin" / "python3"
    copy.parent.mkdir()
    copy.write_bytes(b"\x7fELF")
    assert resolve({}, str(copy)).interpreter == str(copy)
    copy.parent.chmod(0o777)
    with pytest.raises(RequestError, match=r"/bin can be written by everyone \(mode 0777\)"):
        resolve({}, str(copy))


def test_write_flaws_sees_links_and_both_their_ends(tmp_path: Path) -> None:
    """A link is as safe as the directory it is in and the file it leads to."""
    real, linked = tmp_path / "real", tmp_path / "linked"
    real.mkdir()
    linked.mkdir()
    (real / "hook.py").touch(0o644)
    (linked / "hook.py").symlink_to(real / "hook.py")
    path = str(linked / "hook.py")
    assert list(write_flaws(path)) == []
    (real / "hook.py").chmod(0o646)
    assert "real/hook.py can be written by everyone" in next(write_flaws(path))
    (real / "hook.py").chmod(0o644)
    linked.chmod(0o777)
    assert "linked can be written by everyone" in next(write_flaws(path))
    linked.chmod(0o1777)  # as /tmp: what is not yours you can't replace there
    assert list(write_flaws(path)) == []
    assert "No such file" in next(write_flaws(str(tmp_path / "nothing")))


def _code(root: Path) -> str:
    """Lay out an installation, and return its script."""
    for path in (
        "ocinet/hooks/hook.py", "ocinet/hooks/__pycache__/preload-stage.cpython-311.bin",
        "ocinet/base/files.py", "ocinet/base/__pycache__/files.cpython-311.pyc",
        "pyroute2/netlink/__init__.py", "structlog/__init__.py", "elsewhere/cli/main.py",
    ):  # fmt: skip
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch(0o644)
    (root / "ocinet/cli").symlink_to(root / "elsewhere/cli")
    (root / "elsewhere/cli/loop").symlink_to(root / "elsewhere")
    return str(root / "ocinet/hooks/hook.py")


@pytest.mark.parametrize(
    "place",
    ["ocinet", "ocinet/hooks/hook.py", "ocinet/hooks/__pycache__", "ocinet/base/files.py",
     "ocinet/hooks/__pycache__/preload-stage.cpython-311.bin", "pyroute2/netlink",
     "ocinet/base/__pycache__/files.cpython-311.pyc", "pyroute2/netlink/__init__.py",
     "structlog/__init__.py", "elsewhere", "elsewhere/cli/main.py"],
)  # fmt: skip
def test_code_flaws_of_what_others_can_write_are_told(tmp_path: Path, place: str) -> None:
    """Package, preload, compiled modules, what is imported besides, and where links lead."""
    script = _code(tmp_path)
    assert list(code_flaws(script)) == []
    path = tmp_path / place
    path.chmod(path.stat().st_mode | 0o002)
    told = {flaw.what.partition(" (mode")[0]: flaw.remedy for flaw in code_flaws(script)}
    assert told == {f"{path} can be written by everyone": f"chmod go-w {path}"}
    path.chmod(path.stat().st_mode & ~0o022)
    assert list(code_flaws(script)) == []
    if os.geteuid() == 0:
        os.chown(path, 65534, -1)
        (told_of,) = code_flaws(script)
        assert told_of.what == f"{path} belongs to user 65534"
        assert told_of.remedy == f"chown -h root {path}"


@pytest.mark.parametrize(
    "entry",
    [
        None,
        7,
        {},
        {"args": "python3"},
        {"args": ["python3", "-I", "-S"]},
        {"args": ["python3", "-I", "-S", "/srv/other/hook.py", "createRuntime"]},
        {"args": ["python3", "-I", "-E", "/usr/lib/ocinet/hooks/hook.py"]},
    ],
)
def test_is_ours_of_foreign_entry_is_false(entry: object) -> None:
    """What we did not make is never taken for ours."""
    assert not is_our_hook(entry)


def _read(root: Path, path: str) -> str:
    return Path(f"{root}{path}").read_text()


def _install(root: Path, **options: object) -> Installed:
    return hooks_dir.install(REGISTRATION, root=str(root), **({"environment": {}} | options))  # type: ignore[arg-type]  # of the tests below


def test_install_writes_both_stages_and_the_drop_in(tmp_path: Path) -> None:
    """One file per stage, an anchored condition, one for pods, and podman told where to look."""
    done = _install(tmp_path)
    up, down, pod = (
        json.loads(_read(tmp_path, f"/etc/containers/oci/hooks.d/50-ocinet-{name}.json"))
        for name in ("createRuntime", "poststop", "pod-poststop")
    )
    assert up == {
        "version": "1.0.0",
        "hook": REGISTRATION.entry("createRuntime", "--hooks-dir"),
        "when": {"annotations": {"^\\W*(?i:ocinet)\\.": ".*"}},
        "stages": ["createRuntime"],
    }
    assert down["stages"] == ["poststop"]
    assert down["hook"]["args"][4:] == ["poststop", "--hooks-dir"]
    assert pod == {**down, "when": {"commands": ["^/(catatonit|pause)$"]}}
    drop_in = tomllib.loads(_read(tmp_path, podman_config.DROP_IN))
    assert drop_in == {
        "engine": {
            "hooks_dir": ["/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"]
        }
    }
    assert len(done.changed) == 4
    assert done.warnings == ()
    assert _install(tmp_path).changed == ()
    modes = {os.stat(f"{tmp_path}{path}").st_mode & 0o777 for path in done.changed}
    assert modes == {0o644}


def test_install_always_and_prestart_replace_what_was_there(tmp_path: Path) -> None:
    """Another choice replaces the first, and leaves no second hook behind."""
    _install(tmp_path)
    _install(tmp_path, always=True, stage="prestart")
    directory = tmp_path / "etc/containers/oci/hooks.d"
    assert sorted(path.name for path in directory.iterdir()) == [
        "50-ocinet-poststop.json",
        "50-ocinet-prestart.json",
    ]
    up = json.loads((directory / "50-ocinet-prestart.json").read_text())
    assert up["when"] == {"always": True}
    assert up["hook"]["args"][4:] == ["prestart", "--hooks-dir", "--always"]


def test_install_keeps_the_directories_that_others_named(tmp_path: Path) -> None:
    """A drop-in replaces the whole list, so what stood in it must stand in ours."""
    main = tmp_path / "etc/containers/containers.conf"
    main.parent.mkdir(parents=True)
    main.write_text('[engine]\nhooks_dir = ["/srv/hooks.d"]\n')
    _install(tmp_path)
    told = tomllib.loads(_read(tmp_path, podman_config.DROP_IN))["engine"]["hooks_dir"]
    assert told == ["/srv/hooks.d", "/etc/containers/oci/hooks.d"]
    assert "/etc/containers/containers.conf names the others" in _read(
        tmp_path, podman_config.DROP_IN
    )


def test_install_again_takes_over_what_was_named_since(tmp_path: Path) -> None:
    """Our own drop-in does not count as somebody's wish; the files of others do."""
    _install(tmp_path, directory="/srv/old")
    main = tmp_path / "etc/containers/containers.conf"
    main.write_text('[engine]\nhooks_dir = ["/srv/new"]\n')
    _install(tmp_path)
    told = tomllib.loads(_read(tmp_path, podman_config.DROP_IN))["engine"]["hooks_dir"]
    assert told == ["/srv/new", "/etc/containers/oci/hooks.d"]


def test_install_where_podman_looks_anyway_needs_no_drop_in(tmp_path: Path) -> None:
    """The vendor's directory is read by default, a named one as well."""
    _install(tmp_path, directory=VENDOR_DIR)
    assert not Path(f"{tmp_path}{podman_config.DROP_IN}").exists()
    (tmp_path / "etc/containers").mkdir(parents=True)
    (tmp_path / "etc/containers/containers.conf").write_text('[engine]\nhooks_dir = ["/srv/h"]\n')
    assert _install(tmp_path, directory="/srv/h").warnings == ()
    assert not Path(f"{tmp_path}{podman_config.DROP_IN}").exists()


def test_install_warns_where_podman_will_not_look(tmp_path: Path) -> None:
    """A later drop-in, or a configuration of its own, leaves ours unread."""
    later = tmp_path / "etc/containers/containers.conf.d/90-site.conf"
    later.parent.mkdir(parents=True)
    later.write_text('[engine]\nhooks_dir = ["/srv/hooks.d"]\n')
    (warning,) = _install(tmp_path).warnings
    assert "90-site.conf names other hooks directories" in warning
    later.write_text('[engine]\nhooks_dir = ["/srv/hooks.d", {append = true}]\n')
    assert _install(tmp_path).warnings == ()
    (warning,) = _install(tmp_path, environment={"CONTAINERS_CONF": "/x.conf"}).warnings
    assert warning.startswith("CONTAINERS_CONF=/x.conf replaces podman's configuration")


def test_uninstall_removes_ours_alone(tmp_path: Path) -> None:
    """Everything that install wrote goes, what others wrote stays."""
    done = _install(tmp_path)
    foreign = tmp_path / "etc/containers/oci/hooks.d/50-other.json"
    foreign.write_text("{}")
    assert set(hooks_dir.uninstall(root=str(tmp_path)).changed) == set(done.changed)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [foreign]
    assert hooks_dir.uninstall(root=str(tmp_path)).changed == ()
    masked = tmp_path / "etc/containers/oci/hooks.d/50-ocinet-poststop.json"
    for text in ("{}", "[]", "no JSON"):
        masked.write_text(text)
        assert hooks_dir.uninstall(root=str(tmp_path)).changed == ()
    Path(f"{tmp_path}{podman_config.DROP_IN}").write_text("[engine]\n")
    assert hooks_dir.uninstall(root=str(tmp_path)).changed == ()


def test_directories_that_a_killed_removal_has_left_are_listed(tmp_path: Path) -> None:
    """With our mark and nothing else in them; one that has something is of who put it there."""
    oci, drop_ins = (tmp_path / "etc/containers" / name for name in ("oci", "containers.conf.d"))
    for directory in (oci / "hooks.d", drop_ins):
        make_directory(str(directory))
    (drop_ins / "theirs.conf").touch()
    (tmp_path / "etc/containers" / MADE).unlink()  # somebody's, as where podman is
    found = registrations((), str(tmp_path))
    assert [each.place for each in found] == [
        f"/etc/containers/{p}" for p in ("oci/hooks.d", "oci")
    ]
    for registered in found:
        registered.take_back()
    assert (oci.exists(), drop_ins.exists()) == (False, True)
    assert registrations((), str(tmp_path)) == ()


@pytest.mark.parametrize("killed", ["in making", "before it", "in removing", "behind it"])
def test_directory_that_is_killed_over_is_known_by_the_mark_beside_it(
    tmp_path: Path, killed: str
) -> None:
    """Whether it is there already, or there still; the ones it is in go with it."""
    conf = tmp_path / "etc/NetworkManager/conf.d"
    make_directory(str(conf))
    (tmp_path / "etc" / MADE).unlink()
    (conf / MADE).rename(mark_beside(str(conf)))
    if killed in ("before it", "behind it"):
        conf.rmdir()
    if killed == "behind it":  # and the outer one was next
        Path(mark_beside(str(conf))).unlink()
        (conf.parent / MADE).rename(mark_beside(str(conf.parent)))
        conf.parent.rmdir()
    found = registrations((), str(tmp_path))
    assert found
    for registered in found:
        registered.take_back()
    assert list((tmp_path / "etc").iterdir()) == []
    assert registrations((), str(tmp_path)) == ()


def test_directory_whose_mark_is_beside_it_is_made_and_removed(tmp_path: Path) -> None:
    """What somebody has put into it meanwhile is theirs, and so is the directory."""
    conf = tmp_path / "conf.d"
    Path(mark_beside(str(conf))).touch()
    make_directory(str(conf))
    assert list(tmp_path.iterdir()) == [conf]
    (conf / MADE).rename(mark_beside(str(conf)))
    (conf / "theirs").touch()
    remove_directories((str(conf),))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["conf.d", "theirs"]


def test_install_for_another_engine_leaves_podman_alone(tmp_path: Path) -> None:
    """No drop-in is written, and none of another directory is removed with ours."""
    done = _install(tmp_path, directory="/srv/crio/hooks.d", environment=None)
    assert [os.path.dirname(path) for path in done.changed] == ["/srv/crio/hooks.d"] * 3
    (warning,) = done.warnings
    assert warning.startswith("podman does not read /srv/crio/hooks.d")
    assert _install(tmp_path, directory=VENDOR_DIR, environment=None).warnings == ()
    assert not Path(f"{tmp_path}{podman_config.DROP_IN}").exists()
    _install(tmp_path)
    gone = hooks_dir.uninstall(directory="/srv/crio/hooks.d", root=str(tmp_path))
    assert gone.changed == done.changed
    assert Path(f"{tmp_path}{podman_config.DROP_IN}").exists()
    assert podman_config.DROP_IN in hooks_dir.uninstall(root=str(tmp_path)).changed


def test_install_in_wrong_place_is_refused(tmp_path: Path) -> None:
    """Relative paths, other stages, broken TOML and directories that others can write to."""
    with pytest.raises(RequestError, match="not an absolute path"):
        _install(tmp_path, directory="hooks.d")
    with pytest.raises(RequestError, match="use createRuntime or prestart"):
        _install(tmp_path, stage="poststart")
    (tmp_path / "etc/containers").mkdir(parents=True)
    (tmp_path / "etc/containers/containers.conf").write_text("[engine\n")
    with pytest.raises(RequestError, match=r"containers\.conf: it is not TOML"):
        _install(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "etc/containers/containers.conf").unlink()
    with pytest.raises(SystemFailure, match="cannot make"):
        _install(tmp_path, directory="/file/hooks.d")


def test_read_hook_of_ours_and_of_others(tmp_path: Path) -> None:
    """A file that is there but not ours is told apart from one that can't be read."""
    _install(tmp_path)
    path = f"{tmp_path}/etc/containers/oci/hooks.d/50-ocinet-poststop.json"
    assert hooks_dir.read_hook(path)["stages"] == ["poststop"]
    Path(path).write_text("{}")
    with pytest.raises(RequestError, match="it is not ocinet's"):
        hooks_dir.read_hook(path)
    Path(path).write_text("{")
    with pytest.raises(RequestError, match="it is not JSON"):
        hooks_dir.read_hook(path)
    with pytest.raises(SystemFailure, match="No such file"):
        hooks_dir.read_hook(f"{path}.none")


def test_install_for_podman_tells_others_that_pods_are_served(tmp_path: Path) -> None:
    """The watcher leaves them to their members then; with --always they are wired themselves."""
    root = str(tmp_path)
    assert pod_hook(root) == ""
    _install(tmp_path)
    assert pod_hook(root) == f"{hooks_dir.HOOKS_DIR}/{POD_HOOK}"
    _install(tmp_path, always=True)
    assert pod_hook(root) == ""
    _install(tmp_path, directory=VENDOR_DIR)
    assert pod_hook(root) == f"{VENDOR_DIR}/{POD_HOOK}"


def test_pods_are_served_where_podman_reads_the_directory_and_only_there(tmp_path: Path) -> None:
    """A usual directory may be there for CRI-O alone, and podman be told of any other."""
    root = str(tmp_path)
    _install(tmp_path, environment=None)
    assert Path(f"{root}{hooks_dir.HOOKS_DIR}/{POD_HOOK}").exists()
    assert pod_hook(root) == ""
    _install(tmp_path, directory="/opt/x")
    assert pod_hook(root) == f"/opt/x/{POD_HOOK}"
    Path(f"{root}{podman_config.DROP_IN}").write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(RequestError, match="is longer than"):
        pod_hook(root)
