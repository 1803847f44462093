"""Of which version this is."""

from __future__ import annotations


def own_version() -> str:
    """Return ocinet's version, or "unknown" where it runs from its sources."""
    from importlib.metadata import PackageNotFoundError, version  # ms, for who asks alone

    try:
        return version("ocinet")
    except PackageNotFoundError:
        return "unknown"
