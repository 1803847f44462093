"""What the docs show is typed, page by page, and prints what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hosts.docs.page import pages, scenes_of
from hosts.docs.reader import type_scene
from hosts.lab.machine import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hosts.docs.page import Scene
    from hosts.engine.bundle import Config

_SCENES = [scene for page in pages() for scene in scenes_of(page) if scene.is_run]


@pytest.fixture
def lab(
    tmp_path: Path, rootfs: Path, runc_config: Config, machine_unchanged: None
) -> Iterator[Lab]:
    """A private machine; unlike others' it may end with all that a page has made."""
    with Lab(tmp_path, rootfs, runc_config) as made:
        yield made


@pytest.mark.timeout(180)  # a page has many commands, and each may wait for an engine
@pytest.mark.parametrize("scene", _SCENES, ids=lambda scene: scene.name)
def test_page_does_what_it_shows(lab: Lab, scene: Scene) -> None:
    """Each command of the page succeeds in its order, and prints what stands behind it."""
    type_scene(lab, scene)
