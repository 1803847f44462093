"""What Docker's files tell of a container, however they look."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocinet.request.docker_files import (
    DockerContainer,
    find_docker,
    is_dockers,
    is_setkey,
    read_docker,
)

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]
ID = "15d51a24213dd17a4651a445a2520bcabe37ad1ef1d34fc015b99053110a7dc1"
OTHER = "8be8b59d14a5021f4ce8411a8906df78bcc42c9a04e6e5ad1761e71207bc4239"
IMAGE = "27cdb0491c18f2fcac644d56d543ae0ba66ca1196d0a8171c69e97e2524b1436"
STATE: Json = {
    "ID": ID,
    "Name": "/web",
    "Image": f"sha256:{IMAGE}",
    "Driver": "overlay2",
    "State": {"Running": True, "Pid": 812},
    "Config": {"Image": "busybox", "Labels": {"a": "b", "ocinet.net": "lan"},
               "ExposedPorts": {"80/tcp": {}}},
    "NetworkSettings": {"Networks": {"none": {"EndpointID": ""}}},
}  # fmt: skip
HOST: Json = {
    "NetworkMode": "none",
    "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
    "LogConfig": {"Type": "json-file"},
    "PublishAllPorts": False,
    "CgroupParent": "shop.slice",
}
SETKEY = {"path": "/proc/7627/exe", "args": ["libnetwork-setkey", "-exec-root=/run/docker", ID]}


class Docker:
    """A data directory of Docker's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.place = root / "containers" / ID

    def write(self, state: object = STATE, host: object = HOST) -> None:
        """Write a container's two files."""
        self.place.mkdir(parents=True, exist_ok=True)
        (self.place / "config.v2.json").write_text(json.dumps(state))
        (self.place / "hostconfig.json").write_text(json.dumps(host))
        os.chmod(self.place / "config.v2.json", 0o600)

    def config(self, *, mounted: str = "", **more: object) -> Json:
        """Return the config of a bundle whose root file system is in here."""
        mounts = [{"destination": "/proc", "source": "proc"}]
        if mounted:
            mounts += [
                {"destination": f"/etc/{name}", "source": f"{mounted}/{name}"}
                for name in ("resolv.conf", "hostname", "hosts")
            ]
        return {"root": {"path": f"{self.root}/overlay2/81d1/merged"}, "mounts": mounts, **more}

    def image(self, document: object, name: str = IMAGE) -> None:
        """Write an image's config."""
        place = self.root / "image/overlay2/imagedb/content/sha256"
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(document if isinstance(document, str) else json.dumps(document))


@pytest.fixture
def docker(tmp_path: Path) -> Docker:
    """Return a data directory with one container."""
    made = Docker(tmp_path / "docker")
    made.write()
    return made


def test_find_reads_both_files(docker: Docker) -> None:
    """Name, mode, networks, labels, ports and image."""
    assert find_docker(docker.config(), ID) == DockerContainer(
        name="web",
        mode="none",
        networks=("none",),
        keys=(("a", "b"), ("ocinet.net", "lan")),
        bindings=HOST["PortBindings"],
        listens=("80/tcp",),
        root=str(docker.root),
        driver="overlay2",
        image=f"sha256:{IMAGE}",
        cgroup_parent="shop.slice",
        pid=812,
    )


def test_find_by_mounts_where_the_root_file_system_is_elsewhere(docker: Docker) -> None:
    """containerd's image store; and who shares X's network has X's files mounted."""
    elsewhere = {"root": {"path": "rootfs"}}
    for owner in (ID, OTHER):
        config = docker.config(mounted=f"{docker.root}/containers/{owner}") | elsewhere
        found = find_docker(config, ID)
        assert found is not None
        assert found.name == "web"


def test_find_without_own_files_mounted(docker: Docker) -> None:
    """A user who mounts his own /etc/hosts and the others hides nothing."""
    assert find_docker(docker.config(mounted="/srv/mine"), ID) is not None


@pytest.mark.parametrize(
    "config",
    [{}, {"root": None}, {"root": {"path": 7}}, {"mounts": "x"}, {"mounts": [None, {}, "a"]},
     {"root": {"path": "rootfs"}, "mounts": [{"destination": "/etc/hosts", "source": "/a/hosts"}]},
     {"mounts": [{"destination": "/etc/hosts", "source": 5}]}],
)  # fmt: skip
def test_find_of_a_bundle_of_others_is_none(config: Json) -> None:
    """No path of Docker's in it, or nothing that is a config at all."""
    assert find_docker(config, ID) is None


@pytest.mark.parametrize("container_id", ["web", ID[:12], ID.upper(), f"../{ID[3:]}", ID + "0"])
def test_find_of_an_id_that_is_not_dockers_is_none(docker: Docker, container_id: str) -> None:
    """Only 64 hexadecimal digits become part of a path."""
    assert find_docker(docker.config(), container_id) is None


def test_find_of_another_containers_file_is_none(docker: Docker) -> None:
    """The file must say the same id as the directory that it is in."""
    docker.write({**STATE, "ID": OTHER})
    assert find_docker(docker.config(), ID) is None


@pytest.mark.parametrize("name", ["config.v2.json", "hostconfig.json"])
def test_find_of_files_that_others_can_write_is_none(docker: Docker, name: str) -> None:
    """Whoever could write them could ask for the host's network."""
    (docker.place / name).chmod(0o666)
    assert find_docker(docker.config(), ID) is None
    os.chmod(docker.place / name, 0o600)
    os.rename(docker.place / name, docker.place / "real")
    (docker.place / name).symlink_to(docker.place / "real")
    assert find_docker(docker.config(), ID) is None


def test_find_of_half_a_container_is_none(docker: Docker) -> None:
    """One of the files is not there yet, or is no JSON."""
    (docker.place / "hostconfig.json").write_text('{"NetworkMode": ')
    assert find_docker(docker.config(), ID) is None
    (docker.place / "hostconfig.json").unlink()
    assert find_docker(docker.config(), ID) is None


def test_annotations_and_exposed_ports_count(docker: Docker) -> None:
    """`--annotation` of Docker 24 is no label, and no image's; `-P` publishes what is exposed."""
    annotations = {"ocinet.net": "dmz", "x": "y"}
    docker.write(host={**HOST, "Annotations": annotations, "PublishAllPorts": True})
    found = find_docker(docker.config(), ID)
    assert found is not None
    assert dict(found.keys) == {"a": "b", "ocinet.net": "lan"}
    assert dict(found.told) == annotations
    assert found.exposed == found.listens == ("80/tcp",)


STEP_CONFIG: Json = {"Image": f"sha256:{IMAGE}", "Healthcheck": {"Test": ["NONE"]}}
STEP_HOST: Json = {
    **HOST, "LogConfig": {"Type": "none"}, "RestartPolicy": {"Name": ""}, "PortBindings": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "host", "is_step"),
    [
        ({}, {}, True),
        ({"Image": "busybox"}, {}, False),
        ({"Healthcheck": None}, {}, False),
        ({}, {"LogConfig": {"Type": "json-file"}}, False),
        ({}, {"RestartPolicy": {"Name": "no"}}, True),  # Docker 25 and later
        ({}, {"RestartPolicy": {"Name": "always"}}, False),
        ({}, {"RestartPolicy": {"Name": "no"}, "PortBindings": {}}, False),  # docker run's
    ],
)
def test_build_steps_are_told_by_all_their_marks(
    docker: Docker, config: Json, host: Json, is_step: bool
) -> None:
    """A container that lacks one of them is somebody's, who wants a network."""
    docker.write({**STATE, "Config": {**STEP_CONFIG, **config}}, {**STEP_HOST, **host})
    found = find_docker(docker.config(), ID)
    assert found is not None
    assert found.build_step is is_step


def test_devices_of_cdi_are_told(docker: Docker) -> None:
    """Those of other kinds are not."""
    requests = [
        {"Driver": "cdi", "DeviceIDs": ["ocinet.dev/net=lan", "x/y=z"]},
        {"Driver": "nvidia", "DeviceIDs": ["0"]},
        {"Driver": "cdi", "DeviceIDs": None},
    ]
    docker.write(host={**HOST, "DeviceRequests": requests})
    found = read_docker(str(docker.root), ID)
    assert found is not None
    assert found.devices == ("ocinet.dev/net=lan", "x/y=z")
    assert read_docker(str(docker.root), OTHER) is None


def test_name_that_is_no_name_and_nulls_are_nothing(docker: Docker) -> None:
    """What Docker leaves null, and a name that could be no file's."""
    state = {**STATE, "Name": "/a/../b", "Config": {"Labels": None}, "NetworkSettings": None}
    docker.write(state, {"NetworkMode": "bridge", "PortBindings": None, "LogConfig": None})
    found = find_docker(docker.config(), ID)
    assert found is not None
    assert (found.name, found.keys, found.networks, found.bindings) == ("", (), (), {})


@pytest.mark.parametrize(
    "document",
    [
        {"config": {"Labels": {"ocinet.net": "host"}}},
        {"config": {"LABELS": {"ocinet.net": "host"}}},
        '{"config":{"Labels":{"a":"b"},"labels":{"ocinet.net":"host"}}}',
        '{"config":{"Labels":{"ocinet.net":"host","ocinet.net":"lan"}}}',
    ],
)
def test_carried_pairs_are_found_however_they_are_spelled(docker: Docker, document: object) -> None:
    """Docker's parser takes keys in any case and joins repeated ones."""
    docker.image(document)
    found = find_docker(docker.config(), ID)
    assert found is not None
    carried = found.carried("")
    assert carried is not None
    assert ("ocinet.net", "host") in carried


@pytest.mark.parametrize(
    ("image", "driver"),
    [
        (f"sha256:{OTHER}", "overlay2"),
        ("busybox", "overlay2"),
        (f"sha256:{IMAGE}", "../../secret"),
        (f"sha256:../{IMAGE}", "overlay2"),
        ("", "overlay2"),
        (f"sha256:{IMAGE}", "overlayfs"),
    ],
)
def test_carried_of_an_image_that_is_elsewhere_is_unknown(
    docker: Docker, image: str, driver: str
) -> None:
    """It is not to be found, or the name is none: then nothing is known."""
    docker.image({"config": {}})
    for place in ("image/overlay2/imagedb/content", "../secret/imagedb/content/sha256"):
        (docker.root / place).mkdir(parents=True, exist_ok=True)
        (docker.root / place / IMAGE).write_text("{}")
    docker.write({**STATE, "Image": image, "Driver": driver})
    found = find_docker(docker.config(), ID)
    assert found is not None
    assert found.carried("") is None


def test_carried_of_a_broken_image_is_unknown(docker: Docker) -> None:
    """A config that is not JSON tells nothing, rather than that there is nothing."""
    docker.image('{"config": ')
    found = find_docker(docker.config(), ID)
    assert found is not None
    assert found.carried("") is None


MANIFEST = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
INDEX = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def in_containerd(docker: Docker, manifest: str, config: object) -> str:
    """Put an image into containerd's content store, and return a bundle that leads there."""
    containerd = docker.root.parent / "containerd"
    blobs = containerd / "io.containerd.content.v1.content/blobs/sha256"
    blobs.mkdir(parents=True)
    (blobs / MANIFEST).write_text(manifest)
    (blobs / IMAGE).write_text(json.dumps(config))
    (blobs / OTHER).write_text('{"config": {"Labels": {"other": "platform"}}}')
    bundle = docker.root.parent / "task/moby" / ID
    bundle.mkdir(parents=True)
    (bundle / "work").symlink_to(f"{containerd}/io.containerd.runtime.v2.task/moby/{ID}")
    docker.write({
        **STATE, "Image": f"sha256:{INDEX}", "Driver": "overlayfs",
        "ImageManifest": {"digest": f"sha256:{MANIFEST}", "size": 405},
    })  # fmt: skip
    return str(bundle)


def names(*digests: str) -> str:
    """Spell a manifest that names these configs, one after the other."""
    keys = ("config", "Config")
    configs = (
        f'"{key}": {{"digest": "sha256:{each}"}}' for key, each in zip(keys, digests, strict=False)
    )
    return f"{{{', '.join(configs)}}}"


def test_carried_of_an_image_in_containerd_is_its_manifests_config(docker: Docker) -> None:
    """Docker's `ImageManifest` is that of the platform which runs; `Image` may be an index."""
    bundle = in_containerd(docker, names(IMAGE), {"config": {"Labels": {"ocinet.net": "host"}}})
    found = find_docker(docker.config(), ID)
    assert found is not None
    assert found.carried(bundle) == frozenset({("ocinet.net", "host")})
    for elsewhere in ("", docker.root, bundle + "/work"):
        assert found.carried(str(elsewhere)) is None


@pytest.mark.parametrize(
    "manifest",
    [
        names(IMAGE, OTHER),  # Go takes the second, whatever its case
        names(INDEX),  # which is not there
        names(f"../sha256/{IMAGE}"),
        names(""),
        f'{{"config": {{"digest": "sha256:{IMAGE}", "dige\u017ft": "sha256:{OTHER}"}}}}',
        f'{{"manifests": [{{"digest": "sha256:{IMAGE}"}}]}}',
        '{"config": null}',
        "[]",
        "{",
    ],
)
def test_carried_of_a_manifest_that_leaves_doubt_is_unknown(docker: Docker, manifest: str) -> None:
    """What can't be decided is not guessed: a label could be the image's."""
    bundle = in_containerd(docker, manifest, {"config": {}})
    found = find_docker(docker.config(), ID)
    assert found is not None
    assert found.carried(bundle) is None


@pytest.mark.parametrize(
    ("config", "bundle", "is_one"),
    [
        ({}, f"/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/{ID}", True),
        ({}, f"/run/containerd/io.containerd.runtime.v2.task/plugins.moby/{ID}", True),
        ({"hooks": {"prestart": [SETKEY]}}, "/b", True),
        ({"mounts": [{"destination": "/etc/hosts", "source": f"/d/containers/{ID}/hosts"}]},
         "/b", True),
        ({}, f"/run/containerd/io.containerd.runtime.v2.task/default/{ID}", False),
        ({"hooks": {"prestart": [{"path": "/bin/true"}]}}, "/srv/moby", False),
        ({"mounts": [{"destination": "/data", "source": f"/d/containers/{ID}/hosts"}]}, "/", False),
    ],
)  # fmt: skip
def test_dockers_bundles_are_told_even_without_its_files(
    config: Json, bundle: str, is_one: bool
) -> None:
    """By its namespace in containerd, its hook, or the files that it mounts."""
    assert is_dockers(config, bundle) is is_one


@pytest.mark.parametrize("entry", [None, "x", {}, {"args": None}, {"args": ["setkey"]}])
def test_setkey_of_foreign_hook_is_false(entry: object) -> None:
    """Only Docker's own hook is taken out."""
    assert not is_setkey(entry)
    assert is_setkey(SETKEY)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*STATE, *HOST, "Labels", "a"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(_json, _json, _json)
def test_find_never_raises(tmp_path: Path, state: Any, host: Any, part: Any) -> None:
    """Whatever the files hold: a container, or none."""
    made = Docker(tmp_path / "docker")
    if isinstance(state, dict):
        state = {"ID": ID, "Config": part, **state}
    if isinstance(host, dict):
        host = {"NetworkMode": "none", "PortBindings": part, **host}
    made.write(state, host)
    found = find_docker({**made.config(), "mounts": part, "root": made.config()["root"]}, ID)
    assert found is None or isinstance(found, DockerContainer)
