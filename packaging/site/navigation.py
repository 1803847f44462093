"""What mkdocs asks while it makes the site: its navigation, and links out of docs/.

The navigation is docs/index.md: a heading there is a section, the pages below it are in it in
their order, each where it is named first. A page that is not named there yet stands at the end,
under "More", so no page is ever without a way to it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_DOCS = Path(__file__).parents[2] / "docs"
_PAGE = re.compile(r"\]\(([\w./-]+\.md)(?:#[^)]*)?\)")
_OUTSIDE = re.compile(r"\[([^\]]+)\]\((\.\./[^)#\s]+)\)")
_DECISIONS = "decisions/README.md"


def navigation(index: str, pages: list[str]) -> list[dict[str, Any] | str]:
    """Return the site's navigation.

    Args:
        index: the text of docs/index.md.
        pages: all pages, as paths below docs/.
    """
    seen = {"index.md"}
    found: list[dict[str, Any] | str] = ["index.md"]
    for part in re.split(r"^## ", index, flags=re.MULTILINE)[1:]:
        named = [page for page in dict.fromkeys(_PAGE.findall(part)) if page not in seen]
        seen.update(named)
        if named:
            found.append(
                {part.partition("\n")[0]: [_with_its_folder(page, pages) for page in named]}
            )
    seen.update(page for page in pages if page.startswith("decisions/"))
    more = [page for page in pages if page not in seen]
    return [*found, {"More": more}] if more else found


def _with_its_folder(page: str, pages: list[str]) -> dict[str, list[str]] | str:
    if page != _DECISIONS:
        return page
    return {"Decisions": [page, *(name for name in pages if name.startswith("decisions/0"))]}


def on_config(config: Any) -> Any:
    """Give mkdocs its navigation."""
    pages = sorted(str(page.relative_to(_DOCS)) for page in _DOCS.rglob("*.md"))
    config["nav"] = navigation((_DOCS / "index.md").read_text(), pages)
    return config


def on_page_markdown(markdown: str, page: Any, **_rest: Any) -> str:
    """Leave the words of a link to a file of the tree, which the site has not got.

    One that leads nowhere stays, and mkdocs refuses it.
    """
    folder = Path(page.file.abs_src_path).parent

    def replaced(link: re.Match[str]) -> str:
        target = (folder / link[2]).resolve()
        is_of_the_tree = target.exists() and not target.is_relative_to(_DOCS.resolve())
        return link[1] if is_of_the_tree else link[0]

    return _OUTSIDE.sub(replaced, markdown)
