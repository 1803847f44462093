#!/usr/bin/env python3
"""Writes, for `make generated`, what says the same as the code: completions, the settings file.

    packaging/completion/ocinet.bash, _ocinet, ocinet.fish     from the command's own parsers
    packaging/ocinet.toml                                      from the settings' definition

They are kept with the sources, so that a package needs no more than files; a test holds that
they are what comes out.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from ocinet.cli.command_tree import ALIASES, ENTRIES, GROUPS
from ocinet.cli.parser import Parser
from ocinet.engine.model.settings import Settings

HERE = Path(__file__).parent
# What stands for a value, and how the shell finds one; anything else is the user's own.
_NETWORKS, _CONTAINERS, _FILES, _DIRECTORIES = "networks", "containers", "files", "directories"
_LINKS = "links"
_KINDS = {
    "NETWORK": _NETWORKS, "NET": _NETWORKS, "CONTAINER": _CONTAINERS, "TARGET": _CONTAINERS,
    "LINK": _LINKS, "A": _CONTAINERS, "B": _CONTAINERS,
    "FILE": _FILES, "PATH": _FILES, "DIR": _DIRECTORIES, "BUNDLE": _DIRECTORIES,
}  # fmt: skip
_HIDDEN = ("hook",)  # runtimes call it


class Value(NamedTuple):
    """What may stand somewhere.

    Attributes:
        kind: networks, links, containers, files, directories, or "".
        words: or these.
    """

    kind: str = ""
    words: tuple[str, ...] = ()


class Flag(NamedTuple):
    """A flag: its names, its help, what follows it (None: nothing)."""

    names: tuple[str, ...]
    says: str
    value: Value | None


class Shape(NamedTuple):
    """A command: its words, its line of help, its flags, what it is about."""

    words: str
    summary: str
    flags: tuple[Flag, ...]
    about: Value


def shapes() -> list[Shape]:
    """Return all commands, as their parsers have them."""
    return [_shape(entry.words, entry.module, entry.summary) for entry in ENTRIES
            if entry.words not in _HIDDEN]  # fmt: skip


def _shape(words: str, module: str, summary: str) -> Shape:
    parser = Parser(words, summary)
    import_module(f"ocinet.cli.{module}").COMMANDS[words].configure(parser)
    flags, about = [], Value()
    for action in parser._actions:  # noqa: SLF001  # argparse has no other way to ask
        if action.help == argparse.SUPPRESS:
            continue
        takes = action.nargs != 0
        if action.option_strings:
            value = _value(action) if takes else None
            says = str(action.help or "").partition(" (default")[0].partition(";")[0]
            flags.append(Flag(tuple(action.option_strings), says, value))
        elif about == Value():
            about = _value(action)
    return Shape(words, summary, tuple(flags), about)


def _value(action: argparse.Action) -> Value:
    if action.choices:
        return Value(words=tuple(map(str, action.choices)))
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    names = re.findall(r"[A-Z]+", metavar)
    return Value(next((_KINDS[name] for name in names if name in _KINDS), ""))


def _below(group: str) -> list[tuple[str, str]]:
    """Return the words that may follow a group, "" for the first ones, each with its help."""
    prefix = f"{group} " if group else ""
    listed = {**GROUPS, **{entry.words: entry.summary for entry in ENTRIES}}
    found = {}
    for entry in ENTRIES:
        if entry.words.startswith(prefix) and entry.words not in _HIDDEN:
            word = entry.words[len(prefix) :].partition(" ")[0]
            found[word] = listed[f"{prefix}{word}"]
    if not group:
        found["help"] = "Show the help of a command"
    return list(found.items())


# Who is meant by a name is known to ocinet and to engines, as `attach` has it (see
# `cli/engine_names.py`). All are asked at once, and none for more than a second: one may hang.
# Whole ids are of those that podman has, by name. No single quote: it stands between such.
_ASK_ALL = """\
sh -c 'for ask in "ocinet ps --all --format {{.Names}}" "docker ps --format {{.Names}}" \
"podman ps --format {{.Names}}" "runc list -q" "crun list -q"; do
        command -v "${ask%% *}" > /dev/null && timeout -s KILL 1 $ask &
    done; wait' 2> /dev/null | grep -Evx '[0-9a-f]{64}' | sort -u"""

_BASH = """\
# bash completion for ocinet. Written by `make generated`, from the command's own parsers.

_ocinet_values() {
    case $1 in
    networks) timeout -s KILL 1 ocinet network ls -q 2> /dev/null ;;
    links) timeout -s KILL 1 ocinet link ls -q 2> /dev/null ;;
    containers)
        @CONTAINERS@
        echo 'pid: netns:'
        ;;
    esac
}

_ocinet() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} words='' flags='' about='' value=none more=''
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "@TOP@" -- "$word")
        return
    fi
    case $command in
@ALIASES@    esac
    case $command in
@GROUPS@    esac
    if [ -n "$words" ]; then
        if [ "$COMP_CWORD" -eq 2 ]; then
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
            return
        fi
        command="$command ${COMP_WORDS[2]}"
    fi
    if [ "$COMP_CWORD" -gt 2 ]; then
        case "$command ${COMP_WORDS[2]}" in
@LONGER@        esac
    fi
    case $command in
@COMMANDS@    esac
    case $command/$before in
@VALUES@    esac
    [ "$value" != none ] || value=$about
    [ "$COMP_CWORD" -ne 2 ] || case $command in
@MORE@    esac
    case $word in
    -*) mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$word") ;;
    *)
        case $value in
        files) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        directories) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
        =*) mapfile -t COMPREPLY < <(compgen -W "${value#=}" -- "$word") ;;
        ?*) mapfile -t COMPREPLY < <(compgen -W "$more$(_ocinet_values "$value")" -- "$word") ;;
        esac
        ;;
    esac
}

complete -o filenames -F _ocinet ocinet
"""


def bash() -> str:
    """Return bash's completion."""
    commands, values = "", ""
    for shape in shapes():
        flags = " ".join(name for flag in shape.flags for name in flag.names)
        commands += (
            f"    {_quoted(shape.words)}) flags='{flags}' about='{_spelled(shape.about)}' ;;\n"
        )
        for flag in shape.flags:
            if flag.value is not None:
                patterns = " | ".join(f"{_quoted(shape.words)}/{name}" for name in flag.names)
                values += f"    {patterns}) value='{_spelled(flag.value)}' ;;\n"
    groups = "".join(
        f"    {group}) words='{' '.join(word for word, _ in _below(group))}' ;;\n"
        for group in GROUPS
    )
    text = _BASH.replace("@TOP@", " ".join(word for word, _ in _below("")))
    text = text.replace("@CONTAINERS@", _ASK_ALL)
    longer = "".join(f"        {_quoted(words)}) command='{words}' ;;\n" for words, _ in _longer())
    more = "".join("    {}) more='{} ' ;;\n".format(*words.split()) for words, _ in _longer())
    for mark, lines in (("@ALIASES@", _aliases()), ("@GROUPS@", groups), ("@COMMANDS@", commands),
                        ("@VALUES@", values), ("@LONGER@", longer),
                        ("@MORE@", more)):  # fmt: skip
        text = text.replace(mark, lines)
    return text


def _longer() -> list[tuple[str, str]]:
    """Return the commands that begin as another one, as `plan link`, each with its help."""
    whole = {entry.words for entry in ENTRIES}
    return [(entry.words, entry.summary) for entry in ENTRIES
            if entry.words.partition(" ")[0] in whole - {entry.words}]  # fmt: skip


def _aliases() -> str:
    """Return the branches of a `case` that make first words of what stands for them."""
    return "".join(
        f"    {alias}) command={words} ;;\n" for alias, words in ALIASES.items() if " " not in alias
    )


def _spelled(value: Value) -> str:
    return "=" + " ".join(value.words) if value.words else value.kind


def _quoted(words: str) -> str:
    return words.replace(" ", "\\ ")


_ZSH = """\
#compdef ocinet
# zsh completion for ocinet. Written by `make generated`, from the command's own parsers.

_ocinet_networks() {
    local -a found=(${(f)"$(timeout -s KILL 1 ocinet network ls -q 2> /dev/null)"})
    compadd -a found
}

_ocinet_links() {
    local -a found=(${(f)"$(timeout -s KILL 1 ocinet link ls -q 2> /dev/null)"})
    compadd -a found
}

_ocinet_containers() {
    local -a found=(${(f)"$(
        @CONTAINERS@
    )"})
    compadd -a found
    compadd -S '' pid: netns:
}

_ocinet() {
    local -a words_below
    local command=${words[2]}
    if (( CURRENT == 2 )); then
        words_below=(@TOP@)
        _describe command words_below
        return
    fi
    case $command in
@ALIASES@    esac
    case $command in
@GROUPS@    esac
    if (( $#words_below )); then
        if (( CURRENT == 3 )); then
            _describe command words_below
            return
        fi
        command="$command ${words[3]}"
        shift words
        (( CURRENT-- ))
    fi
    case "$command ${words[3]}" in
@LONGER@    esac
    shift words
    (( CURRENT-- ))
    case $command in
@COMMANDS@    esac
}

_ocinet "$@"
"""
_ZSH_ACTIONS = {_NETWORKS: "_ocinet_networks", _LINKS: "_ocinet_links",
                _CONTAINERS: "_ocinet_containers", _FILES: "_files",
                _DIRECTORIES: "_files -/"}  # fmt: skip


def zsh() -> str:
    """Return zsh's completion."""
    commands = ""
    for shape in shapes():
        arguments = [
            _single(f"*{name}[{_bracketed(flag.says)}]{_zsh_value(flag.value)}")
            for flag in shape.flags
            for name in flag.names
        ]
        if shape.about != Value():
            arguments.append(_single(f"*{_zsh_value(shape.about)}"))
        listed = "".join(f" \\\n            {argument}" for argument in arguments)
        commands += f"    {_single(shape.words)}) _arguments{listed} ;;\n"
    groups = "".join(f"    {group}) words_below=({_described(group)}) ;;\n" for group in GROUPS)
    text = _ZSH.replace("@TOP@", _described("")).replace("@CONTAINERS@", _ASK_ALL)
    text = text.replace("@ALIASES@", _aliases())
    longer = ""
    for words, says in _longer():
        first, second = words.split()
        longer += (
            f"    {_single(words)}) if (( CURRENT > 3 )); then command={_single(words)};"
            " shift words; (( CURRENT-- )); fi ;;\n"
            f"    {_single(first + ' ')}*) if (( CURRENT == 3 )); then"
            f" words_below=({_single(f'{second}:{says}')}); _describe command words_below; fi ;;\n"
        )
    text = text.replace("@LONGER@", longer)
    return text.replace("@GROUPS@", groups).replace("@COMMANDS@", commands)


def _described(group: str) -> str:
    return " ".join(_single(f"{word}:{says.replace(':', ' -')}") for word, says in _below(group))


def _zsh_value(value: Value | None) -> str:
    if value is None:
        return ""
    action = f"({' '.join(value.words)})" if value.words else _ZSH_ACTIONS.get(value.kind, " ")
    return f":{value.kind or 'value'}:{action}"


def _bracketed(says: str) -> str:
    return says.replace("[", "(").replace("]", ")").replace(":", " -")


def _single(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


_FISH = """\
# fish completion for ocinet. Written by `make generated`, from the command's own parsers.

function __ocinet_words
    set -l words (commandline -opc)
    switch "$words[2]"
@ALIASES@    end
    echo "$words[2..-1]"
end

function __ocinet_at
    string match -q -- "$argv *" (__ocinet_words)" "
end

function __ocinet_next
    test (__ocinet_words) = "$argv"
end

function __ocinet_networks
    timeout -s KILL 1 ocinet network ls -q 2>/dev/null
end

function __ocinet_links
    timeout -s KILL 1 ocinet link ls -q 2>/dev/null
end

function __ocinet_containers
    @CONTAINERS@
    printf '%s\\n' pid: netns:
end

complete -c ocinet -f
"""
_FISH_VALUES = {_NETWORKS: "-f -a '(__ocinet_networks)'", _LINKS: "-f -a '(__ocinet_links)'",
                _FILES: "-F",
                _CONTAINERS: "-f -a '(__ocinet_containers)'",
                _DIRECTORIES: "-f -a '(__fish_complete_directories)'"}  # fmt: skip


def fish() -> str:
    """Return fish's completion."""
    lines = []
    for group in ("", *GROUPS):
        at = f"__ocinet_next {group}".strip()
        lines += [f"complete -c ocinet -n '{at}' -a {word} -d {_fish(says)}"
                  for word, says in _below(group)]  # fmt: skip
    for words, says in _longer():
        first, second = words.split()
        lines.append(f"complete -c ocinet -n '__ocinet_next {first}' -a {second} -d {_fish(says)}")
    for shape in shapes():
        at = f"complete -c ocinet -n '__ocinet_at {shape.words}'"
        if shape.about != Value():
            lines.append(f"{at} {_fish_value(shape.about)}")
        for flag in shape.flags:
            names = " ".join(
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
                for name in flag.names
            )
            value = "" if flag.value is None else f" -r {_fish_value(flag.value)}"
            lines.append(f"{at} {names}{value.rstrip()} -d {_fish(flag.says)}")
    aliases = "".join(
        f"    case {alias}\n        set words[2] {words}\n"
        for alias, words in ALIASES.items()
        if " " not in alias
    )
    head = _FISH.replace("@ALIASES@", aliases).replace("@CONTAINERS@", _ASK_ALL)
    return head + "\n".join(lines) + "\n"


def _fish_value(value: Value) -> str:
    if value.words:
        return f"-f -a '{' '.join(value.words)}'"
    return _FISH_VALUES.get(value.kind, "-f")


def _fish(says: str) -> str:
    return "'" + says.replace("\\", "\\\\").replace("'", "\\'") + "'"


def settings() -> str:
    """Return the settings file: every key with its default, as a comment."""
    about = dict(_attributes(Settings.__doc__ or ""))
    lines = [
        "# Settings of ocinet, with the defaults; docs/settings.md says more of each.",
        "# What stands in ocinet.toml.d/*.toml beside this file wins, key by key.",
    ]
    for key, told in about.items():
        says = f"the most {key.removeprefix('max_')} {told}" if key.startswith("max_") else told
        lines += ["", *textwrap.wrap(f"{says[0].upper()}{says[1:]}", 96, initial_indent="# ",
                                     subsequent_indent="# ")]  # fmt: skip
        lines.append(f"#{key} = {_toml(getattr(Settings(), key))}")
    return "\n".join(lines) + "\n"


def _attributes(text: str) -> list[tuple[str, str]]:
    told = textwrap.dedent(text.partition("Attributes:\n")[2])
    found = re.findall(r"^(\w+): (.*(?:\n +.*)*)", told, re.MULTILINE)
    return [(key, " ".join(says.replace("`", "").split())) for key, says in found]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{each}"' for each in value) + "]"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


FILES = {
    "completion/ocinet.bash": bash,
    "completion/_ocinet": zsh,
    "completion/ocinet.fish": fish,
    "ocinet.toml": settings,
}

if __name__ == "__main__":
    for path, render in FILES.items():
        (HERE / path).write_text(render(), encoding="utf-8")
