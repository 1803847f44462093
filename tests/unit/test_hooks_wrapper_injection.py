"""What the wrapper decides about a container, and what it makes of its config."""

from __future__ import annotations

import copy
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ocinet.base.errors import OcinetError, RequestError
from ocinet.base.events import EventLog
from ocinet.base.paths import Paths
from ocinet.engine.model.attachment import Attachment, Container
from ocinet.engine.records.attachments import AttachmentStore
from ocinet.hooks.config.config_edit import BY_HAND, apply
from ocinet.hooks.config.hook_entry import Registration
from ocinet.hooks.wrapper.injection import Injected, inject
from ocinet.hooks.wrapper.intent import Site
from ocinet.hooks.wrapper.runtime_call import RuntimeCall
from ocinet.request.annotations import parse_annotations
from ocinet.request.config_json import is_our_hook
from ocinet.request.docker_files import DockerContainer

Json = dict[str, Any]
ID = "15d51a24213dd17a4651a445a2520bcabe37ad1ef1d34fc015b99053110a7dc1"
SETKEY = {"path": "/proc/7627/exe", "args": ["libnetwork-setkey", "-exec-root=/run/docker", ID]}
FOREIGN = {"path": "/bin/true", "args": ["true"]}
CONFIG: Json = {
    "ociVersion": "1.0.2-dev",
    "hooks": {"prestart": [SETKEY]},
    "linux": {
        "sysctl": {"net.ipv4.ping_group_range": "0 0", "kernel.shmmax": "7"},
        "namespaces": [{"type": "mount"}, {"type": "network"}, {"type": "ipc"}],
    },
}
PLAIN: Json = {**CONFIG, "hooks": {}}
DOCKER = DockerContainer(name="web", mode="none", networks=("none",), root="/nowhere")


class Bundle:
    """A bundle in front of the wrapper."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "b"
        self.path.mkdir()
        self.paths = Paths(
            f"{directory}/etc", f"{directory}/lib", f"{directory}/run", f"{directory}/netns"
        )
        self.log = EventLog(self.paths.run)

    def settings(self, text: str) -> None:
        """Write the settings."""
        Path(self.paths.config).mkdir(exist_ok=True)
        Path(self.paths.config, "ocinet.toml").write_text(text)

    def write(self, config: Json) -> None:
        """Write the config."""
        (self.path / "config.json").write_text(json.dumps(config))

    @property
    def config(self) -> Json:
        """What the config is now."""
        config: Json = json.loads((self.path / "config.json").read_text())
        return config

    def inject(
        self,
        config: Json,
        docker: DockerContainer | None = None,
        *,
        up_hook: bool = False,
        container_id: str = ID,
        bundle: str = "",
    ) -> Injected | None:
        """Have the config edited, from what it is on disk."""
        self.write(config)
        before = copy.deepcopy(config)
        bundle = bundle or str(self.path)
        call = RuntimeCall("create", container_id, bundle, f"{self.path}/config.json")
        site = Site(
            self.paths, self.log, Registration("/usr/bin/python3", "/l/ocinet/hooks/hook.py")
        )
        injected = inject(config, call, docker, site, up_hook=up_hook)
        assert config == before
        return injected

    def events(self, kind: str = "") -> list[Json]:
        """Return what the event log says."""
        path = Path(self.paths.run, "events.jsonl")
        lines = path.read_text().splitlines() if path.exists() else []
        return [event for event in map(json.loads, lines) if kind in ("", event["event"])]


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Return a bundle."""
    return Bundle(tmp_path)


def labelled(**keys: str) -> DockerContainer:
    """Return a none container of Docker's with some of our labels, and an image without."""
    pairs = tuple((f"ocinet.{key}", text) for key, text in keys.items())
    return Known(**{**{name: getattr(DOCKER, name) for name in DOCKER._fields}, "keys": pairs})


class Known(DockerContainer):
    """A container whose image carries nothing."""

    def carried(self, _bundle: str) -> frozenset[tuple[str, str]] | None:
        """Return nothing."""
        return frozenset()


class Hostile(DockerContainer):
    """A container whose image carries all of its labels."""

    def carried(self, _bundle: str) -> frozenset[tuple[str, str]] | None:
        """Return them."""
        return frozenset(self.keys)


def refusal(bundle: Bundle, config: Json, docker: DockerContainer | None = None) -> str:
    """Return why a container is refused; its config is as it was then, and the log tells."""
    with pytest.raises(OcinetError) as caught:
        bundle.inject(config, docker)
    assert bundle.config == config
    assert bundle.events("create refused")[-1]["error"] == str(caught.value)
    return str(caught.value)


def test_unasked_docker_container_gets_the_default_network(bundle: Bundle) -> None:
    """The request as annotations, Docker's name for it, our poststop first, all else as it was."""
    config = {**CONFIG, "hooks": {"prestart": [SETKEY], "poststop": [FOREIGN]}}
    injected = bundle.inject(config, DOCKER)

    wanted = {"ocinet.net": "bridge", "ocinet.name": "web"}
    request = parse_annotations(wanted)
    assert request is not None
    assert injected == Injected(request)
    edited = bundle.config
    assert edited["annotations"].pop("ocinet.bundle")
    assert edited.pop("annotations") == wanted
    hooks = edited.pop("hooks")
    assert hooks.pop("prestart") == [SETKEY]
    assert [entry["args"][4] for entry in hooks["poststop"] if is_our_hook(entry)] == ["poststop"]
    assert hooks["poststop"][1:] == [FOREIGN]
    assert set(hooks) == {"poststop"}
    assert edited == {key: CONFIG[key] for key in ("ociVersion", "linux")}


def test_up_hook_is_added_behind_others_where_it_is_wanted(bundle: Bundle) -> None:
    """createRuntime for creates that we will not see the end of."""
    config = {**CONFIG, "hooks": {"createRuntime": [FOREIGN]}}
    assert bundle.inject(config, DOCKER, up_hook=True)
    listed = bundle.config["hooks"]["createRuntime"]
    assert listed[0] == FOREIGN
    assert listed[1]["args"][4:] == ["createRuntime"]


def test_config_keeps_owner_and_mode_through_a_link(bundle: Bundle) -> None:
    """Replaced at once; nothing else lies beside it."""
    bundle.write(CONFIG)
    os.rename(bundle.path / "config.json", bundle.directory / "real.json")
    (bundle.path / "config.json").symlink_to(bundle.directory / "real.json")
    os.chmod(bundle.directory / "real.json", 0o640)
    owner = 1234 if os.geteuid() == 0 else os.geteuid()
    os.chown(bundle.directory / "real.json", owner, -1)
    assert bundle.inject(CONFIG, DOCKER)
    assert (bundle.directory / "real.json").stat().st_uid == owner
    assert (bundle.path / "config.json").is_symlink()
    assert stat.S_IMODE((bundle.directory / "real.json").stat().st_mode) == 0o640
    assert os.listdir(bundle.path) == ["config.json"]


@pytest.mark.parametrize(
    "docker",
    [
        DOCKER.replace(mode="bridge"),
        DOCKER.replace(mode="container:db"),
        DOCKER.replace(mode="host"),
        DOCKER.replace(build_step=True),
        DOCKER.replace(networks=("none", "usr")),
    ],
)
def test_container_with_a_network_of_dockers_is_left_alone(
    bundle: Bundle, docker: DockerContainer
) -> None:
    """Not one byte changes, whatever its labels are."""
    docker = docker.replace(keys=(("ocinet.net", "host"),))
    assert bundle.inject(CONFIG, docker) is None
    assert bundle.config == CONFIG
    assert len(bundle.events("left alone")) == (len(docker.networks) > 1)


def test_docker_container_in_somebodys_namespace_is_left_alone(bundle: Bundle) -> None:
    """What joins a namespace has its network from there."""
    config = copy.deepcopy(CONFIG)
    config["linux"]["namespaces"][1]["path"] = "/proc/7/ns/net"
    assert bundle.inject(config, labelled(net="host")) is None


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"net": "lan", "ip": "10.9.0.5"}, {"net": "lan", "ip": "10.9.0.5", "name": "web"}),
        ({"name": "shop"}, {"net": "bridge", "name": "shop"}),
        ({"net": "none"}, {"net": "none", "name": "web"}),
        ({"publish": "80:80"}, {"net": "bridge", "publish": "80:80/tcp", "name": "web"}),
    ],
)
def test_labels_are_the_request(
    bundle: Bundle, given: dict[str, str], wanted: dict[str, str]
) -> None:
    """As annotations of a bundle would be; the label's name goes before Docker's."""
    assert bundle.inject(CONFIG, labelled(**given))
    annotations = bundle.config["annotations"]
    del annotations["ocinet.bundle"]
    assert annotations == {f"ocinet.{key}": text for key, text in wanted.items()}


def test_kept_ports_are_published_beside_labels(bundle: Bundle) -> None:
    """`-p`, `-P` and the label come together; with ocinet.net=none there is nothing to publish."""
    bound = {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    docker = labelled(publish="53:53/udp").replace(bindings=bound, exposed=("80/tcp", "90/tcp"))
    assert bundle.inject(CONFIG, docker)
    asked = bundle.config["annotations"]["ocinet.publish"]
    assert asked == "53:53/udp,8080:80/tcp,90/tcp"
    assert bundle.inject(CONFIG, labelled(net="none").replace(bindings=bound))
    assert "ocinet.publish" not in bundle.config["annotations"]


def test_labels_of_the_image_count_for_nothing(bundle: Bundle) -> None:
    """They are dropped with a word in the log; none of them gets into the config."""
    keys = (("ocinet.mtu", "576"), ("ocinet.publish", "22:22"), ("ocinet.evil", "x"))
    docker = Hostile("web", "none", ("none",), keys)
    assert bundle.inject(CONFIG, docker)
    assert bundle.config["annotations"]["ocinet.net"] == "bridge"
    text = (bundle.path / "config.json").read_text()
    assert not any(word in text for word in ("576", "22:22", "evil"))
    (event,) = bundle.events("image's keys ignored")
    assert event["keys"] == "ocinet.mtu, ocinet.publish, ocinet.evil"


@pytest.mark.parametrize("key", [("ocinet.net", "vault"), ("ocinet.gateway", "10.72.0.9")])
def test_label_that_its_image_carries_too_is_refused_where_it_leads(
    bundle: Bundle, key: tuple[str, str]
) -> None:
    """The default network may be more than was asked for; Docker's annotation is its user's."""
    docker = Hostile("web", "none", ("none",), (key,))
    assert "so it may be the image's word alone" in refusal(bundle, CONFIG, docker)
    assert bundle.inject(CONFIG, docker.replace(told=(key,)))
    assert bundle.config["annotations"][key[0]] == key[1]


def test_none_that_its_image_carries_too_is_none(bundle: Bundle) -> None:
    """`docker run --net=none --label ocinet.net=none` of an image that says so as well."""
    assert bundle.inject(CONFIG, Hostile("web", "none", ("none",), (("ocinet.net", "none"),)))
    assert bundle.config["annotations"]["ocinet.net"] == "none"


@pytest.mark.parametrize(
    "keys",
    [{"net": "host"}, {"net": "container:db"}, {"publish": "22:22"}, {"ip": "10.9.0.5"}],
)
def test_labels_that_may_be_the_images_are_refused(bundle: Bundle, keys: dict[str, str]) -> None:
    """Where the image can't be read, unless the operator trusts them."""
    pairs = tuple((f"ocinet.{key}", text) for key, text in keys.items())
    docker = DOCKER.replace(keys=pairs)
    told = refusal(bundle, CONFIG, docker)
    assert told.startswith("cannot attach web: ")
    assert "may be the image's wish" in told
    bundle.settings("trust_annotations = true")
    if keys != {"net": "container:db"}:
        assert bundle.inject(CONFIG, docker)


def test_labelled_selection_wires_those_that_ask(bundle: Bundle) -> None:
    """A published port is no label."""
    bundle.settings('select = "labelled"')
    bound = {"80/tcp": [{"HostPort": "8080"}]}
    assert bundle.inject(CONFIG, DOCKER.replace(bindings=bound)) is None
    assert bundle.config == CONFIG
    assert bundle.inject(CONFIG, labelled(net="lan").replace(bindings=bound))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"nte": "lan"}, "there is no such key (hint: did you mean net"),
        ({"net": "none", "ip": "10.0.0.1"}, "it does not go with ocinet.net=none"),
        ({"publish": "x"}, "ocinet.publish"),
    ],
)
def test_label_that_is_not_legal_is_refused(
    bundle: Bundle, keys: dict[str, str], said: str
) -> None:
    """A typo must not mean no network; the container is named as Docker names it."""
    told = refusal(bundle, CONFIG, labelled(**keys))
    assert told.startswith("cannot attach web: ")
    assert said in told


def test_host_takes_namespace_settings_and_dockers_hook_out(bundle: Bundle) -> None:
    """All in one edit; what is not about the network stays."""
    assert bundle.inject(CONFIG, labelled(net="host"))
    edited = bundle.config
    assert edited["linux"] == {
        "sysctl": {"kernel.shmmax": "7"},
        "namespaces": [{"type": "mount"}, {"type": "ipc"}],
    }
    assert edited["hooks"]["prestart"] == []
    assert "libnetwork-setkey" not in json.dumps(edited["hooks"])


def _owner(bundle: Bundle) -> str:
    """Make a known container db, whose sandbox is any file with a name; return its identity."""
    Path(bundle.paths.netns).mkdir()
    named = Path(bundle.paths.netns, "db")
    named.touch()
    status = named.stat()
    identity = f"{status.st_dev}:{status.st_ino}"
    record = Attachment(Container("abc", "db"), "bridge", "attached", identity, "", "",
                        netns_name="db")  # fmt: skip
    AttachmentStore(bundle.paths).put(record)
    return identity


def test_container_points_at_the_targets_name(bundle: Bundle) -> None:
    """And says which sandbox must be found there."""
    identity = _owner(bundle)
    injected = bundle.inject(CONFIG, labelled(net="container:db"))
    assert injected is not None
    assert injected.sandbox == identity
    edited = bundle.config
    namespace = {"type": "network", "path": f"{bundle.paths.netns}/db"}
    assert edited["linux"]["namespaces"][1] == namespace
    assert edited["linux"]["sysctl"] == {"kernel.shmmax": "7"}
    assert edited["annotations"]["ocinet.sandbox"] == identity
    assert edited["hooks"]["prestart"] == []


def test_container_that_is_not_known_is_refused(bundle: Bundle) -> None:
    """Before the runtime has made anything."""
    told = refusal(bundle, CONFIG, labelled(net="container:db"))
    assert "no container db is known" in told


@pytest.mark.parametrize("stage", ["prestart", "createRuntime", "createContainer", "poststop"])
@pytest.mark.parametrize("net", ["host", "container:db"])
def test_unknown_hook_in_anothers_network_is_refused(bundle: Bundle, stage: str, net: str) -> None:
    """Whatever stage: it would find a network that is not the container's."""
    _owner(bundle)
    config = copy.deepcopy(CONFIG)
    config["hooks"].setdefault(stage, []).append(FOREIGN)
    told = refusal(bundle, config, labelled(net=net))
    assert f"its {stage} hook /bin/true may change the network of {net}" in told
    assert bundle.inject(config, labelled(net="lan"))


@pytest.mark.parametrize("net", ["host", "container:db"])
def test_docker_without_setkey_hook_is_refused_in_anothers_network(
    bundle: Bundle, net: str
) -> None:
    """Such a dockerd takes hold of the sandbox itself; unless it has nothing to do with it."""
    _owner(bundle)
    told = refusal(bundle, PLAIN, labelled(net=net))
    assert f"leave the label out: docker run --network={net}" in told
    assert bundle.inject(PLAIN, labelled(net=net).replace(networking=False))
    assert bundle.inject(PLAIN, labelled(net="lan"))


def test_bundle_by_hand_asks_by_annotations(bundle: Bundle) -> None:
    """And is wired unasked, too, if it has a namespace of its own."""
    asks = {**PLAIN, "annotations": {"ocinet.ifname": "web0", "a": "b", "n": 7}}
    assert bundle.inject(asks, container_id="web")
    annotations = bundle.config["annotations"]
    assert (annotations["ocinet.ifname"], annotations["a"], annotations["n"]) == ("web0", "b", 7)
    assert bundle.inject(PLAIN, container_id="web")
    assert bundle.config["annotations"]["ocinet.net"] == "bridge"


def test_bundle_of_unknown_origin_is_not_trusted(bundle: Bundle) -> None:
    """Nobody knows whether an image has brought the annotation."""
    for asked in ({"ocinet.publish": "22:22"}, {"ocinet.net": "lan"}):
        asks = {**PLAIN, "annotations": asked}
        assert "may be the image's wish" in refusal(bundle, asks)
        bundle.settings("trust_annotations = true")
        assert bundle.inject(asks, container_id="web")
        bundle.settings("")


@pytest.mark.parametrize("stage", ["prestart", "createRuntime"])
def test_unasked_bundle_with_somebodys_hook_is_left_alone(bundle: Bundle, stage: str) -> None:
    """It may be what gives it a network; podman's is known to have none."""
    config = {**CONFIG, "hooks": {stage: [FOREIGN]}}
    assert bundle.inject(config, container_id="web") is None
    assert bundle.inject({**config, "annotations": {"ocinet.net": "bridge"}}, container_id="web")
    podmans = f"{bundle.directory}/overlay-containers/{ID}/userdata"
    assert bundle.inject(config, bundle=podmans)


def test_step_of_a_build_is_left_alone(bundle: Bundle) -> None:
    """buildah names it after its bundle."""
    place = f"{bundle.directory}/buildah123"
    Path(place).mkdir()
    Path(place, "config.json").write_text(json.dumps(PLAIN))
    assert bundle.inject(PLAIN, container_id="buildah-buildah123", bundle=place) is None


def test_joined_bundle_that_asks_keeps_its_namespace(bundle: Bundle) -> None:
    """A further network goes into the sandbox that is there."""
    config = copy.deepcopy(PLAIN)
    config["linux"]["namespaces"][1]["path"] = "/run/netns/cni"
    assert bundle.inject(config, container_id="web") is None
    assert bundle.inject({**config, "annotations": {"ocinet.net": "bridge"}}, container_id="web")
    assert bundle.config["linux"] == config["linux"]


def test_dockers_bundle_without_its_files_is_left_alone(bundle: Bundle) -> None:
    """A plugin; it is not guessed that it has no network."""
    config = {**CONFIG, "annotations": {"ocinet.net": "lan"}}
    assert bundle.inject(config) is None


def test_config_with_hooks_of_ours_is_left_alone(bundle: Bundle) -> None:
    """Of `ocinet hooks add`: its user has decided."""
    entries = {
        "createRuntime": Registration("/p", "/l/ocinet/hooks/hook.py").entry("createRuntime")
    }
    config = apply(PLAIN, "bridge", {"ocinet.net": "lan"}, entries, by=BY_HAND)
    assert bundle.inject(config, labelled(net="host")) is None
    assert bundle.config == config


def test_config_of_an_earlier_create_is_decided_anew(bundle: Bundle) -> None:
    """Neither request nor hooks pile up; who asks no longer gets back what was there."""
    asks = {**PLAIN, "annotations": {"ocinet.net": "bridge"}}
    assert bundle.inject(asks, container_id="web", up_hook=True)
    first = bundle.config
    assert bundle.inject(first, container_id="web", up_hook=True)
    assert bundle.config == first
    bundle.settings('select = "labelled"')
    first["annotations"].pop("ocinet.net")
    changed = json.loads(first["annotations"]["ocinet.bundle"])
    changed["annotations"] = {}
    first["annotations"]["ocinet.bundle"] = json.dumps(changed)
    assert bundle.inject(first, container_id="web", up_hook=True) is None
    assert bundle.config == {**PLAIN, "annotations": {}}


def test_annotations_of_a_broken_earlier_edit_are_told(bundle: Bundle) -> None:
    """What can't be put back is not edited a second time."""
    assert bundle.inject(PLAIN, container_id="web")
    edited = bundle.config
    edited["linux"] = []
    bundle.write(edited)
    with pytest.raises(RequestError, match=r"ocinet\.bundle can't be read"):
        bundle.inject(edited, container_id="web")


def test_id_that_is_no_file_name_is_refused(bundle: Bundle) -> None:
    """runc allows it; our record could not bear it."""
    with pytest.raises(RequestError, match="is no container id"):
        bundle.inject(PLAIN, container_id="_web")
