"""The watcher's unit under a real systemd."""

from __future__ import annotations

from vm.guest.machine import UNIT, Container, active, journal, run, unanswered, wait_until


def test_unit_is_active_once_the_watcher_is_ready() -> None:
    """`systemctl start` returns when the watcher has said that it is ready."""
    assert active(UNIT)
    assert '"watcher ready"' in journal(UNIT)
    assert "watching /run/docker.sock" in run("systemctl", "show", "-P", "StatusText", UNIT)


def test_container_gets_its_network_and_ports(pair: tuple[Container, Container]) -> None:
    """A Docker container is reached by the host, its peers and the neighbour, and reaches out."""
    assert unanswered(*pair, 8080) == []


def test_podman_container_is_wired_by_the_hook() -> None:
    """podman run with an ocinet annotation, under crun and cgroup v2."""
    pod = Container.start("podman", "pod", "--annotation", "ocinet.publish=8081:80")
    other = Container.start("podman", "pod2", "--annotation", "ocinet.net=bridge")
    assert unanswered(pod, other, 8081) == []
    pod.remove()
    other.remove()


def test_reload_reads_the_settings_and_the_unit_stays(pair: tuple[Container, Container]) -> None:
    """`systemctl reload` has the watcher say that it read its settings, by the same process."""
    process = run("systemctl", "show", "-P", "MainPID", UNIT)
    before = journal(UNIT).count('"settings read"')
    run("systemctl", "reload", UNIT)
    wait_until(lambda: journal(UNIT).count('"settings read"') > before, "the settings are read")
    assert run("systemctl", "show", "-P", "MainPID", UNIT) == process
    assert unanswered(*pair, 8080) == []


def test_stop_leaves_containers_reachable(pair: tuple[Container, Container]) -> None:
    """With the unit stopped nothing of a container's network changes."""
    run("systemctl", "stop", UNIT)
    assert unanswered(*pair, 8080) == []
    run("systemctl", "start", UNIT)
    assert unanswered(*pair, 8080) == []


def test_killed_watcher_comes_back_by_itself(pair: tuple[Container, Container]) -> None:
    """kill -9 of the watcher: systemd starts it anew, containers notice nothing."""
    process = run("systemctl", "show", "-P", "MainPID", UNIT).strip()
    run("kill", "-9", process)
    assert unanswered(*pair, 8080) == []
    wait_until(lambda: active(UNIT), "the unit is active again")
    assert run("systemctl", "show", "-P", "MainPID", UNIT).strip() != process
