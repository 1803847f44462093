"""The papers name what there is: files, and each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_DECISIONS = sorted((_ROOT / "docs/decisions").glob("0*.md"))
_PAPERS = sorted((*_ROOT.glob("*.md"), *_ROOT.glob("docs/**/*.md")))
_FOLDERS = "base|bench|cli|docs|engine|hooks|ipam|packaging|request|tests|watcher"
_LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")
_FILE = re.compile(rf"`((?:{_FOLDERS})/[\w./-]*)`")
_NAMED = re.compile(r"`([\w/]+\.py)`\s\(((?:`\w+`(?:, )?)+)\)")
_PARTS = ("Context", "Decision", "Consequences", "Rests on", "Where")
_PLACEHOLDERS = {"tests/unit/test_x.py"}


def _name(path: Path) -> str:
    return str(path.relative_to(_ROOT))


@pytest.mark.parametrize("paper", _PAPERS, ids=_name)
def test_paper_leads_only_to_what_is_there(paper: Path) -> None:
    """Each relative link of a paper, and each file that it names, exists."""
    text = paper.read_text()
    links = {link for link in _LINK.findall(text) if "://" not in link}
    files = set(_FILE.findall(text)) - _PLACEHOLDERS
    missing = [link for link in links if not (paper.parent / link).exists()]
    missing += [file for file in files if not (_ROOT / file).exists()]
    assert missing == []


@pytest.mark.parametrize("decision", _DECISIONS, ids=_name)
def test_decision_has_its_five_parts(decision: Path) -> None:
    """A record of a decision is short, numbered, and says what it rests on."""
    text = decision.read_text()
    assert text.startswith(f"# {int(decision.name[:4])}. ")
    assert tuple(re.findall(r"^\*\*([\w ]+)\.\*\* ", text, re.MULTILINE)) == _PARTS
    assert 15 <= text.count("\n") <= 40


@pytest.mark.parametrize("decision", _DECISIONS, ids=_name)
def test_decision_names_what_its_files_define(decision: Path) -> None:
    """What stands in brackets behind a file is defined in that file."""
    for file, names in _NAMED.findall(decision.read_text()):
        text = (_ROOT / file).read_text()
        missing = [name for name in re.findall(r"\w+", names) if f"def {name}(" not in text]
        assert missing == [], file


def test_index_of_decisions_lists_each_by_its_title() -> None:
    """The index has one line for each record, in their order."""
    rows = [
        f"| [{int(decision.name[:4])}]({decision.name}) | {title} |"
        for decision in _DECISIONS
        for title in [decision.read_text().partition("\n")[0].partition(". ")[2]]
    ]
    index = (_ROOT / "docs/decisions/README.md").read_text().splitlines()
    assert [line for line in index if line.startswith("| [")] == rows
