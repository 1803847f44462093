"""What reads what others have written, each as a function of bytes.

A target returns, or raises what its callers expect: an error of ours, in one line. Anything
else is a fault, and so is one that does not end.
"""

from __future__ import annotations

import json
import struct
import tomllib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from builders import lease, network, port, record
from ocinet.base.errors import OcinetError
from ocinet.base.jsontext import loads, text_pairs
from ocinet.cluster.census import Census
from ocinet.cluster.decode import read_cluster, read_host
from ocinet.cluster.model import Mine
from ocinet.cluster.store import Entry
from ocinet.engine.kernel import ip_messages, link_messages
from ocinet.engine.netlink import framing
from ocinet.engine.records import attachments, networks, settings
from ocinet.hooks.config.config_edit import apply, asked_in, has_ours, restore
from ocinet.hooks.config.hook_entry import Registration
from ocinet.hooks.entry.state import parse_state
from ocinet.hooks.wrapper.runtime_call import parse_runtime_call
from ocinet.ipam.lease import read_lease
from ocinet.request.annotations import DEFAULT_REQUEST, parse_annotations
from ocinet.request.bindings import parse_bindings
from ocinet.request.config_json import hooks_of, is_our_hook, is_private
from ocinet.request.docker_files import cdi_devices
from ocinet.request.own_keys import own_keys
from ocinet.request.spelling import to_annotations
from ocinet.watcher.docker_json import (
    parse_event,
    parse_inspected,
    parse_listed,
    split_documents,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_ENTRIES = {
    stage: Registration("/usr/bin/python3", "/l/ocinet/hooks/hook.py").entry(stage)
    for stage in ("createRuntime", "poststop")
}
_KEYS = {"ocinet.net": "lan:ip=10.9.0.5,ifname=eth0;dmz", "ocinet.publish": "127.0.0.1:8080:80/udp"}
_CONFIG = {
    "annotations": _KEYS,
    "linux": {"namespaces": [{"type": "network"}], "sysctl": {"net.ipv4.ip_forward": "1"}},
    "hooks": {"prestart": [{"path": "/bin/true", "args": ["libnetwork-setkey"]}]},
}
_INSPECTED = {
    "Id": "a" * 64, "Name": "/web", "Image": "sha256:77", "State": {"Pid": 7, "Running": True},
    "Config": {"Labels": _KEYS, "ExposedPorts": {"80/tcp": {}}},
    "HostConfig": {"NetworkMode": "none", "PortBindings": {"80/tcp": [{"HostPort": "8080"}]},
                   "Annotations": {}, "DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["x"]}]},
    "NetworkSettings": {"Networks": {"none": {}}},
}  # fmt: skip
_HOST_ID = "6f1c0a52-0c4e-4b6d-9b1e-3d2f00aa1122"
_STANDING = {
    "config": {"name": "prod", "pools": [{"prefix": "10.42.0.0/16", "share_length": 24}],
               "backend": "vxlan", "vni": 4242, "port": 4789, "mtu": None, "version": 1,
               "created_by": _HOST_ID},
    f"hosts/{_HOST_ID}": {"id": _HOST_ID, "name": "a", "underlay": ["10.0.0.1", "fd00::1"],
                          "mac": "02:3d:2f:00:aa:11", "public_key": None,
                          "roles": ["containers"], "nonce": "0a", "version": 1, "generation": 1},
    "shares/010.042.003.000-24": {"prefix": "10.42.3.0/24", "host": _HOST_ID},
    f"alive/{_HOST_ID}": {"session": "0a", "boot": "0b", "since": "2026-11-30T16:00:00.000Z"},
    f"forgotten/{_HOST_ID}": {"nonce": "0a", "when": "2026-11-30", "by": _HOST_ID},
}  # fmt: skip
_MINE = Mine(read_host(_HOST_ID, json.dumps(_STANDING[f"hosts/{_HOST_ID}"]).encode()), (),
             read_cluster(json.dumps(_STANDING["config"]).encode()))  # fmt: skip
_EVENT = {"Type": "container", "Action": "start", "Actor": {"ID": "a" * 64, "Attributes": {}}}


class Target(NamedTuple):
    """Something to be fed.

    Attributes:
        feed: takes any bytes.
        seeds: what it usually gets.
    """

    feed: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


def _dump(*documents: object) -> tuple[bytes, ...]:
    return tuple(json.dumps(document).encode() for document in documents)


def _state(data: bytes) -> None:
    own_keys(parse_state(data).annotations, None).request(lambda: True)


def _keys(data: bytes) -> None:
    """Read `{"user": {…}, "image": {…}}`: whatever an image carries, it never gives more."""
    document = loads(data, "keys")
    shown = document if isinstance(document, dict) else {}
    parts = [shown.get(name) for name in ("user", "image")]
    user, image = (
        {key: str(text) for key, text in pairs.items()} if isinstance(pairs, dict) else {}
        for pairs in parts
    )
    own = own_keys({**image, **user}.items(), frozenset(image.items()))
    request = own.request(lambda: False, lambda: DEFAULT_REQUEST)
    assert request is not None
    asked = own_keys(user.items(), frozenset()).request(lambda: False, lambda: DEFAULT_REQUEST)
    assert asked is not None
    assert request.mode in ("none", asked.mode)
    assert set(request.publish) <= set(asked.publish)
    assert parse_annotations(to_annotations(request)) == request


def _config(data: bytes) -> None:
    config = loads(data, "config.json")
    is_private(config)
    if not isinstance(config, dict):
        return
    for _stage, entry in hooks_of(config):
        is_our_hook(entry)
    has_ours(config)
    parse_annotations(asked_in(config))
    plain = restore(config)
    for mode in ("bridge", "host"):
        edited = apply(plain, mode, {"ocinet.net": mode}, _ENTRIES)
        assert restore(json.loads(json.dumps(edited))) == plain


def _settings(data: bytes) -> None:
    with suppress(ValueError, RecursionError):
        settings._convert(tomllib.loads(data.decode()), "ocinet.toml")


def _answer(data: bytes) -> None:
    with suppress(ValueError, RecursionError):
        document: Any = json.loads(data)
        for read in (parse_listed, _inspect, lambda shown: _inspect(shown, podman=True)):
            with suppress(OcinetError):
                read(document)
        if isinstance(document, dict):
            parse_event(document)


def _inspect(document: Any, *, podman: bool = False) -> None:
    container = parse_inspected(document, podman=podman)
    parse_bindings(container.bindings, container.exposed)


def _stream(data: bytes) -> None:
    text = data.decode(errors="replace")
    cut = len(text) // 3 + 1
    for document in split_documents(
        text[start : start + cut] for start in range(0, len(text), cut)
    ):
        if isinstance(document, dict):
            parse_event(document)


def _image(data: bytes) -> None:
    text_pairs(data, "manifest")


def _record(data: bytes) -> None:
    attachments._decode("web", data, "web.json")


def _network(data: bytes) -> None:
    found = networks.decode("lan", data, "lan.json")
    assert networks.decode("lan", json.dumps(networks.encode(found)).encode(), "lan.json") == found


def _lease(data: bytes) -> None:
    read_lease(data)


def _netlink(data: bytes) -> None:
    for answer in framing.split(data):
        refused = framing.refusal(answer)
        assert refused is None or refused.errno > 0
        framing.attributes(answer.body)
        for decode in (
            link_messages.decode_link, ip_messages.decode_address, ip_messages.decode_routes,
        ):  # fmt: skip
            # As those that call them take it, of a kernel that says what none has said so far.
            with suppress(KeyError, ValueError, OSError, struct.error):
                decode(answer.body)


def _runtime_call(data: bytes) -> None:
    parse_runtime_call(data.decode(errors="replace").split("\0"), "/")


def _devices(data: bytes) -> None:
    with suppress(ValueError, RecursionError, AttributeError, TypeError):
        cdi_devices(json.loads(data))


def _etcd(data: bytes) -> None:
    """Read a key below a cluster's, and its value, beside those that are sound."""
    sound = [Entry(f"/ocinet/v1/prod/{key}", json.dumps(value).encode(), 1, 1)
             for key, value in _STANDING.items()]  # fmt: skip
    key, _, value = data.partition(b"\0")
    found = Census.of("prod", sound)
    found.note(Entry(f"/ocinet/v1/prod/{key.decode(errors='replace')}", value, 2, 2))
    _peers, flaws = found.peers(_MINE)
    assert all(flaw.isprintable() for flaw in flaws)


TARGETS = {
    "state": Target(_state, _dump(
        {"ociVersion": "1.0.2", "id": "web", "pid": 47, "bundle": "/b", "annotations": _KEYS})),
    "keys": Target(_keys, _dump(
        {"user": {"ocinet.net": "vault"}, "image": {"ocinet.net": "vault"}},
        {"user": {"ocinet.net": "none"}, "image": {"ocinet.publish": "22:22"}},
        {"user": _KEYS, "image": {"ocinet.gateway": "10.9.0.9", "ocinet.publish": "22:22"}})),
    "config": Target(_config, _dump(_CONFIG, apply(_CONFIG, "host", _KEYS, _ENTRIES))),
    "settings": Target(_settings, (
        b'pools = ["10.72.0.0/13"]\nselect = "labelled"\nlock_timeout_s = 1.5\nmax_ports = 3\n',
        b'engines = ["unix:///run/docker.sock"]\ntrust_annotations = true\n')),
    "answer": Target(_answer, _dump(_INSPECTED, _EVENT)),
    "stream": Target(_stream, (b"\n".join(_dump(_EVENT, _EVENT)), b'{"x": ]\n{}')),
    "image": Target(_image, _dump({"annotations": _KEYS}, {"config": {"Labels": _KEYS}})),
    "record": Target(_record, _dump(attachments.encode(record(ports=(port(8080),))))),
    "network": Target(_network, _dump(networks.encode(network()))),
    "lease": Target(_lease, (lease().to_json().encode(),)),
    "netlink": Target(_netlink, (
        framing.message(16, 0, 1, bytes(16) + framing.attribute(3, b"eth0\0")),
        framing.message(20, 0, 1, bytes(8) + framing.u32(1, 7)))),
    "runtime-call": Target(_runtime_call, (
        b"--root\0/run/runc\0--log-format=json\0create\0--bundle\0/b\0--pid-file=/p\0web",)),
    "devices": Target(_devices, _dump(_INSPECTED["HostConfig"])),
    "etcd": Target(_etcd, tuple(
        f"{key}\0{json.dumps(value)}".encode() for key, value in _STANDING.items())),
}  # fmt: skip


def feed(name: str, data: bytes) -> None:
    """Feed one target; what its callers expect is passed over.

    Raises:
        BaseException: it is a fault.
    """
    try:
        TARGETS[name].feed(data)
    except OcinetError as error:
        assert "\n" not in str(error)  # noqa: PT017  # most of what is fed is refused
