"""What the third boot finds in /run is put away, and put there before anything of ours starts."""

from __future__ import annotations

from pathlib import Path

from vm.guest.machine import HOST, OLD_RUN, OUTSIDE, Container, ask, run

_UNIT = f"""
[Unit]
After=systemd-tmpfiles-setup.service
Before=docker.service podman-restart.service quadlet.service ocinet-watcher.service
[Service]
Type=oneshot
ExecStart=cp -a {OLD_RUN}/. /run/ocinet
[Install]
WantedBy=multi-user.target
"""


def test_container_that_no_reboot_brings_back_is_reached() -> None:
    """One without a restart policy answers; what is on record of it, and of the others, is kept."""
    Container.start("docker", "gone", "-p", "8092:80").address()
    assert ask(OUTSIDE, HOST, 8092) == "gone"
    run("cp", "-a", "/run/ocinet", OLD_RUN)
    Path("/etc/systemd/system/lab-old-run.service").write_text(_UNIT)
    run("systemctl", "enable", "lab-old-run")
