"""What an image carries is recognised in podman's storage, laid out as podman 4.3.1 does."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from fakes.bare_json import without_json
from ocinet.request.podman_files import Origin, exposed_by_image, origin_of

if TYPE_CHECKING:
    from pathlib import Path

CONTAINER = "5dfbece984106079ceb608107bde95755f4785ac0591a6502890a2386c1f3981"
IMAGE = "d91a7fd10cd95c8ad30d78c741e2dca3424b440e2633dc2b97dbcc45d053811c"
MANIFEST: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:d9"},
    "layers": [],
    "annotations": {"ocinet.net": "host", "ocinet.publish": "22:22"},
}


def _entry(container: str, image: str = IMAGE, name: str = "e1") -> dict[str, object]:
    return {
        "id": container,
        "names": [name],
        "image": image,
        "layer": "d1499708770166f14a8fae1c04ac8484a7b64a46823881c0fe97860007561d9b",
        "metadata": json.dumps({"image-name": "localhost/evil:latest", "name": name}),
        "created": "2026-11-23T20:43:00.953147859Z",
        "flags": {"MountLabel": "", "ProcessLabel": ""},
    }


def _store(root: Path, *entries: dict[str, object], volatile: bool = False) -> str:
    """Lay a list of containers out; returns the bundle of the first one."""
    containers = root / "overlay-containers"
    containers.mkdir(exist_ok=True)
    name = "volatile-containers.json" if volatile else "containers.json"
    (containers / name).write_text(json.dumps(entries, separators=(",", ":")))
    return f"{containers}/{CONTAINER}/userdata"


def _add_manifest(root: Path, manifest: bytes, name: str = "manifest", image: str = IMAGE) -> None:
    images = root / "overlay-images" / image
    images.mkdir(parents=True, exist_ok=True)
    if name != "manifest":
        name = "=" + base64.b64encode(name.encode()).decode()
    (images / name).write_bytes(manifest)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def test_look_up_finds_name_and_annotations(tmp_path: Path) -> None:
    """The container's name and what its image carries are told from files alone."""
    _add_manifest(tmp_path, _json(MANIFEST))
    origin = origin_of(
        CONTAINER,
        _store(tmp_path, _entry("a" * 64), _entry(CONTAINER, name="web"), _entry("b" * 64)),
    )
    assert origin.name == "web"
    assert origin.carried is not None
    assert origin.carried >= {("ocinet.net", "host"), ("ocinet.publish", "22:22")}


@pytest.mark.parametrize("position", [0, 1, 2])
def test_look_up_reads_the_right_entry_of_many(tmp_path: Path, position: int) -> None:
    """First, middle and last entries are told apart, in the list of `--rm` containers too."""
    _add_manifest(tmp_path, _json(MANIFEST))
    entries = [_entry("a" * 64, "ff", "x"), _entry("b" * 64, "ff", "y")]
    entries.insert(position, _entry(CONTAINER))
    _store(tmp_path, *entries[:0])
    origin = origin_of(CONTAINER, _store(tmp_path, *entries, volatile=True))
    assert origin.name == "e1"
    assert origin.carried


def test_look_up_is_not_led_astray_by_texts(tmp_path: Path) -> None:
    """A label or name that looks like an entry is none: quotes in texts are escaped."""
    _add_manifest(tmp_path, _json(MANIFEST))
    liar = _entry("a" * 64)
    liar["metadata"] = json.dumps(_entry(CONTAINER, image=""), separators=(",", ":"))
    assert origin_of(CONTAINER, _store(tmp_path, liar, _entry(CONTAINER))).carried
    assert origin_of(CONTAINER, _store(tmp_path, liar)) == Origin()


@pytest.mark.parametrize(
    ("config", "exposed"),
    [
        ({"config": {"ExposedPorts": {"80/tcp": {}, "53/udp": {}}}}, ("80/tcp", "53/udp")),
        ({"config": {"ExposedPorts": None}}, ()),
        ({"config": {}}, ()),
        ({"config": []}, None),
        ({}, None),
        ([], None),
    ],
)
def test_exposed_ports_are_those_of_the_images_config(
    tmp_path: Path, config: object, exposed: tuple[str, ...] | None
) -> None:
    """It lies beside the manifests, under its digest, which is the image's id."""
    bundle = _store(tmp_path, _entry(CONTAINER))
    assert exposed_by_image(CONTAINER, bundle) is None
    _add_manifest(tmp_path, _json(config), name=f"sha256:{IMAGE}")

    assert exposed_by_image(CONTAINER, bundle) == exposed
    assert exposed_by_image("a" * 64, bundle) is None


def test_look_up_without_image_carries_nothing(tmp_path: Path) -> None:
    """A container of a plain rootfs has no image that could ask for anything."""
    assert origin_of(CONTAINER, _store(tmp_path, _entry(CONTAINER, image=""))) == Origin(
        "e1", frozenset()
    )


@pytest.mark.parametrize("names", [None, [], [7], ["a/b"], [""], "e1"])
def test_look_up_with_unusable_name_has_none(tmp_path: Path, names: object) -> None:
    """A name that is not one of ours is left out; the image is found all the same."""
    _add_manifest(tmp_path, _json(MANIFEST))
    origin = origin_of(CONTAINER, _store(tmp_path, {**_entry(CONTAINER), "names": names}))
    assert origin.name == ""
    assert origin.carried


def test_look_up_joins_all_manifests_of_the_image(tmp_path: Path) -> None:
    """One image may be stored with several manifests; podman picks by the name it was run by."""
    _add_manifest(tmp_path, _json({"annotations": {"ocinet.net": "lan"}}))
    _add_manifest(tmp_path, _json(MANIFEST), f"manifest-sha256:{'a' * 64}")
    _add_manifest(tmp_path, b"no manifest", f"signature-{'a' * 64}")
    _add_manifest(tmp_path, b"no manifest", f"sha256:{IMAGE}")
    carried = origin_of(CONTAINER, _store(tmp_path, _entry(CONTAINER))).carried
    assert carried is not None
    assert carried >= {("ocinet.net", "lan"), ("ocinet.publish", "22:22")}


@pytest.mark.parametrize(
    "members",
    [
        '"Annotations":{"ocinet.publish":"22:22"}',
        '"annotations":{"ocinet.publish":"22:22"},"annotations":{"x":"y"}',
        '"annotations":{"x":"y"},"annotations":{"ocinet.publish":"22:22"}',
        '"annotations":{"ocinet.publi\\u0073h":"22:22","ocinet.publish":"22:23"}',
        '"annotations":{"ocinet.publish":"22:23","ocinet.publish":"22:22"}',
        '"annotations":{"x":"\udcff","ocinet.publish":"22:22"}',
        '"annotation\\u017f":{"ocinet.publish":"22:22"}',
    ],
)
def test_look_up_sees_what_podmans_parser_sees(tmp_path: Path, members: str) -> None:
    """Keys in another case, repeated or escaped, hide nothing: podman reads them."""
    manifest = '{"schemaVersion":2,' + members + "}"
    _add_manifest(tmp_path, manifest.encode(errors="surrogateescape"))
    carried = origin_of(CONTAINER, _store(tmp_path, _entry(CONTAINER))).carried
    assert carried is not None
    assert ("ocinet.publish", "22:22") in carried


@pytest.mark.parametrize(
    "manifest", [b"", b"{", b"{} {}", b"[" * 100_000, b'{"a":"' + b"x" * (1 << 20) + b'"}']
)
def test_look_up_with_unreadable_manifest_is_undecided(tmp_path: Path, manifest: bytes) -> None:
    """A manifest that can't be read is no proof that it carries nothing."""
    _add_manifest(tmp_path, manifest)
    assert origin_of(CONTAINER, _store(tmp_path, _entry(CONTAINER))) == Origin("e1", None)


def test_look_up_with_a_cut_manifest_is_undecided(tmp_path: Path) -> None:
    """In the hook as well, where nobody has imported `json`: it is no fault, and no proof."""
    whole = _json(MANIFEST)
    for at in range(0, len(whole), 7):
        _add_manifest(tmp_path, whole[:at])
        with without_json():
            assert origin_of(CONTAINER, _store(tmp_path, _entry(CONTAINER))) == Origin("e1", None)


def test_look_up_elsewhere_is_undecided(tmp_path: Path) -> None:
    """Other bundles, missing lists, unknown containers, odd image ids and missing images."""
    assert origin_of("x", "/srv/x") == Origin()
    assert origin_of("x", "") == Origin()
    bundle = f"{tmp_path}/overlay-containers/{CONTAINER}/userdata"
    assert origin_of(CONTAINER, bundle) == Origin()
    assert origin_of("other", bundle) == Origin()
    _store(tmp_path, _entry("a" * 64))
    assert origin_of(CONTAINER, bundle) == Origin()
    _store(tmp_path, _entry(CONTAINER))
    assert origin_of(CONTAINER, bundle) == Origin("e1", None)
    (tmp_path / "overlay-images" / IMAGE).mkdir(parents=True)
    assert origin_of(CONTAINER, bundle) == Origin("e1", None)
    _add_manifest(tmp_path, b"{}", image="../elsewhere")
    _store(tmp_path, _entry(CONTAINER, image="../elsewhere"))
    assert origin_of(CONTAINER, bundle) == Origin("e1", None)
    (tmp_path / "overlay-containers/containers.json").write_text(f'[{{"id":"{CONTAINER}","names":7')
    assert origin_of(CONTAINER, bundle) == Origin()
