"""podman's containers through the installed hooks: who is wired, and who must not be."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import TYPE_CHECKING

import pytest

from hosts.command import CommandFailed
from hosts.engine.hooked_podman import copied_over

if TYPE_CHECKING:
    from pathlib import Path

    from hosts.engine.podman import Podman
    from hosts.lab.machine import Lab

_INSTALL = """\
import sys
from ocinet.hooks.registration.installation import resolve
from ocinet.hooks.registration.hooks_dir import install
done = install(resolve({}), always="always" in sys.argv, environment={})
sys.exit("; ".join(done.warnings) or None)
"""
HOOKS_DIR = "/etc/containers/oci/hooks.d"


def _podman(lab: Lab, runtime: str = "crun", *words: str) -> Podman:
    """Return podman with the hooks installed."""
    podman = lab.podman(runtime)
    # Not by the directory that it is run in: beside the tree that would be the sources.
    lab.run(sys.executable, "-I", "-c", _INSTALL, *words)
    return podman


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_run_annotated_container_is_wired_under_its_name(lab: Lab, runtime: str) -> None:
    """The entrypoint finds eth0; `ip netns` shows podman's own name for the container."""
    podman = _podman(lab, runtime)

    container = podman.run("--name=shop", "--annotation=ocinet.net=bridge",
                           command=("sh", "-c", "ip -4 -o addr show eth0; sleep 1000"))  # fmt: skip

    assert container.namespace.addresses("eth0") == ["10.72.0.2/24"]
    assert "10.72.0.2/24" in podman("logs", container.id).stdout
    assert lab.run("ip", "netns", "list").stdout.split()[0] == "shop"
    assert lab.pings("10.72.0.2")
    container.remove()


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_run_unannotated_container_is_left_alone(lab: Lab, runtime: str) -> None:
    """Without our keys, and without --always, the hook is not even called."""
    podman = _podman(lab, runtime)
    container = podman.run()
    assert list(container.namespace.links()) == ["lo"]
    container.remove()
    assert lab.events() == []


def _pull(podman: Podman, directory: Path, annotations: str) -> str:
    """Make an image whose manifest has these members, and pull it."""
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True)

    def store(data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    kind = "application/vnd.oci.image"
    layer = store(podman.lab.rootfs.with_suffix(".tar").read_bytes())
    root = {"type": "layers", "diff_ids": [layer["digest"]]}
    config = store(json.dumps({"architecture": "amd64", "os": "linux", "rootfs": root}).encode())
    head = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.manifest.v1+json",
        "config": {"mediaType": f"{kind}.config.v1+json", **config},
        "layers": [{"mediaType": f"{kind}.layer.v1.tar", **layer}],
    }
    manifest = store(f"{json.dumps(head)[:-1]},{annotations}}}".encode())
    index = {"schemaVersion": 2, "manifests": [{"mediaType": head["mediaType"], **manifest}]}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return podman("pull", "--quiet", f"oci:{directory}").stdout.split()[-1]


@pytest.mark.parametrize(
    "annotations",
    [
        '"annotations":{"ocinet.publish":"22:22","ocinet.mtu":"576"}',
        '"Annotations":{"ocinet.publish":"22:22"}',
        '"annotations":{"ocinet.publish":"22:22"},"annotations":{"x":"y"}',
    ],
    ids=["plain", "other-case", "repeated"],
)
def test_run_image_that_asks_for_a_port_does_not_get_it(
    lab: Lab, tmp_path: Path, annotations: str
) -> None:
    """podman 4 copies an image's annotations, in any spelling; the hook goes by none of them."""
    podman = _podman(lab)
    image = _pull(podman, tmp_path / "oci", annotations)

    alone = podman("run", "--detach", "--network=none", image, "sleep", "1000").stdout.strip()
    key = "--annotation=ocinet.net=bridge"
    asked = podman("run", "--detach", "--network=none", key, image, "sleep", "1000").stdout.strip()

    dropped = [event for event in lab.events() if event["event"] == "image's keys ignored"]
    told_of = {alone, asked} if copied_over("ocinet.publish") else set()
    assert {event["container"] for event in dropped} == told_of
    assert all("ocinet.publish" in event["keys"] for event in dropped)
    shown = podman("inspect", "--format={{.State.Pid}}", alone, asked).stdout.split()
    first, second = (lab.enter(pid, int(pid)) for pid in shown)
    assert list(first.links()) == ["lo"]
    assert second.addresses("eth0") == ["10.72.0.2/24"]
    assert lab.run("sh", "-c", "ls /run/ocinet/ports 2>/dev/null || true").stdout.split() == []
    podman.remove(alone, asked)


def test_run_user_who_asks_more_than_the_image_gets_it(lab: Lab, tmp_path: Path) -> None:
    """The user's own value of the same key is honoured."""
    podman = _podman(lab)
    image = _pull(podman, tmp_path / "oci", '"annotations":{"ocinet.publish":"22:22"}')

    container = podman(
        "run", "--detach", "--network=none", "--annotation=ocinet.publish=2222:22", image,
        "sleep", "1000",
    ).stdout.strip()  # fmt: skip

    assert "tcp-2176-2303" in lab.run("ls", "/run/ocinet/ports").stdout.split()
    podman.remove(container)


def test_run_with_typo_fails_and_leaves_nothing(lab: Lab) -> None:
    """A key that is not known stops the container; crun hides the line, the event log has it."""
    podman = _podman(lab)

    with pytest.raises(CommandFailed):
        podman.run("--name=shop", "--annotation=ocinet.pubish=80:80")

    [event] = lab.events()
    assert "cannot attach shop: annotation 'ocinet.pubish'" in event["error"]
    assert "did you mean publish?" in event["error"]
    podman.remove("shop")


def test_run_of_runc_shows_the_line(lab: Lab) -> None:
    """runc repeats the hook's stderr, so podman's user reads the reason."""
    podman = _podman(lab, "runc")
    with pytest.raises(CommandFailed, match=r"attach shop: ocinet\.mtu: '7' is no MTU"):
        podman.run("--name=shop", "--annotation=ocinet.mtu=7")
    podman.remove("shop")


def test_always_wires_private_sandboxes_alone(lab: Lab) -> None:
    """Everyone without a network gets one; host, joined and refusing containers do not."""
    podman = _podman(lab, "crun", "always")

    plain = podman.run("--name=plain")
    refusing = podman.run("--annotation=ocinet.net=none")
    joined = podman.run(network="container:plain")
    host = podman.run(network="host")

    assert plain.namespace.addresses("eth0") == ["10.72.0.2/24"]
    assert list(refusing.namespace.links()) == ["lo"]
    assert joined.namespace.sandbox == plain.namespace.sandbox
    attached = {event["container"] for event in lab.events() if event["event"] == "attached"}
    assert attached == {plain.id, refusing.id}
    podman.remove(joined.id)
    podman.remove(host.id, plain.id, refusing.id)


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_always_leaves_build_steps_alone(lab: Lab, tmp_path: Path, runtime: str) -> None:
    """A RUN step is a container of the runtime as well; it is none of ours."""
    podman = _podman(lab, runtime, "always")
    (tmp_path / "Containerfile").write_text("FROM busybox\nRUN ls /sys/class/net; echo step\n")

    built = podman(
        "build", "--network=none", f"--hooks-dir={HOOKS_DIR}", "--no-cache",
        "--ulimit=nofile=1024:1024", f"--cgroup-parent={lab.cgroup}", str(tmp_path),
    )  # fmt: skip

    assert "step" in built.stdout
    assert lab.events() == []


def test_restart_by_policy_is_wired_again(lab: Lab) -> None:
    """The drop-in makes podman's own restarts run the hook: one attach for each start."""
    podman = _podman(lab)

    container = podman.run(
        "--restart=on-failure:2", "--annotation=ocinet.net=bridge",
        command=("sh", "-c", "ip -4 -o addr show eth0; exit 3"),
    )  # fmt: skip
    podman("wait", container.id)
    podman("wait", container.id, check=False)

    for _ in range(50):
        attached = [event for event in lab.events() if event["event"] == "attached"]
        if len(attached) == 3:
            break
        lab.run("sleep", "0.1")
    assert len(attached) == 3
    assert podman("logs", container.id).stdout.count("inet 10.72.0.") == 3
    container.remove()
