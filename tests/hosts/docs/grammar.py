"""Whether ocinet understands a command of a page, asked of its own parsers."""

from __future__ import annotations

import shlex
from importlib import import_module
from typing import TYPE_CHECKING

from ocinet.base.errors import OcinetError
from ocinet.cli.command_tree import Entry, resolve
from ocinet.cli.parser import HelpAsked, Parser

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENDS = ("&&", "||", "|", ";", "&", ">", ">>", "<", "(", ")")


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words behind each `ocinet` of a shell's text, less what else stands in its line."""
    for line in _lines(text):
        words: list[str] | None = None
        for word in line:
            if word in _ENDS:
                if words is not None:
                    yield words
                words = None
            elif words is not None:
                words.append(word)
            elif word == "ocinet":
                words = []
        if words is not None:
            yield words


def _lines(text: str) -> Iterator[list[str]]:
    """Yield the words of each line; one with a quote that is open goes on in the next."""
    line = ""
    for piece in text.replace("\\\n", " ").splitlines():
        line += piece
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>()")
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:
            line += " "
            continue
        yield words
        line = ""
    assert not line, f"a quote has no end: {line}"


def fault(words: list[str]) -> str:
    """Return what ocinet would say against a command's words; "" if it understands them."""
    try:
        entry, rest = resolve(words)
        if not isinstance(entry, Entry):
            return "" if rest else f"{words}: a group of commands"
        parser = Parser(entry.words, entry.summary)
        module = import_module(f"ocinet.cli.{entry.module}")
        module.COMMANDS[entry.words].configure(parser)
        parser.parse_args(rest)
    except HelpAsked:
        return ""
    except OcinetError as error:
        return f"{' '.join(words)}: {error.why}"
    return ""


def unknown_flags(words: list[str]) -> list[str]:
    """Return what of a command that is named in a sentence ocinet does not have."""
    entry, rest = None, words
    try:
        entry, rest = resolve(words)
    except OcinetError as error:
        return [error.why]
    if not isinstance(entry, Entry):
        return []
    parser = Parser(entry.words, entry.summary)
    import_module(f"ocinet.cli.{entry.module}").COMMANDS[entry.words].configure(parser)
    known = {name for action in parser._actions for name in action.option_strings}
    flags = (word.partition("=")[0] for word in rest if word.startswith("-") and word != "--")
    return [flag for flag in flags if flag not in known and flag.rstrip("…")]
