"""The site's navigation is the index, and no page is without a way to it."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

_SITE = Path(__file__).parents[2] / "packaging/site/navigation.py"


def _navigation() -> Any:
    spec = spec_from_file_location("navigation", _SITE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sections_are_the_indexs_headings_and_what_is_new_stands_under_more() -> None:
    """A page stands where it is named first; a folder's pages go with its own."""
    one, two = "[b](b.md#x) [a](a.md)", "[a](a.md) [d](decisions/README.md)"
    index = f"# x\n[a](z.md)\n## One\n{one}\n## Two\n{two}\n"
    pages = ["a.md", "b.md", "decisions/0001-x.md", "decisions/README.md", "index.md", "new.md"]
    assert _navigation().navigation(index, pages) == [
        "index.md",
        {"One": ["b.md", "a.md"]},
        {"Two": [{"Decisions": ["decisions/README.md", "decisions/0001-x.md"]}]},
        {"More": ["new.md"]},
    ]


def test_every_page_is_in_the_navigation_once() -> None:
    """Of the pages that there are."""
    found: list[str] = []

    def walk(entry: Any) -> None:
        if isinstance(entry, str):
            found.append(entry)
        else:
            for below in entry.values() if isinstance(entry, dict) else entry:
                walk(below)

    walk(_navigation().on_config({})["nav"])
    docs = _SITE.parents[2] / "docs"
    assert sorted(found) == sorted(str(page.relative_to(docs)) for page in docs.rglob("*.md"))
