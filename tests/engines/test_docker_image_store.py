"""Docker with containerd's image store, the default since 29: whose a label is."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from hosts.engine.container import IMAGE
from hosts.engine.versions import require_version
from hosts.engine.wrapped_runtime import DAEMON_JSON, install, labels
from hosts.lab.machine import LAB_V4
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hosts.engine.dockerd import Docker
    from hosts.lab.machine import Lab

HOSTILE = {"ocinet.mtu": "576", "ocinet.publish": "2222:22", "ocinet.name": "victim"}
_USUAL = "/var/lib/containerd"
_OCI = "application/vnd.oci.image"
DOORS = pytest.mark.parametrize("door", ["wrapper", "watcher"])


@contextlib.contextmanager
def docker_behind(lab: Lab, door: str) -> Iterator[Docker]:
    """Yield a dockerd that has its images in containerd, whose containers one door wires."""
    require_version("docker", (25, 0), "a containerd image store whose manifests it notes")
    lab.path(DAEMON_JSON).parent.mkdir(exist_ok=True)
    lab.path(DAEMON_JSON).write_text('{"features": {"containerd-snapshotter": true}}\n')
    if door == "wrapper":
        install(lab, "--docker", "--default")
    # The lab's containerd has its data elsewhere, as no distribution's has.
    lab.run("sh", "-c", f"rm -rf {_USUAL} && ln -s /run/docker-containerd/data {_USUAL}")
    with lab.docker("--storage-driver=overlayfs") as docker, contextlib.ExitStack() as beside:
        if door == "watcher":
            beside.enter_context(lab.watch())
        yield docker


def two_platforms(layer: Path, carried: Mapping[str, Mapping[str, str]]) -> bytes:
    """Make an image for several platforms, with labels of each one's own.

    Args:
        layer: an uncompressed tar archive.
        carried: labels by architecture.

    Returns:
        An OCI image layout 1.0 in a tar archive, as `docker load` reads it.
    """
    files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}

    def blob(kind: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        files[f"blobs/sha256/{digest}"] = content
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    def document(kind: str, **content: object) -> dict[str, Any]:
        return blob(kind, json.dumps({"schemaVersion": 2, "mediaType": kind, **content}).encode())

    tar = blob(f"{_OCI}.layer.v1.tar", layer.read_bytes())
    manifests = []
    for architecture, wanted in carried.items():
        platform = {"os": "linux", "architecture": architecture}
        rootfs = {"type": "layers", "diff_ids": [tar["digest"]]}
        config = document(
            f"{_OCI}.config.v1+json", **platform, rootfs=rootfs, config={"Labels": wanted}
        )
        manifest = document(f"{_OCI}.manifest.v1+json", config=config, layers=[tar])
        manifests.append({**manifest, "platform": platform})
    index = document(f"{_OCI}.index.v1+json", manifests=manifests)
    names = {"io.containerd.image.name": "docker.io/library/both:latest"}
    top = {"schemaVersion": 2, "manifests": [{**index, "annotations": names}]}
    files["index.json"] = json.dumps(top).encode()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as made:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return archive.getvalue()


@DOORS
def test_labels_of_the_user_are_honoured(lab: Lab, door: str) -> None:
    """A port and a name by label, for the image carries none of them."""
    with docker_behind(lab, door) as docker:
        web = docker.run(*labels(publish="8080:80", name="mine"))
        web.address()
        web.namespace.serve("tcp", 80)

        assert lab.outside.ask("tcp", LAB_V4, 8080).server == web.namespace.name
        assert list(lab.records()) == ["mine"]
        web.namespace.close()


@DOORS
def test_labels_of_an_image_count_for_nothing(lab: Lab, door: str) -> None:
    """What was imported with it is the image's, whatever else the user asks."""
    with docker_behind(lab, door) as docker:
        lab.make_network("lan", "10.9.0.0/24")
        changes = [f"--change=LABEL {key}={text}" for key, text in HOSTILE.items()]
        docker("import", *changes, str(lab.rootfs.with_suffix(".tar")), "hostile")

        alone = docker.run("--name=alone", image="hostile")
        asked = docker.run("--name=asked", *labels(net="lan"), image="hostile")

        assert alone.address().startswith("10.72.")
        assert asked.address().startswith("10.9.0.")
        assert {name: record["ports"] for name, record in lab.records().items()} == {
            "alone": [], "asked": [],
        }  # fmt: skip


@DOORS
def test_label_that_its_image_carries_too_gives_nothing_else(lab: Lab, door: str) -> None:
    """Refused, and `none` is none; Docker's annotation is its user's for sure."""
    with docker_behind(lab, door) as docker:
        lab.ocinet("network", "create", "vault", "--internal", "--subnet=10.9.0.0/24")
        layer = str(lab.rootfs.with_suffix(".tar"))
        for net in ("vault", "none"):
            docker("import", f"--change=LABEL ocinet.net={net}", layer, net)

        mute = docker.run("--name=mute", *labels(net="none"), image="none")
        meant = docker.run("--name=meant", "--annotation=ocinet.net=vault", image="vault")
        docker.create("--name=web", *labels(net="vault"), image="vault")
        docker("start", "web", check=door == "watcher")

        assert list(mute.namespace.links()) == ["lo"]
        assert meant.address().startswith("10.9.0.")
        wait_until(lambda: "the image carries" in lab.ocinet("ps", "--all").stderr, "the reason")
        assert lab.records().keys() == {"mute", "meant"}


@DOORS
def test_labels_of_the_platform_that_runs_count_for_nothing(lab: Lab, door: str) -> None:
    """An image may carry others for each platform; all that counts is the one in use."""
    with docker_behind(lab, door) as docker:
        layer = lab.rootfs.with_suffix(".tar")
        lab.path("/run/lab/both.tar").write_bytes(
            two_platforms(layer, {"amd64": {"a": "b"}, "arm64": HOSTILE})
        )
        docker("load", "--input=/run/lab/both.tar")

        other = docker.run("--name=other", "--platform=linux/arm64", image="both")
        mine = docker.run("--name=mine", *labels(publish="2222:22"), image="both")

        assert other.address() != mine.address()
        found = lab.records()
        assert found["other"]["ports"] == []
        assert [port["host_port"] for port in found["mine"]["ports"]] == [2222]


def test_image_that_is_gone_is_not_trusted(lab: Lab) -> None:
    """Where its manifest is not to be read, a port by label is refused, and `-p` is not."""
    with docker_behind(lab, "wrapper") as docker:
        docker.create("--name=web", *labels(publish="8080:80"))
        docker.create("--name=plain", "--publish=8081:80")
        lab.run("sh", "-c", "rm /run/docker-containerd/data/io.containerd.content*/blobs/sha256/*")

        refused = docker("start", "web", check=False)
        docker("start", "plain")

        assert "ocinet.publish may be the image's wish" in refused.stderr
        assert list(lab.records()) == ["plain"]


@DOORS
def test_build_steps_are_not_wired(lab: Lab, door: str) -> None:
    """The classic builder names the step's image by a manifest's digest here."""
    with docker_behind(lab, door) as docker:
        lab.path("/run/lab/build").mkdir()
        file = f"FROM {IMAGE}\nRUN sleep 0.5; ip -o link\n"
        lab.path("/run/lab/build/Dockerfile").write_text(file)
        build = ("build", "--network=none", "--tag=built", "/run/lab/build")

        seen = docker(*build, env={"DOCKER_BUILDKIT": "0"}).stdout

        assert "lo:" in seen
        assert "eth0" not in seen
        assert lab.events("attached") == []
