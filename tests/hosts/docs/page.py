"""Reads a page: its commands in order, the files that it has one write, what it says is printed.

A block of `sh` is typed; a block of `text` right behind it is what its last command prints; one
whose first line is `# NAME` is a file of that name. HTML comments, which no reader sees, stand
before a block and say how it is typed:

    <!-- machine: docker watcher -->        from here on a new machine, with these on it
    <!-- first: COMMANDS -->                typed before, unseen
    <!-- instead: OLD => NEW: REASON -->    NEW is typed for OLD, as it is in the block
    <!-- after each: COMMANDS -->           its lines are alternatives: this takes each one back
    <!-- fails -->                          it ends with another status than 0
    <!-- soon -->                           it is typed again until it prints that, for 10 s
    <!-- not run: REASON -->                nothing of it can be typed in a namespace
    <!-- run by: tests/FILE.py -->          another test takes it from this page and runs it
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
_UNIT = re.compile(
    r"^<!-- (?P<verb>[a-z ]+?)(?::\s+(?P<said>.*?))?\s+-->$"
    r"|^```(?P<kind>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_NAME = re.compile(r"# (\S+)\n")
_VERBS = ("machine", "first", "instead", "after each", "fails", "soon", "not run", "run by")
_FILES = ("ini", "json", "toml", "yaml")


@dataclass(frozen=True)
class Block:
    """What is typed at one place of a page.

    Attributes:
        place: as `docs/start.md:12`.
        text: the commands, as they stand there; of a file its content.
        file: its name, if the block is a file.
        marks: what the comments before it say, by their verbs, in their order.
        shown: what its last command prints; "" if the page does not say.
    """

    place: str
    text: str
    file: str = ""
    marks: tuple[tuple[str, str], ...] = ()
    shown: str = ""

    def said(self, verb: str) -> list[str]:
        """Return what all marks of a verb say; "" for one that says nothing more."""
        return [said for mark, said in self.marks if mark == verb]

    @property
    def unrun(self) -> str:
        """Why it is not run here; "" if it is."""
        return "".join((*self.said("not run"), *self.said("run by")))

    @property
    def typed(self) -> str:
        """The commands as they are typed into a machine.

        Raises:
            ValueError: what `instead` takes the place of is not in there.
        """
        text = self.text
        for said in self.said("instead"):
            old, _, rest = said.partition(" => ")
            new, colon, reason = rest.rpartition(": ")
            if old not in text or not colon or not reason:
                raise ValueError(f"{self.place}: {old!r} is not there, or without a reason")
            text = text.replace(old, new)
        return text


@dataclass(frozen=True)
class Scene:
    """Blocks of a page that are typed one after the other into one machine.

    Attributes:
        name: as `docs/start.md:12`, where it begins.
        parts: what is on that machine.
        blocks: in the page's order.
    """

    name: str
    parts: tuple[str, ...]
    blocks: list[Block] = field(default_factory=list)

    @property
    def is_run(self) -> bool:
        """Whether anything of it is typed."""
        return any(not block.file and not block.unrun for block in self.blocks)


def pages() -> list[Path]:
    """Return every page that a reader may type from."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def scenes_of(page: Path) -> list[Scene]:
    """Read a page.

    Raises:
        ValueError: a comment is none of those that are known.
    """
    return read(page.read_text(), str(page.relative_to(ROOT)))


def read(text: str, name: str) -> list[Scene]:
    """Read the text of a page of this name; see `scenes_of`."""
    scenes = [Scene(f"{name}:1", ())]
    marks: list[tuple[str, str]] = []
    end = 0
    for unit in _UNIT.finditer(text):
        place = f"{name}:{text.count(chr(10), 0, unit.start()) + 1}"
        if unit["verb"] is not None:
            if unit["verb"] not in _VERBS:
                raise ValueError(f"{place}: nobody understands <!-- {unit['verb']} -->")
            if unit["verb"] == "machine":
                scenes.append(Scene(place, tuple((unit["said"] or "").split())))
            else:
                marks.append((unit["verb"], unit["said"] or ""))
            continue
        blocks = scenes[-1].blocks
        named = _NAME.match(unit["text"]) if unit["kind"] in _FILES else None
        if unit["kind"] == "sh":
            blocks.append(Block(place, unit["text"], "", tuple(marks)))
        elif named:
            blocks.append(Block(place, unit["text"], named[1], tuple(marks)))
        elif unit["kind"] == "text" and blocks and not text[end : unit.start()].strip():
            last = blocks[-1]
            blocks[-1] = Block(last.place, last.text, last.file, last.marks, unit["text"])
        if unit["kind"] != "sh" and marks and not named:
            raise ValueError(f"{place}: a comment stands before what is not typed")
        marks.clear()
        end = unit.end()
    return scenes


def parted(text: str) -> tuple[str, str]:
    """Part a block's commands into all but the last, and the last."""
    lines = text.rstrip("\n").split("\n")
    start = len(lines) - 1
    while start and lines[start - 1].endswith("\\"):
        start -= 1
    return "\n".join(lines[:start]), "\n".join(lines[start:])


def prints(shown: str, printed: str) -> bool:
    """Tell whether a command's output is what a page shows.

    In there `…` stands for anything within a line, and a line of it for any lines; blanks
    are as many as there are, for a table's columns are as wide as what is in them.
    """
    if not shown:
        return True
    pattern = []
    for line in shown.strip().splitlines():
        if line.strip() == "…":
            pattern.append(r"(?:[^\n]*\n)*?")
            continue
        words = re.split(r"(…|\s+)", line.strip())
        pattern.append("[ \t]*" + "".join(map(_matching, words)) + r"[ \t]*(?:\n|\Z)")
    return re.fullmatch(rf"\s*{''.join(pattern)}\s*", printed) is not None


def _matching(word: str) -> str:
    if word == "…":
        return r"[^\n]*?"
    return r"[ \t]+" if word.isspace() else re.escape(word)
