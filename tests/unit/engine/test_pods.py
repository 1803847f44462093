"""Who keeps a sandbox that is given by its path."""

from __future__ import annotations

import os

import pytest

from ocinet.engine.pods import holder_of, id_in

_POD, _INFRA, _OTHER = "4f" * 32, "75" * 32, "a9" * 32


@pytest.mark.parametrize(
    "cgroups",
    [
        f"9:name=systemd:/libpod_parent/{_POD}/libpod-{_INFRA}\n8:pids:/libpod_parent\n0::/\n",
        f"0::/machine.slice/machine-libpod_pod_{_POD}.slice/libpod-{_INFRA}.scope/container\n",
        f"1:cpu:/\n0::/system.slice/shop-pod.service/libpod-payload-{_INFRA}\n",
        f"0::/kubepods.slice/kubepods-pod4f.slice/crio-{_INFRA}.scope/container\n",
        f"0::/libpod_parent/{_POD}/libpod-{_INFRA}\n",
    ],
)
def test_id_in_cgroups_of_podman_is_the_containers_and_not_the_pods(cgroups: str) -> None:
    """With either manager, either version of cgroups, and --cgroups=split."""
    assert id_in(cgroups) == _INFRA


@pytest.mark.parametrize("nested", [_OTHER, f"libpod-{_OTHER}", f"libpod-{_OTHER}.scope/x"])
def test_id_in_cgroups_is_none_that_the_container_has_made_below_its_own(nested: str) -> None:
    """It would be taken for that other one, whose sandbox is then thought to have gone."""
    scope = f"machine.slice/libpod-{_INFRA}.scope"
    assert id_in(f"0::/{scope}/{nested}\n") == _INFRA


@pytest.mark.parametrize(
    "cgroups",
    [
        "",
        "0::/\n",
        f"0::/libpod-{_POD[:-1]}\n",
        "0::/user.slice\n",
        f"0::/machine.slice/libpod-conmon-{_INFRA}.scope\n",
    ],
)
def test_id_in_cgroups_of_others_is_none(cgroups: str) -> None:
    """Nothing that only resembles an id is taken for one."""
    assert id_in(cgroups) == ""


def test_holder_of_a_sandbox_is_the_process_that_its_path_names() -> None:
    """One without a container's cgroup is known by its number."""
    pid = os.getpid()
    holder = holder_of(f"/proc/{pid}/ns/net")
    assert holder is not None
    assert holder.process is not None
    assert holder.process.pid == pid
    assert holder.name.startswith("pod-")


@pytest.mark.parametrize("path", ["/run/netns/cni-1", "/proc/self/ns/net", "/proc/0/ns/net"])
def test_holder_of_a_sandbox_elsewhere_is_not_known(path: str) -> None:
    """Pinned sandboxes have no process, and nobody has these."""
    assert holder_of(path) is None
