"""Editing config.json: what is added, what is put back, and what is never touched."""

from __future__ import annotations

import copy
import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocinet.base.errors import NotFoundError, RequestError
from ocinet.engine.model.attachment import Attachment, Container
from ocinet.engine.model.request import EndpointRequest, Request
from ocinet.hooks.config.config_edit import apply, restore
from ocinet.hooks.config.hook_entry import Registration
from ocinet.hooks.registration.bundle import add, remove
from ocinet.request.annotations import parse_annotations
from ocinet.request.config_json import is_our_hook

if TYPE_CHECKING:
    from pathlib import Path

# The machine may be busy with everything else; that is no fault of the code.
Json = dict[str, Any]
REGISTRATION = Registration("/usr/bin/python3.11", "/usr/lib/ocinet/hooks/hook.py")
ENTRY: Json = {
    "path": "/usr/bin/python3.11",
    "args": ["python3", "-I", "-S", "/usr/lib/ocinet/hooks/hook.py", "createRuntime"],
    "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
    "timeout": 60,
}
FOREIGN = {"path": "/bin/true", "args": ["true"]}
LAN = Request("bridge", "", (EndpointRequest("lan"),))
CONFIG: Json = {
    "ociVersion": "1.0.2-dev",
    "process": {"args": ["sh"], "cwd": "/"},
    "root": {"path": "rootfs", "readonly": True},
    "hostname": "größe <&>",
    "linux": {
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}],
    },
}


def _find(target: str) -> Attachment:
    raise NotFoundError("", f"no container {target} is known")


def _bundle(directory: Path, config: Json, **options: Any) -> str:
    text = json.dumps(config, ensure_ascii=False, **({"indent": "\t"} | options)) + "\n"
    (directory / "config.json").write_text(text)
    return str(directory)


def _config(bundle: str) -> Json:
    with open(f"{bundle}/config.json") as file:
        config: Json = json.load(file)
    return config


def _network(config: Json) -> list[Json]:
    return [
        namespace for namespace in config["linux"]["namespaces"] if namespace["type"] == "network"
    ]


def test_add_writes_annotations_and_both_hooks(tmp_path: Path) -> None:
    """The bundle says what is wanted, and who brings it about."""
    bundle = _bundle(tmp_path, CONFIG)
    asked = parse_annotations({"ocinet.net": "lan", "ocinet.publish": "8080:80"})
    assert add(bundle, asked, REGISTRATION, _find)
    config = _config(bundle)
    assert config["hooks"]["createRuntime"] == [ENTRY]
    assert config["hooks"]["poststop"] == [{**ENTRY, "args": [*ENTRY["args"][:4], "poststop"]}]
    assert config["annotations"]["ocinet.net"] == "lan"
    assert config["annotations"]["ocinet.publish"] == "8080:80/tcp"
    assert parse_annotations(config["annotations"]) == asked
    assert _network(config) == [{"type": "network"}]


def test_add_again_changes_nothing_and_other_request_replaces(tmp_path: Path) -> None:
    """A second add is a no-op, or the new request alone."""
    bundle = _bundle(tmp_path, CONFIG)
    assert add(bundle, LAN, REGISTRATION, _find)
    before = os.stat(f"{bundle}/config.json")
    assert not add(bundle, LAN, REGISTRATION, _find)
    assert os.stat(f"{bundle}/config.json").st_ino == before.st_ino
    assert add(bundle, Request("host"), REGISTRATION, _find, stage="prestart")
    config = _config(bundle)
    assert _network(config) == []
    assert "createRuntime" not in config["hooks"]
    assert len(config["hooks"]["prestart"]) == len(config["hooks"]["poststop"]) == 1
    assert remove(bundle)
    assert _config(bundle) == CONFIG


def test_add_without_request_takes_the_bundles_own_annotations(tmp_path: Path) -> None:
    """What a person has written into config.json is the request, else the default network."""
    bundle = _bundle(tmp_path, {**CONFIG, "annotations": {"ocinet.net": "dmz", "a": "b"}})
    assert add(bundle, None, REGISTRATION, _find)
    assert _config(bundle)["annotations"]["ocinet.net"] == "dmz"
    assert add(bundle, LAN, REGISTRATION, _find)
    assert _config(bundle)["annotations"]["ocinet.net"] == "lan"
    assert add(bundle, None, REGISTRATION, _find)
    assert _config(bundle)["annotations"]["ocinet.net"] == "dmz"
    assert remove(bundle)
    assert _config(bundle)["annotations"] == {"ocinet.net": "dmz", "a": "b"}
    bundle = _bundle(tmp_path, CONFIG)
    assert add(bundle, None, REGISTRATION, _find)
    assert _config(bundle)["annotations"]["ocinet.net"] == "bridge"


@pytest.mark.parametrize(
    ("entry", "mode", "wanted"),
    [
        ({"type": "network"}, "bridge", [{"type": "network"}]),
        ({"type": "network", "path": ""}, "bridge", [{"type": "network", "path": ""}]),
        ({"type": "network", "path": "/run/netns/x"}, "none", [{"type": "network"}]),
        (None, "bridge", [{"type": "network"}]),
        ({"type": "network"}, "host", []),
        (None, "host", []),
    ],
)
def test_add_makes_the_namespace_what_the_mode_needs(
    tmp_path: Path, entry: Json | None, mode: str, wanted: list[Json]
) -> None:
    """host has no entry, bridge and none have one without a path; remove puts it back."""
    config = copy.deepcopy(CONFIG)
    config["linux"]["namespaces"][1:2] = [entry] if entry else []
    bundle = _bundle(tmp_path, config)
    request = LAN if mode == "bridge" else Request(mode)  # type: ignore[arg-type]  # of the table
    assert add(bundle, request, REGISTRATION, _find)
    assert _network(_config(bundle)) == wanted
    assert remove(bundle)
    assert _config(bundle) == config


def _sharing(directory: Path, **changes: Any) -> tuple[Attachment, str]:
    """Stand-in for a sandbox with a name: any file has a dev:inode."""
    directory.mkdir(exist_ok=True)
    (directory / "db").touch()
    status = os.stat(directory / "db")
    attachment = Attachment(
        Container("abc", "db"), "bridge", "attached", f"{status.st_dev}:{status.st_ino}", "", "",
        netns_name="db",
    )  # fmt: skip
    return attachment.replace(**changes), str(directory)


def test_add_container_points_at_the_targets_name(tmp_path: Path) -> None:
    """The namespace path is X's name, and its dev:inode is what createRuntime must find."""
    owner, netns_dir = _sharing(tmp_path / "netns")
    member = owner.replace(container=Container("def", "web"), netns_name="", member_of="abc")
    known = {"db": owner, "abc": owner, "web": member}
    config = copy.deepcopy(CONFIG)
    config["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmax": "7"}
    bundle = _bundle(tmp_path, config)
    for target in ("db", "web"):
        add(
            bundle,
            Request("container", target),
            REGISTRATION,
            known.__getitem__,
            netns_dir=netns_dir,
        )
        edited = _config(bundle)
        assert _network(edited) == [{"type": "network", "path": f"{netns_dir}/db"}]
        assert edited["annotations"]["ocinet.net"] == f"container:{target}"
        assert edited["annotations"]["ocinet.sandbox"] == owner.sandbox
        assert edited["linux"]["sysctl"] == {"kernel.shmmax": "7"}
    assert remove(bundle)
    assert _config(bundle) == config


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mode": "host"}, "db uses the host's network (hint: use --net host"),
        ({"netns_name": ""}, "the sandbox of db has no name"),
        ({"netns_name": "gone"}, "db is not running"),
        ({"sandbox": "4:1"}, "is no longer the sandbox of db"),
    ],
)
def test_add_container_that_cannot_be_shared_is_refused(
    tmp_path: Path, changes: Json, said: str
) -> None:
    """A target without a living sandbox of its own is told at once, not at the start."""
    owner, netns_dir = _sharing(tmp_path, **changes)
    bundle = _bundle(tmp_path, CONFIG)
    with pytest.raises(RequestError) as caught:
        add(bundle, Request("container", "db"), REGISTRATION, lambda _: owner, netns_dir=netns_dir)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"cannot add the hook to {bundle}: ")
    assert _config(bundle) == CONFIG
    with pytest.raises(NotFoundError, match="no container nobody is known"):
        add(bundle, Request("container", "nobody"), REGISTRATION, _find)


def test_add_keeps_foreign_hooks_and_goes_first_at_poststop(tmp_path: Path) -> None:
    """Other hooks stay where they are; at poststop ours runs before one could fail."""
    config = {
        **CONFIG,
        "hooks": {"createRuntime": [FOREIGN], "poststop": [FOREIGN], "poststart": []},
    }
    bundle = _bundle(tmp_path, config)
    add(bundle, LAN, REGISTRATION, _find)
    hooks = _config(bundle)["hooks"]
    assert hooks["createRuntime"][0] == FOREIGN
    assert is_our_hook(hooks["createRuntime"][1])
    assert is_our_hook(hooks["poststop"][0])
    assert hooks["poststop"][1] == FOREIGN
    hooks_of_others = _config(bundle)
    hooks_of_others["hooks"]["poststop"].append({"path": "/bin/late"})
    hooks_of_others["annotations"]["theirs"] = "x"
    _bundle(tmp_path, hooks_of_others)
    remove(bundle)
    after = _config(bundle)
    assert after["hooks"] == {**config["hooks"], "poststop": [FOREIGN, {"path": "/bin/late"}]}
    assert after["annotations"] == {"theirs": "x"}


@pytest.mark.parametrize(
    "options",
    [
        {"indent": "\t"},
        {"indent": 2},
        {"indent": 4},
        {"indent": None},
        {"indent": None, "separators": (",", ":")},
    ],
)
def test_remove_after_add_leaves_every_byte(tmp_path: Path, options: Json) -> None:
    """Indentation, order, letters outside ASCII and the last line end are kept."""
    bundle = _bundle(tmp_path, CONFIG, **options)
    before = (tmp_path / "config.json").read_bytes()
    assert add(bundle, LAN, REGISTRATION, _find)
    assert len((tmp_path / "config.json").read_text().splitlines()) >= len(before.splitlines())
    assert remove(bundle)
    assert (tmp_path / "config.json").read_bytes() == before
    assert not remove(bundle)


def test_add_keeps_mode_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    """The file is replaced at once, as it was for others."""
    _bundle(tmp_path, CONFIG)
    os.chmod(tmp_path / "config.json", 0o640)
    assert add(str(tmp_path), LAN, REGISTRATION, _find)
    assert os.listdir(tmp_path) == ["config.json"]
    assert stat.S_IMODE(os.stat(tmp_path / "config.json").st_mode) == 0o640


def test_add_to_a_bundle_with_an_annotation_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """By its name; it was an internal error."""
    bundle = _bundle(tmp_path, {**CONFIG, "annotations": {"ocinet.net": None}})
    with pytest.raises(RequestError, match=r"ocinet\.net: its value is no text in config\.json"):
        add(bundle, None, REGISTRATION, _find)


def test_add_through_a_link_is_refused(tmp_path: Path) -> None:
    """In a user's directory it may lead to a file that only root can write."""
    real = tmp_path / "real"
    real.mkdir()
    _bundle(real, CONFIG)
    before = (real / "config.json").read_bytes()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/config.json").symlink_to(real / "config.json")
    with pytest.raises(RequestError, match=r"linked/config\.json is a link") as raised:
        add(f"{tmp_path}/linked", LAN, REGISTRATION, _find)
    assert str(real) in raised.value.hint
    assert (real / "config.json").read_bytes() == before
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(RequestError, match=r"config\.json is no regular file"):
        add(str(tmp_path), LAN, REGISTRATION, _find)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no "),
        ("", "config.json is not JSON"),
        ("[]", "config.json is no JSON object"),
        ('{"a":\xff}', "config.json is not JSON"),
        ("[" * 100_000, "config.json is not JSON"),
        ("{}", "config.json has no linux section"),
        ('{"linux":{"namespaces":{}}}', "linux.namespaces in config.json is no list"),
        ('{"linux":{"namespaces":[{"type":"network"},{"type":"network"}]}}', "2 network name"),
        ('{"linux":{},"hooks":[]}', "hooks in config.json is no object"),
        ('{"linux":{},"hooks":{"poststop":{}}}', "hooks.poststop in config.json is no list"),
        ('{"linux":{},"annotations":[]}', "annotations in config.json is no object"),
        ('{"linux":{},"annotations":{"ocinet.bundle":"{}"}}', "ocinet.bundle can't be read"),
    ],
)  # fmt: skip
def test_add_to_wrong_bundle_says_what_is_wrong(
    tmp_path: Path, text: str | None, said: str
) -> None:
    """Each refusal names the bundle and the part, and leaves the file alone."""
    if text is not None:
        (tmp_path / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(RequestError) as caught:
        add(str(tmp_path), LAN, REGISTRATION, _find)
    assert said in str(caught.value)
    if text is not None:
        assert (tmp_path / "config.json").read_text(encoding="latin-1") == text


def test_add_without_request_refuses_wrong_annotations(tmp_path: Path) -> None:
    """A typo in the bundle's own annotations is told now, not at the start."""
    bundle = _bundle(tmp_path, {**CONFIG, "annotations": {"ocinet.nte": "lan"}})
    with pytest.raises(RequestError, match="there is no such key"):
        add(bundle, None, REGISTRATION, _find)


def test_apply_takes_out_keys_that_are_not_in_the_request() -> None:
    """What an image has brought is not there for the hook to find; others' keys are."""
    config = {**CONFIG, "annotations": {"ocinet.publish": "22:22", "ocinet.evil": "1", "a": "b"}}
    edited = apply(config, "bridge", {"ocinet.net": "lan"}, {}, by="wrapper")
    assert edited["annotations"].pop("ocinet.bundle")
    assert edited["annotations"] == {"ocinet.net": "lan", "a": "b"}


def test_add_at_unknown_stage_is_refused(tmp_path: Path) -> None:
    """Only the stages that run outside the container can wire it."""
    with pytest.raises(RequestError, match="use createRuntime or prestart"):
        add(_bundle(tmp_path, CONFIG), LAN, REGISTRATION, _find, stage="createContainer")


_texts = st.text("abé.", max_size=5)
_maybe_hooks = st.none() | st.fixed_dictionaries(
    {},
    optional={
        stage: st.none() | st.lists(st.just(FOREIGN), max_size=2)
        for stage in ("createRuntime", "prestart", "poststop", "poststart")
    },
)
_annotations = st.none() | st.dictionaries(
    _texts | st.sampled_from(["ocinet.net", "ocinet.publish"]),
    st.sampled_from(["lan", "80"]),
    max_size=3,
)
_namespaces = st.none() | st.lists(
    st.sampled_from([{"type": "pid"}, {"type": "mount"}]), max_size=3
).flatmap(
    lambda others: st.permutations(
        [*others, {"type": "network", "x": 1}]
    ) | st.permutations([*others, {"type": "network", "path": "/p"}]) | st.just(others)
)  # fmt: skip
_sysctls = st.dictionaries(st.sampled_from(["net.a", "net.b", "kernel.c"]), st.just("1"))
_configs: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {"linux": st.fixed_dictionaries({}, optional={"namespaces": _namespaces, "sysctl": _sysctls})},
    optional={"hooks": _maybe_hooks, "annotations": _annotations, "mounts": st.just([])},
)


@given(
    _configs,
    st.sampled_from(["bridge", "none", "host", "container", ""]),
    st.sampled_from(["bridge", "none", "host", "container", ""]),
    st.sampled_from(["createRuntime", "prestart"]),
)
def test_restore_of_applied_config_is_the_config(
    config: Json, mode: str, other: str, stage: str
) -> None:
    """Whatever stood there, and however often it was edited, remove puts it back."""
    entries = {name: REGISTRATION.entry(name) for name in (stage, "poststop")}
    before = copy.deepcopy(config)
    edited = apply(config, mode, {"ocinet.net": mode}, entries, netns_path="/n")
    assert config == before
    assert restore(edited) == config
    again = apply(restore(edited), other, {"ocinet.net": other}, entries, netns_path="/m")
    assert restore(again) == config
    assert restore(config) == config
    assert json.loads(json.dumps(edited)) == edited
    if not mode:
        assert edited["linux"] == before["linux"]


@pytest.mark.parametrize("before", [None, "host-1"])
def test_add_with_a_hostname_has_the_runtime_set_it(tmp_path: Path, before: str | None) -> None:
    """A hook's would be overwritten: runtimes set the config's when all hooks are done."""
    config = copy.deepcopy(CONFIG)
    config["linux"]["namespaces"].append({"type": "uts"})
    config.pop("hostname")
    if before:
        config["hostname"] = before
    bundle = _bundle(tmp_path, config)
    request = parse_annotations({"ocinet.hostname": "Web1"})

    assert add(bundle, request, REGISTRATION, _find)
    assert _config(bundle)["hostname"] == "web1"
    assert add(bundle, parse_annotations({"ocinet.net": "lan"}), REGISTRATION, _find)
    assert _config(bundle).get("hostname") == before
    assert remove(bundle)
    assert _config(bundle) == config


def test_add_with_a_hostname_where_it_is_anothers_leaves_it(tmp_path: Path) -> None:
    """Runtimes refuse a hostname beside a UTS namespace that is shared."""
    bundle = _bundle(tmp_path, CONFIG)
    assert add(bundle, parse_annotations({"ocinet.hostname": "web1"}), REGISTRATION, _find)
    assert _config(bundle)["hostname"] == CONFIG["hostname"]
