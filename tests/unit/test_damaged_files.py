"""Files cut off or damaged inside: one clear error that names the file, and the rest is served.

All of it without `json`, as in the hook: there a document that was cut off inside an object
was a fault of ocinet's own once, wherever it was read.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NETWORK, lease, make_pool, network, port, record, span
from fakes.bare_json import without_json
from fakes.judged_store import JudgedStore
from ocinet.base.address import Subnet
from ocinet.base.clock import Deadline, Process
from ocinet.base.errors import ConflictError, OcinetError, RequestError, SystemFailure
from ocinet.base.files import Directory
from ocinet.base.paths import Paths
from ocinet.engine.kernel.listeners import ListeningSockets
from ocinet.engine.known import find_record
from ocinet.engine.model.attachment import Attachment, Member
from ocinet.engine.model.request import Publish
from ocinet.engine.records import networks, port_claim
from ocinet.engine.records.attachments import AttachmentStore
from ocinet.engine.records.networks import NetworkStore
from ocinet.engine.records.port_claims import PortClaims
from ocinet.engine.records.settings import COMPILED, load
from ocinet.hooks.entry.state import parse_state
from ocinet.ipam.lease import read_lease
from ocinet.ipam.pool import Pool
from ocinet.request.cdi import devices_of
from ocinet.request.config_json import has_private_sandbox
from ocinet.request.docker_files import read_docker
from ocinet.request.podman_files import Origin, origin_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOT_JSON = "it is not JSON"
POOL = Pool(Subnet.parse("10.9.0.0/24"), ranges=(span("10.9.0.5", "10.9.0.9"),))
LAN = network(pools=(POOL,), labels=(("team", "web"),))


def attachment(name: str) -> Attachment:
    """Return a record with something of each kind in it."""
    members = (Member("m", "m", process=Process(8, 9)),)
    return record(name, name, ports=(port(8080), port(8082, at="192.0.2.1")), members=members)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return directories of our own."""
    return Paths(f"{tmp_path}/etc", f"{tmp_path}/var", f"{tmp_path}/run", f"{tmp_path}/netns")


def cut(path: str) -> Iterator[int]:
    """Cut a file off, shorter each time; yields how much is left of it, and puts it back."""
    with open(path, "rb") as file:
        whole = file.read()
    try:
        for length in range(len(whole.rstrip()) - 1, 0, -13):
            with open(path, "wb") as file:
                file.write(whole[:length])
            with without_json():
                yield length
    finally:
        with open(path, "wb") as file:
            file.write(whole)


def test_state_that_is_cut_off_is_refused() -> None:
    """What a runtime wrote half of on the hook's stdin."""
    state = b'{"ociVersion": "1.0.2", "id": "web", "pid": 47, "annotations": {"ocinet.net": "lan"}}'
    for length in range(1, len(state)):
        with without_json(), pytest.raises(RequestError) as raised:
            parse_state(state[:length])
        assert str(raised.value).startswith(f"cannot read the container's state: {NOT_JSON}")


def test_config_that_is_cut_off_is_refused_and_asks_for_no_device(tmp_path: Path) -> None:
    """A bundle's config is told by its path."""
    device = {"path": "/p", "args": ["p", "-I", "-S", "/ocinet/hooks/hook.py", "--device=lan"]}
    config = {"linux": {"namespaces": [{"type": "network"}]}, "hooks": {"prestart": [device]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert has_private_sandbox(str(tmp_path))

    for _length in cut(f"{tmp_path}/config.json"):
        with pytest.raises(RequestError, match=f"cannot read {tmp_path}/config.json: {NOT_JSON}"):
            has_private_sandbox(str(tmp_path))
        assert devices_of(str(tmp_path)) == ()


def test_record_that_is_cut_off_is_named_and_the_others_are_read(paths: Paths) -> None:
    """Who wants this one is told the file; who goes through all of them misses it alone."""
    store = AttachmentStore(paths)
    store.put(attachment("db"))
    store.put(attachment("web"))
    path = f"{paths.run}/attachments/web.json"

    for _length in cut(path):
        with pytest.raises(SystemFailure) as raised:
            store.get("web")
        assert str(raised.value).startswith(f"cannot read the record of web: {path}: {NOT_JSON}")
        assert raised.value.hint == "set it aside with: ocinet gc"
        assert store.all() == (attachment("db"),)
        assert find_record(store, "db") == attachment("db")
        [(name, why)] = store.unreadable()
        assert (name, why.startswith(f"{path}: ")) == ("web", True)
    assert store.get("web") == attachment("web")


def test_network_that_is_cut_off_is_named_and_the_others_are_read(paths: Paths) -> None:
    """Who shows networks goes on; who makes one may not: it could be given the same addresses."""
    store = NetworkStore(paths)
    store.add(LAN)
    store.add(LAN.replace(name="dmz"))
    path = f"{paths.config}/networks/dmz.json"

    for _length in cut(path):
        for act in (lambda: store.get("dmz"), store.all):
            with pytest.raises(SystemFailure, match=f"read the network dmz: {path}: {NOT_JSON}"):
                act()
        assert store.get("lan") == LAN
        assert store.readable() == (LAN,)
        [(name, why)] = store.unreadable()
        assert (name, why.startswith(f"{path}: ")) == ("dmz", True)


def test_compiled_settings_that_are_cut_off_are_compiled_anew(paths: Paths) -> None:
    """They are a cache: the sources are read, and nobody is told anything."""
    os.makedirs(paths.config)
    with open(f"{paths.config}/ocinet.toml", "w", encoding="utf-8") as file:
        file.write("ipv6 = true\n")
    path = f"{paths.run}/{COMPILED}"
    deadline = Deadline(10)
    while not os.path.exists(path):  # until the source has settled: a tick of the clock
        deadline.check("waiting")
        load(paths)
    with open(path, "rb") as file:
        whole = file.read()

    for length in range(1, len(whole), 13):
        with open(path, "wb") as file:
            file.write(whole[:length])
        with without_json():
            assert load(paths).ipv6
        with open(path, "rb") as file:
            assert file.read() == whole


def test_lease_that_is_cut_off_is_quarantined_and_the_others_are_given(tmp_path: Path) -> None:
    """Its address is not free; it is told of, by address, with what is wrong."""
    world = JudgedStore(tmp_path)
    pool = make_pool("10.9.0.0/24", "10.9.0.1")
    world.get("web", pool)
    world.get("db", pool)

    for number, _length in enumerate(cut(world.path("10.9.0.2"))):
        world.events.clear()
        assert world.store.quarantined(NETWORK) == ("10.9.0.2",)
        [(event, fields)] = world.events
        assert (event, fields["address"]) == ("lease unreadable", "10.9.0.2")
        assert fields["why"].startswith(NOT_JSON)
        with pytest.raises(ConflictError, match=r"10\.9\.0\.2 is quarantined"):
            world.get("other", pool, wanted=("10.9.0.2",))
        assert len(world.get(f"c{number}", pool)) == 1
        assert world.held["10.9.0.3"] == "db"


def test_reservation_that_is_cut_off_still_keeps_the_address(tmp_path: Path) -> None:
    """The MAC is lost with the content, what is kept for whom is in the name; the others stand."""
    world = JudgedStore(tmp_path)
    world.reserve("10.9.0.5", "web", "02:00:00:00:00:05")
    world.reserve("10.9.0.6", "db", "02:00:00:00:00:06")

    for _length in cut(f"{world.paths.state}/reservations/{NETWORK}/10.9.0.5=web"):
        kept = {str(kept.address): kept.name for kept in world.reservations.all(NETWORK)}
        assert kept == {"10.9.0.5": "web", "10.9.0.6": "db"}
        assert world.store.reserved_mac(NETWORK, "web") == ""
        assert world.store.reserved_mac(NETWORK, "db") == "02:00:00:00:00:06"


def test_claims_that_are_cut_off_are_named_and_the_other_ports_are_given(paths: Paths) -> None:
    """Whose they are can't be told, so they stay taken; a file of other ports is none the worse."""
    claims = PortClaims(paths, ListeningSockets(), deadline=Deadline(60))
    claims.claim("web", "web", (Publish("udp", None, 65500, 53),))
    claims.claim("db", "db", (Publish("udp", None, 65000, 53),))
    path = f"{paths.run}/ports/{port_claim.file_of('udp', 65500)}"

    for _length in cut(path):
        with pytest.raises(ConflictError) as raised:
            claims.claim("new", "new", (Publish("udp", None, 65501, 53),))
        assert str(raised.value).startswith(f"the claims in {path} can't be read: {NOT_JSON}")
        claims.claim("new", "new", (Publish("udp", None, 65001, 53),))
        assert claims.holders() == ("db", "new")
        claims.release_all("web")
        claims.release_all("new")
    assert claims.holders() == ("db", "web")


@pytest.mark.parametrize("name", ["config.v2.json", "hostconfig.json"])
def test_dockers_file_that_is_cut_off_tells_nothing(tmp_path: Path, name: str) -> None:
    """It is not known what Docker knows; that is an answer, and no error."""
    state = {"ID": "a" * 64, "Name": "/web", "Config": {"Labels": {"ocinet.net": "lan"}}}
    place = tmp_path / "containers" / ("a" * 64)
    place.mkdir(parents=True)
    (place / "config.v2.json").write_text(json.dumps(state))
    (place / "hostconfig.json").write_text(json.dumps({"NetworkMode": "none", "More": {}}))
    assert read_docker(str(tmp_path), "a" * 64) is not None

    for _length in cut(f"{place}/{name}"):
        assert read_docker(str(tmp_path), "a" * 64) is None


def test_dockers_image_that_is_cut_off_is_undecided(tmp_path: Path) -> None:
    """What it carries is not known, and so what it may ask for is refused."""
    place = tmp_path / "containers" / ("a" * 64)
    place.mkdir(parents=True)
    image = {"ID": "a" * 64, "Driver": "overlay2", "Image": f"sha256:{'b' * 64}", "Config": {}}
    (place / "config.v2.json").write_text(json.dumps(image))
    (place / "hostconfig.json").write_text('{"NetworkMode": "none"}')
    content = tmp_path / "image/overlay2/imagedb/content/sha256"
    content.mkdir(parents=True)
    (content / ("b" * 64)).write_text('{"config": {"Labels": {"ocinet.net": "host"}}, "os": "x"}')
    found = read_docker(str(tmp_path), "a" * 64)
    assert found is not None
    assert found.carried("")

    for _length in cut(f"{content}/{'b' * 64}"):
        assert found.carried("") is None


def test_podmans_list_that_is_cut_off_tells_nothing(tmp_path: Path) -> None:
    """Neither name nor image is known."""
    directory = tmp_path / "overlay-containers"
    directory.mkdir()
    text = json.dumps([{"id": "a" * 64, "names": ["web"], "more": {}}], separators=(",", ":"))
    (directory / "containers.json").write_text(text.removesuffix("]"))
    bundle = f"{directory}/{'a' * 64}/userdata"
    assert origin_of("a" * 64, bundle).name == "web"

    for _length in cut(f"{directory}/containers.json"):
        assert origin_of("a" * 64, bundle) == Origin()


# -- any damage -----------------------------------------------------------------------


def _read_record(root: str, data: bytes) -> None:
    _put(f"{root}/run/attachments", "web.json", data)
    AttachmentStore(Paths(run=f"{root}/run")).get("web")


def _read_network(_root: str, data: bytes) -> None:
    networks.decode("lan", data, "/etc/ocinet/networks/lan.json")


def _read_lease(_root: str, data: bytes) -> None:
    read_lease(data)


def _read_claims(root: str, data: bytes) -> None:
    _put(f"{root}/run/ports", "tcp-8064-8191", data)
    with Directory(f"{root}/run/ports") as directory:
        port_claim.read_claims(directory, "tcp-8064-8191")


def _read_state(_root: str, data: bytes) -> None:
    parse_state(data)


def _put(directory: str, name: str, data: bytes) -> None:
    os.makedirs(directory, 0o700, exist_ok=True)
    with open(f"{directory}/{name}", "wb") as file:
        file.write(data)


def _stored(root: str, name: str) -> Any:
    """Return one whole document of a kind."""
    paths = Paths(run=f"{root}/run")
    if name == "record":
        AttachmentStore(paths).put(attachment("web"))
        with open(f"{root}/run/attachments/web.json", "rb") as file:
            return json.load(file)
    if name == "claims":
        return [{"first": 8080, "last": 8089, "address": "", "container": "c", "name": "web",
                 "time": "2024"}]  # fmt: skip
    if name == "lease":
        return json.loads(lease().to_json())
    if name == "network":
        return networks.encode(LAN)
    return {"id": "web", "pid": 47, "bundle": "/srv", "annotations": {"ocinet.net": "lan"}}


READERS = {
    "record": _read_record,
    "network": _read_network,
    "lease": _read_lease,
    "claims": _read_claims,
    "state": _read_state,
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 1 << 70) | st.floats(allow_nan=False)
    | st.text(max_size=3) | st.sampled_from(["10.9.0.5", "0.0.0.0/0", "fd00::5"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)  # fmt: skip


def replace(document: Any, draw: st.DataObject) -> Any:
    """Put something else in the place of one part of a document, however deep."""
    inside = isinstance(document, dict | list) and len(document) > 0
    if not inside or draw.draw(st.integers(0, 4)) == 0:
        return draw.draw(VALUES)
    keys = sorted(document) if isinstance(document, dict) else range(len(document))
    key = draw.draw(st.sampled_from(keys))
    copy = document.copy()
    if draw.draw(st.integers(0, 4)) == 0:
        del copy[key]
    else:
        copy[key] = replace(document[key], draw)
    return copy


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_any_damage_is_a_value_or_an_error_of_ours(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever is missing, or of another type than it should be: no fault of ours, and one line."""
    root = str(tmp_path_factory.getbasetemp())
    damaged = replace(_stored(root, name), data)
    try:
        READERS[name](root, json.dumps(damaged).encode())
    except OcinetError as error:
        assert "\n" not in str(error)  # noqa: PT017  # most examples are read
