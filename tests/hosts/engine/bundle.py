"""The busybox root file system, and OCI bundles that use it.

One read-only rootfs serves every container of a session; a bundle is then
just a directory with a `config.json`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hosts.requirements import SEARCH_PATH, require

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Config = dict[str, Any]
SLEEP = ("sleep", "1000")
_DIRECTORIES = ("bin", "dev", "etc", "mnt", "proc", "root", "run", "sys", "tmp", "var")
_ETC = {
    "group": "root:x:0:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "passwd": "root:x:0:0:root:/root:/bin/sh\n",
}
# What `runc spec` gives, less the cgroup mount (slow, and not the tests' matter).
_UNWANTED_MOUNTS = ("/sys/fs/cgroup",)


def build_rootfs(directory: Path) -> Path:
    """Make a root file system of busybox alone, and a tar file of it.

    Returns:
        `directory/rootfs`; the tar file is `directory/rootfs.tar`.
    """
    require("busybox", "runc")
    busybox = shutil.which("busybox", path=SEARCH_PATH)
    assert busybox is not None
    rootfs = directory / "rootfs"
    for name in _DIRECTORIES:
        (rootfs / name).mkdir(parents=True)
    for name, content in _ETC.items():
        (rootfs / "etc" / name).write_text(content)
    shutil.copy(busybox, rootfs / "bin/busybox")
    listed = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True)
    for applet in listed.stdout.split():
        if applet != "busybox":
            (rootfs / "bin" / applet).symlink_to("busybox")
    with tarfile.open(directory / "rootfs.tar", "w") as archive:
        archive.add(rootfs, ".")
    return rootfs


def default_config() -> Config:
    """Return the `config.json` that `runc spec` writes."""
    require("runc")
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(
            ["runc", "spec"], cwd=directory, check=True, env={"PATH": SEARCH_PATH}
        )  # fmt: skip
        config: Config = json.loads(Path(directory, "config.json").read_text())
    return config


class Bundle:
    """A directory that a runtime can make a container of.

    Attributes:
        path: the directory; the same in the lab and outside.
        id: the container id that the bundle is meant for.
    """

    def __init__(self, path: Path, container_id: str, config: Config) -> None:
        self.path = path
        self.id = container_id
        path.mkdir(parents=True)
        self._write(config)

    @property
    def config(self) -> Config:
        """What `config.json` says now."""
        config: Config = json.loads((self.path / "config.json").read_text())
        return config

    def edit(self, change: Callable[[Config], object]) -> None:
        """Change `config.json` in place: `bundle.edit(lambda config: …)`."""
        config = self.config
        change(config)
        self._write(config)

    def annotate(self, **annotations: str) -> None:
        """Add annotations; in the keys, `_` stands for `.`: `ocinet_net="lan"`."""
        named = {key.replace("_", "."): value for key, value in annotations.items()}
        self.edit(lambda config: config.setdefault("annotations", {}).update(named))

    def _write(self, config: Config) -> None:
        (self.path / "config.json").write_text(json.dumps(config, indent=2))


def bundle_config(
    default: Config,
    *,
    rootfs: Path,
    cgroup: str,
    args: Sequence[str],
    annotations: Mapping[str, str],
    network: str | None,
) -> Config:
    """Return the config of one container.

    Args:
        default: what `runc spec` gives.
        rootfs: absolute path, shared and read-only.
        cgroup: the container's cgroup in every hierarchy.
        args: the entrypoint and its arguments.
        annotations: as they shall stand there.
        network: "" for a new namespace, None for the host's, else a path.
    """
    config: Config = json.loads(json.dumps(default))
    config["process"].update(terminal=False, args=list(args))
    for capabilities in config["process"]["capabilities"].values():
        capabilities.append("CAP_NET_RAW")
    config["root"] = {"path": str(rootfs), "readonly": True}
    config["mounts"] = [
        mount for mount in config["mounts"] if mount["destination"] not in _UNWANTED_MOUNTS
    ] + [{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}]
    if annotations:
        config["annotations"] = dict(annotations)
    linux = config["linux"]
    linux["cgroupsPath"] = cgroup
    linux["namespaces"] = [each for each in linux["namespaces"] if each["type"] != "network"]
    if network is not None:
        entry = {"type": "network"} | ({"path": network} if network else {})
        linux["namespaces"].append(entry)
    return config
