"""A file written by another mount than the one that it is read-only on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ocinet.engine.kernel.other_mounts import open_elsewhere

if TYPE_CHECKING:
    from pathlib import Path


def test_mount_that_has_gone_since_leads_nowhere(tmp_path: Path) -> None:
    """Its container ended between two looks, and mountinfo has no line of it."""
    file = tmp_path / "hosts"
    file.touch()
    fd = os.open(file, os.O_RDONLY)
    try:
        assert open_elsewhere(fd, b"") == -1
    finally:
        os.close(fd)
