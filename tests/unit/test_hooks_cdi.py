"""CDI devices: what is written, what is known again, and what a bundle's devices ask for."""

from __future__ import annotations

import json
import os
import posix
from typing import TYPE_CHECKING, Any

import pytest

from ocinet.base.errors import RequestError, SystemFailure
from ocinet.engine.model.request import EndpointRequest
from ocinet.hooks.config.hook_entry import Registration
from ocinet.hooks.registration import cdi_specs
from ocinet.hooks.registration.foreign_files import (
    MADE,
    Installed,
    make_directory,
    put,
    remove_directories,
)
from ocinet.hooks.registration.verify import verify_cdi
from ocinet.request.cdi import devices_of, request_by_devices
from ocinet.request.own_keys import own_keys

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]
REGISTRATION = Registration("/usr/bin/python3.11", "/usr/lib/ocinet/hooks/hook.py")


def install(directory: Path, *networks: str, stage: str = "createRuntime") -> Installed:
    """Write the devices of some networks."""
    return cdi_specs.install(REGISTRATION, networks, directory=str(directory), stage=stage)


def read(directory: Path) -> Json:
    """Return our specification."""
    spec: Json = json.loads((directory / "ocinet.json").read_text())
    return spec


def write_bundle(path: Path, **hooks: list[Json]) -> str:
    """Write a bundle whose config.json has these hooks."""
    (path / "config.json").write_text(json.dumps({"hooks": hooks}))
    return str(path)


def entry(stage: str, network: str) -> Json:
    """Return the hook entry of a device."""
    return REGISTRATION.entry(stage, f"--device={network}")


def test_install_writes_one_device_per_network(tmp_path: Path) -> None:
    """Each has both stages, as every registration of ours, and its network's name."""
    done = install(tmp_path / "cdi", "lan", "bridge")
    assert done.changed == (f"{tmp_path}/cdi/ocinet.json",)
    spec = read(tmp_path / "cdi")
    assert spec["cdiVersion"] == "0.3.0"
    assert spec["kind"] == "ocinet.dev/net"
    assert [device["name"] for device in spec["devices"]] == ["bridge", "lan"]
    up, down = spec["devices"][1]["containerEdits"]["hooks"]
    assert up == {"hookName": "createRuntime", **entry("createRuntime", "lan")}
    assert down["hookName"] == "poststop"
    assert down["args"][4:] == ["poststop", "--device=lan"]
    assert os.stat(tmp_path / "cdi/ocinet.json").st_mode & 0o777 == 0o644
    assert install(tmp_path / "cdi", "lan", "bridge").changed == ()


def test_install_again_replaces_networks_and_stage(tmp_path: Path) -> None:
    """What is registered is what is there now."""
    install(tmp_path, "lan")
    install(tmp_path, "dmz", stage="prestart")
    assert {
        name: list(stages) for name, stages in cdi_specs.read_devices(str(tmp_path)).items()
    } == {"dmz": ["prestart", "poststop"]}


@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("lan", True),
        ("a.b_c-9", True),
        ("a", True),
        ("9lan", False),
        ("lan-", False),
        ("l.", False),
    ],
)
def test_install_leaves_names_out_that_are_no_devices(
    tmp_path: Path, name: str, legal: bool
) -> None:
    """One illegal name would make engines refuse the whole file; a word tells of it."""
    done = install(tmp_path, "bridge", name)
    assert (name in cdi_specs.read_devices(str(tmp_path))) == legal
    assert [f"the network {name} gets no device" in warning for warning in done.warnings[:-1]] == (
        [] if legal else [True]
    )


def test_install_where_engines_do_not_look_says_so(tmp_path: Path) -> None:
    """/etc/cdi and /run/cdi are read by themselves, others have to be named."""
    assert "engines do not read" in install(tmp_path, "lan").warnings[-1]
    assert (
        cdi_specs.unread("/etc/cdi")
        == cdi_specs.unread("/run/cdi")
        == cdi_specs.unread("/var/run/cdi")
        == ()
    )


def test_install_where_others_can_write_is_refused(tmp_path: Path) -> None:
    """Who can replace the file is root at the next start."""
    tmp_path.chmod(0o777)
    with pytest.raises(RequestError, match="can be written by everyone"):
        install(tmp_path, "lan")
    with pytest.raises(RequestError, match="not an absolute path"):
        cdi_specs.install(REGISTRATION, ["lan"], directory="cdi")
    assert list(tmp_path.iterdir()) == []


def test_uninstall_removes_ours_alone(tmp_path: Path) -> None:
    """A file of that name that is not ours stays, whatever is in it."""
    directory = tmp_path / "cdi"
    install(directory, "lan")
    assert cdi_specs.uninstall(directory=str(directory)).changed == (f"{directory}/ocinet.json",)
    assert not directory.exists()
    directory.mkdir()
    foreign = {"kind": "ocinet.dev/net", "devices": [{"name": "lan", "containerEdits": {
        "hooks": [{"hookName": "poststop", "path": "/bin/true"}]}}]}  # fmt: skip
    for text in ("{}", "[]", "no JSON", json.dumps(foreign), '{"kind": "x", "devices": []}'):
        (directory / "ocinet.json").write_text(text)
        assert cdi_specs.uninstall(directory=str(directory)).changed == ()
    assert (directory / "ocinet.json").exists()


def test_remove_directories_takes_those_that_were_made_for_us(tmp_path: Path) -> None:
    """Made and empty: removed. Found, or used by others meanwhile: left as theirs."""
    found, made = tmp_path / "found", tmp_path / "found/made"
    found.mkdir()
    for leaf in ("one/deep", "two"):
        make_directory(f"{made}/{leaf}")
    remove_directories([f"{made}/one/deep"])
    assert sorted(path.name for path in made.iterdir()) == [MADE, "two"]
    (made / "two/site.conf").touch()
    remove_directories([f"{made}/two"])
    assert [path.name for path in (made / "two").iterdir()] == ["site.conf"]
    assert [path.name for path in made.iterdir()] == ["two"]
    (made / "two/site.conf").unlink()
    remove_directories([f"{made}/two"])
    assert (made / "two").is_dir()
    make_directory(f"{found}/again/and/again")
    remove_directories([f"{found}/again/and/again", f"{found}/nothing"])
    assert [path.name for path in found.iterdir()] == ["made"]


def test_make_directory_where_a_file_is_in_the_way_is_told(tmp_path: Path) -> None:
    """The file is named."""
    (tmp_path / "file").touch()
    with pytest.raises(SystemFailure, match=r"cannot make .*/file: a file is in the way"):
        make_directory(f"{tmp_path}/file")
    with pytest.raises(SystemFailure, match=r"cannot make .*/file: a file is in the way"):
        make_directory(f"{tmp_path}/file/below")
    with pytest.raises(SystemFailure, match="cannot write"):
        put(f"{tmp_path}/file/below", "x")


def test_devices_of_lists_each_once_in_order(tmp_path: Path) -> None:
    """Devices of both up stages, and of nobody else's hooks."""
    foreign = {"path": "/bin/x", "args": ["x", "--device=eth9"]}
    bundle = write_bundle(
        tmp_path,
        prestart=[entry("prestart", "dmz")],
        createRuntime=[foreign, {"path": "/bin/y"}, entry("createRuntime", "dmz"),
                       entry("createRuntime", "lan"), REGISTRATION.entry("createRuntime")],
        poststop=[entry("poststop", "old")],
    )  # fmt: skip
    assert devices_of(bundle) == ("dmz", "lan")


@pytest.mark.parametrize("text", ["", '{"x": "--device=lan"', '["--device=lan"]', "{}",
                                  '{"hooks": null, "x": "--device=lan"}'])  # fmt: skip
def test_devices_of_what_is_no_config_are_none(tmp_path: Path, text: str) -> None:
    """A bundle that can't be read asks for nothing."""
    (tmp_path / "config.json").write_text(text)
    assert devices_of(str(tmp_path)) == ()
    assert devices_of(f"{tmp_path}/none") == ()


def test_request_by_devices_gives_flat_keys_to_the_first(tmp_path: Path) -> None:
    """Without `ocinet.net` the keys are for the first device's network."""
    own = own_keys([("ocinet.ip", "10.9.0.5"), ("ocinet.publish", "80:80")], frozenset())
    request = request_by_devices(("lan", "dmz"), own, lambda: False)
    assert [endpoint.network for endpoint in request.endpoints] == ["lan", "dmz"]
    assert [str(address) for address in request.endpoints[0].addresses] == ["10.9.0.5"]
    assert request.publish[0].host_port == 80


def test_request_by_devices_appends_what_the_keys_leave_out() -> None:
    """`ocinet.net` may be about some of the devices; the others are there as well."""
    own = own_keys([("ocinet.net", "dmz:mtu=1400")], frozenset())
    request = request_by_devices(("lan", "dmz"), own, lambda: False)
    assert request.endpoints == (EndpointRequest("dmz", mtu=1400), EndpointRequest("lan"))


def test_request_by_devices_drops_what_the_image_carries() -> None:
    """The image's word does not even contradict."""
    pair = ("ocinet.net", "host")
    request = request_by_devices(("lan",), own_keys([pair], frozenset([pair])), lambda: False)
    assert request.endpoints == (EndpointRequest("lan"),)


@pytest.mark.parametrize("net", ["host", "none", "container:x", "dmz", "lan;dmz"])
def test_request_by_devices_refuses_another_network(net: str) -> None:
    """Also where nobody can tell who asked: the contradiction comes first."""
    for carried in (frozenset[tuple[str, str]](), None):
        with pytest.raises(RequestError, match=r"contradicts the device ocinet\.dev/net=lan"):
            request_by_devices(("lan",), own_keys([("ocinet.net", net)], carried), lambda: True)


def test_verify_cdi_of_good_devices_tries_the_default_network(tmp_path: Path) -> None:
    """All devices are looked at; the one of `bridge` is run, once."""
    tried: list[list[str]] = []

    def trial(up: Json, down: Json) -> list[str]:
        tried.append([up["args"][-1], down["args"][4]])
        return ["it ran"]

    install(tmp_path, "bridge", "lan")
    found = verify_cdi(str(tmp_path), ["lan", "9lan"], {}, trial)
    assert tried == [["--device=bridge", "poststop"]]
    said = [finding.what for finding in found if finding.ok]
    assert "the device ocinet.dev/net=lan has the hook for createRuntime and poststop" in said
    assert said.count("it ran") == 1
    flaws = [finding.what for finding in found if not finding.ok]
    assert any("/usr/lib/ocinet/hooks/hook.py: No such file" in flaw for flaw in flaws)
    assert len(flaws) == len(set(flaws))
    assert not any("9lan" in flaw for flaw in flaws)


def _spoil_args(spec: Json) -> None:
    spec["devices"][0]["containerEdits"]["hooks"][0]["args"][5] = "--device=lan"


def _spoil_stage(spec: Json) -> None:
    spec["devices"][1]["containerEdits"]["hooks"].pop()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_spoil_args, "the device ocinet.dev/net=bridge gives another network"),
        (_spoil_stage, "the device ocinet.dev/net=lan has no hook of ocinet for poststop"),
        (lambda spec: spec["devices"].pop(), "has no device for the network lan"),
        (lambda spec: spec["devices"][1].update(name="old"), "=old is of a network that is not"),
        (lambda spec: spec.update(kind="x/y"), "it is not ocinet's"),
    ],
)
def test_verify_cdi_of_wrong_devices_says_what_is_wrong(
    tmp_path: Path, spoil: Any, said: str
) -> None:
    """Each flaw is told, with the way to mend it."""
    install(tmp_path, "bridge", "lan")
    spec = read(tmp_path)
    spoil(spec)
    (tmp_path / "ocinet.json").write_text(json.dumps(spec))
    flaws = [
        finding
        for finding in verify_cdi(str(tmp_path), ["lan"], {}, lambda *_: [])
        if not finding.ok
    ]
    [flaw] = [flaw for flaw in flaws if said in flaw.what]
    assert flaw.hint == "register them again: ocinet hooks install --cdi"


def test_put_is_whole_and_for_all_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Synced, file and directory; once it is there, it is not written again; a link is replaced."""
    synced: list[str] = []
    path = tmp_path / "50-ours.json"
    path.symlink_to("/nowhere")
    monkeypatch.setattr(
        posix, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}"))
    )

    before = os.umask(0o077)
    try:
        assert [put(str(path), "text"), put(str(path), "text")] == [True, False]
    finally:
        os.umask(before)

    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("text", 0o644)
    assert (len(synced), synced[-1]) == (2, str(tmp_path))
    assert os.listdir(tmp_path) == ["50-ours.json"]


def test_put_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Neither half a file nor a temporary one, which podman would stumble over."""
    (tmp_path / "file").mkdir()

    with pytest.raises(SystemFailure, match=f"cannot write {tmp_path}/file"):
        put(f"{tmp_path}/file", "text")
    assert os.listdir(tmp_path) == ["file"]
