"""What the docs show is run by a test or says why not, and all of it is known to ocinet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from hosts.docs.grammar import commands, fault, unknown_flags
from hosts.docs.page import ROOT, pages, parted, prints, read, scenes_of

if TYPE_CHECKING:
    from pathlib import Path

    from hosts.docs.page import Block

_INLINE = re.compile(r"`(ocinet\s[^`]+)`")


def _typed(page: Path) -> list[Block]:
    return [block for scene in scenes_of(page) for block in scene.blocks if not block.file]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_block_is_what_ocinet_understands(page: Path) -> None:
    """Each command has its arguments, run or not; what another test runs, it takes from here."""
    for block in _typed(page):
        faults = [found for words in commands(block.text) if (found := fault(words))]
        assert faults == [], block.place
        assert block.typed
        for test in block.said("run by"):
            assert f"docs/{page.name}" in (ROOT / test).read_text(), block.place


def test_blocks_that_nothing_runs_are_few_and_say_why() -> None:
    """Each has its reason in the page; run by no test are fewer than a fifth."""
    typed = [block for page in pages() for block in _typed(page)]
    assert all(said for block in typed for said in block.said("not run"))
    unrun = [block.place for block in typed if block.said("not run")]
    assert len(unrun) < len(typed) / 5, unrun


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_command_in_a_sentence_has_flags_that_there_are(page: Path) -> None:
    """A sentence may leave out arguments; its command and its flags are there."""
    for shown in _INLINE.findall(page.read_text()):
        for words in commands(" ".join(shown.split())):
            assert unknown_flags(words) == [], shown


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_shell_stands_in_blocks_that_are_read(page: Path) -> None:
    """No command hides in an indented block, in one without a language, or in one of another."""
    text = page.read_text()
    unfenced = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"^ {4,}ocinet .*", unfenced, re.MULTILINE) == []
    for kind, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        assert kind in ("", "sh", "text", "ini", "json", "toml", "yaml")
        assert kind == "sh" or not re.match(
            r"([#$] )?(ocinet [a-z]|podman run -|docker run -)", block
        )


_PAGE = """\
<!-- first: true -->
<!-- instead: b => c: it is so -->
```sh
a b
```

```text
1 …
```

<!-- machine: podman -->
```ini
# /etc/x
[a]
```

<!-- not run: never -->
```sh
d
```
"""


def test_page_is_read_as_it_stands() -> None:
    """Marks belong to the block behind them, output to the one before, files have names."""
    first, second = read(_PAGE, "page")
    (block,) = first.blocks
    assert (block.place, block.typed, block.shown) == ("page:3", "a c\n", "1 …\n")
    assert block.said("first") == ["true"]
    assert (second.parts, second.is_run) == (("podman",), False)
    assert [each.file for each in second.blocks] == ["/etc/x", ""]


@pytest.mark.parametrize(
    "text", ["<!-- frist: true -->\n", "<!-- first: true -->\n```yaml\na: b\n```\n"]
)
def test_mark_that_says_nothing_is_refused(text: str) -> None:
    """A typo does not make a block run otherwise, or not at all."""
    with pytest.raises(ValueError, match=r"comment stands|nobody understands"):
        read(text, "page")


def test_replacement_of_what_is_not_there_is_refused() -> None:
    """A page that has changed does not leave what took the place of something."""
    text = "<!-- instead: x => y: why -->\n```sh\na\n```\n"
    with pytest.raises(ValueError, match="is not there"):
        read(text, "page")[0].blocks[0].typed  # noqa: B018 - what is asked for is what is checked


@pytest.mark.parametrize(
    ("shown", "printed", "is_so"),
    [
        ("", "anything", True),
        ("b", "a\nb\n", False),
        ("…\nb", "a\nb\n", True),
        ("b", "ab\n", False),
        ("b", "b\nc\n", False),
        ("A   B\nx … z", "A B\nx  y     z\n", True),
        ("x … z", "x y\nz\n", False),
        ("a\n…\nd", "a\nb\nc\nd\n", True),
        ("a\n…\nd", "a\nb\nc\n", False),
        ("1.2", "1x2", False),
    ],
)
def test_output_is_what_is_shown(shown: str, printed: str, is_so: bool) -> None:
    """What differs from run to run is `…`, and blanks are as many as there are."""
    assert prints(shown, printed) is is_so


def test_last_command_is_parted_from_the_others() -> None:
    """With all of its lines."""
    assert parted("a\nb \\\n  c\n") == ("a", "b \\\n  c")
    assert parted("a\n") == ("", "a")


def test_comparison_has_no_figure_of_its_own() -> None:
    """Each ratio stands where it was measured, too: one that is measured again changes both."""
    docs = ROOT / "docs"
    told = re.findall(r"\b\d\.\d\d\b", (docs / "comparison.md").read_text())
    measured = (docs / "performance.md").read_text() + (docs / "runtime.md").read_text()
    assert len(told) > 10
    assert [figure for figure in told if figure not in measured] == []
