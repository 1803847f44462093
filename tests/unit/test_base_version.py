"""The version, told wherever ocinet runs from."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

from ocinet.base.version import own_version
from ocinet.picture.values import Picture
from ocinet.watcher.bulletin import Bulletin
from ocinet.watcher.own_figures import OwnFigures
from ocinet.watcher.workers import Workers

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def _find_none(name: str) -> str:
    raise importlib.metadata.PackageNotFoundError(name)


def _raise(error: BaseException) -> None:
    raise error


def test_version_is_the_installed_ones() -> None:
    """As the package's metadata have it."""
    assert own_version() == importlib.metadata.version("ocinet")


def test_figures_are_told_from_sources_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is installed of it, then: that must not end the watcher."""
    monkeypatch.setattr(importlib.metadata, "version", _find_none)
    (tmp_path / "locks").mkdir()
    run_dir, workers = str(tmp_path), Workers(1, _raise)
    figures = OwnFigures(
        run_dir, lambda: Picture("", "host"), Bulletin(run_dir), workers, lambda: 0.0
    )
    assert 'ocinet_build_info{version="unknown",' in figures.text()
