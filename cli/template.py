"""Go's templates, as docker's and podman's users write them after `--format`.

{{.Name}}  {{.State.Pid}}  {{json .}}          fields, and functions
{{range .Networks}}{{.IPAddress}} {{end}}       range, if, with, else
{{range $name, $one := .Networks}}…{{end}}     with variables
{{(index .Ports 0).HostPort | upper}}           brackets and pipes
{{- .Name -}}                                  without the blanks around it

What they are applied to is JSON: objects, lists, texts, numbers. Fields are found by
their very name, else without capitals and `_`: `.HostPort` is `host_port`. Only what
people type is here; what is not known says so, with what is.

text/template of Go's standard library; docker's functions: cli/templates/templates.go.
"""

from __future__ import annotations

import json
import re

from ocinet.base.errors import RequestError
from ocinet.base.names import did_you_mean
from ocinet.cli.template_functions import WHAT, find_function, spell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Evaluate = Callable[["Scope"], Any]
    Render = Callable[["Scope"], str]

_ACTION = re.compile(r"\{\{(-(?=\s))?(.*?)((?<=\s)-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>"(?:\\.|[^"\\])*"|`[^`]*`)
      | (?P<number>-?\d+)
      | (?P<variable>\$\w*)
      | (?P<field>\.\w+)
      | (?P<dot>\.)
      | (?P<name>\w+)
      | (?P<sign>:=|[()|,])
    )""",
    re.VERBOSE,
)
_OPENING = ("if", "range", "with")


class Map(dict[str, "Any"]):
    """An object whose keys are anybody's, as labels: one that is not there has no value."""


class Scope:
    """Where a part of a template is evaluated.

    Args:
        dot: what `.` is.
        variables: by their names, `$` among them.
    """

    def __init__(self, dot: Any, variables: Mapping[str, Any]) -> None:
        self.dot = dot
        self.variables = variables

    def within(self, dot: Any, **variables: Any) -> Scope:
        """Return the scope of a block's inside."""
        return Scope(dot, {**self.variables, **variables})


def compile_template(text: str) -> Callable[[Any], str]:
    r"""Return what renders a value by a template.

    >>> compile_template('{{.Name}}: {{join .Ports ","}}')({"name": "web", "ports": ["80", "81"]})
    'web: 80,81'

    Args:
        text: of the template; `\t` and `\n` in it are a tab and a new line, as in docker's.

    Raises:
        RequestError: it is none, and what of it is not understood; the renderer raises it
            for fields that are not there.
    """
    parts = _split(text.replace(r"\t", "\t").replace(r"\n", "\n"))
    render, stopped = _block(parts)
    if stopped:
        raise _not_understood(f"{{{{{stopped}}}}} without a block to end")
    return lambda value: render(Scope(value, {"$": value}))


def headings_of(text: str) -> list[str]:
    r"""Return headings for a `table` template, one for each part between tabs.

    >>> headings_of(r"{{.Names}}\t{{json .CreatedAt}}")
    ['NAMES', 'CREATED AT']
    """
    return [_heading(part) for part in text.replace(r"\t", "\t").split("\t")]


def _heading(part: str) -> str:
    fields = re.findall(r"\.(\w+)", part)
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", fields[-1]) if fields else part
    return words.replace("_", " ").upper()


def _split(text: str) -> list[tuple[bool, str]]:
    """Return the parts of a template, each with whether it is an action."""
    parts: list[tuple[bool, str]] = []
    at, trim = 0, False
    for found in _ACTION.finditer(text):
        plain = text[at : found.start()]
        plain = plain.lstrip() if trim else plain
        parts.append((False, plain.rstrip() if found[1] else plain))
        parts.append((True, found[2].strip()))
        at, trim = found.end(), bool(found[3])
    rest = text[at:]
    if "{{" in rest:
        raise _not_understood("an action without its }}")
    parts.append((False, rest.lstrip() if trim else rest))
    parts.reverse()  # the next one is the last, to be taken off
    return parts


def _block(parts: list[tuple[bool, str]]) -> tuple[Render, str]:
    """Read up to the end of a block; return what renders it, and the word that ended it."""
    renders: list[Render] = []
    while parts:
        is_action, text = parts.pop()
        if not is_action:
            renders.append(lambda _scope, text=text: text)  # type: ignore[misc]  # bound now
            continue
        if text.startswith("/*"):
            continue
        word = text.split(None, 1)[0] if text else ""
        if word in ("end", "else"):
            return _joined(renders), text
        if word in _OPENING:
            renders.append(_opened(word, text[len(word) :], parts))
        else:
            evaluate = _pipeline(_Tokens(text))
            renders.append(lambda scope, evaluate=evaluate: spell(evaluate(scope)))  # type: ignore[misc]  # bound now
    return _joined(renders), ""


def _joined(renders: list[Render]) -> Render:
    return lambda scope: "".join(render(scope) for render in renders)


def _opened(word: str, text: str, parts: list[tuple[bool, str]]) -> Render:
    """Read an if, range or with to its end."""
    tokens = _Tokens(text)
    names = tokens.variables() if word == "range" else ()
    evaluate = _pipeline(tokens)
    inside, stopped = _block(parts)
    otherwise: Render = _joined([])
    if stopped.startswith("else"):
        rest = stopped[len("else") :].strip()
        if rest:  # else if: a block of its own, that has the same end
            otherwise = _opened(rest.split(None, 1)[0], rest.partition(" ")[2], parts)
            stopped = "end"
        else:
            otherwise, stopped = _block(parts)
    if stopped != "end":
        raise _not_understood(f"{{{{{word}}}}} has no {{{{end}}}}")

    def render(scope: Scope) -> str:
        value = evaluate(scope)
        if not value:
            return otherwise(scope)
        if word == "range":
            return "".join(inside(within) for within in _each(value, names, scope))
        return inside(scope.within(value) if word == "with" else scope)

    return render


def _each(value: Any, names: tuple[str, ...], scope: Scope) -> list[Scope]:
    if isinstance(value, dict):
        items = sorted(value.items())
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    else:
        raise _not_understood(f"range over {spell(value)!r}, which is no list")
    scopes = []
    for key, item in items:
        given = (key, item)[-len(names) :] if names else ()
        scopes.append(scope.within(item, **dict(zip(names, given, strict=True))))
    return scopes


class _Tokens:
    """The words of one action, to be taken one after the other."""

    def __init__(self, text: str) -> None:
        self._all: list[tuple[str, str]] = []
        self._text = text.strip()
        at = 0
        while at < len(self._text):
            found = _TOKEN.match(self._text, at)
            if not found:
                raise _not_understood(f"{self._text[at:].strip()!r} in {{{{{self._text}}}}}")
            self._all.append((str(found.lastgroup), found[str(found.lastgroup)]))
            # `.a .b` are two, and `.a.b` is one: what is told apart is told by the blank.
            at = found.end()
            if at < len(self._text) and self._text[at].isspace():
                self._all.append(("blank", ""))
        self._all.reverse()

    def peek(self) -> tuple[str, str]:
        """Return kind and text of the next word; two empty texts at the end."""
        return self._all[-1] if self._all else ("", "")

    def take(self) -> tuple[str, str]:
        """Take the next word."""
        if not self._all:
            raise _not_understood(f"{{{{{self._text}}}}}, which ends too soon")
        return self._all.pop()

    def skip(self) -> None:
        """Take blanks."""
        while self.peek()[0] == "blank":
            self.take()

    def accept(self, sign: str) -> bool:
        """Take a sign if it is next."""
        self.skip()
        if self.peek() != ("sign", sign):
            return False
        self.take()
        return True

    def variables(self) -> tuple[str, ...]:
        """Take `$key, $value :=`, if that is there."""
        kept = list(self._all)
        names = []
        self.skip()
        while self.peek()[0] == "variable":
            names.append(self.take()[1])
            if not self.accept(","):
                break
            self.skip()
        if names and self.accept(":="):
            return tuple(names)
        self._all = kept
        return ()


def _pipeline(tokens: _Tokens) -> Evaluate:
    """Read commands with pipes between them, to the action's end or a closing bracket."""
    evaluate = _command(tokens, None)
    while tokens.accept("|"):
        evaluate = _command(tokens, evaluate)
    tokens.skip()
    if tokens.peek()[0] and tokens.peek() != ("sign", ")"):
        raise _not_understood(f"{tokens.peek()[1]!r} where nothing more is expected")
    return evaluate


def _command(tokens: _Tokens, piped: Evaluate | None) -> Evaluate:
    tokens.skip()
    kind, text = tokens.peek()
    if kind == "name" and text not in ("true", "false", "nil"):
        tokens.take()
        function = find_function(text)
        arguments: list[Evaluate] = []
        while True:
            tokens.skip()
            if tokens.peek()[0] in ("", "sign") and tokens.peek() != ("sign", "("):
                break
            arguments.append(_operand(tokens))
        if piped:
            arguments.append(piped)
        return lambda scope: _call(text, function, [each(scope) for each in arguments])
    if piped:
        raise _not_understood(f"a pipe into {text!r}, which is no function")
    return _operand(tokens)


def _operand(tokens: _Tokens) -> Evaluate:
    tokens.skip()
    kind, text = tokens.take()
    evaluate: Evaluate
    if kind == "field":
        evaluate = lambda scope: _field(scope.dot, text[1:])  # noqa: E731  # one of six alike
    elif kind == "dot":
        evaluate = lambda scope: scope.dot  # noqa: E731
    elif kind == "variable":
        evaluate = lambda scope: _variable(scope, text)  # noqa: E731
    elif kind == "text":
        value = text[1:-1] if text[0] == "`" else json.loads(text)
        evaluate = lambda _scope: value  # noqa: E731
    elif kind == "number":
        evaluate = lambda _scope: int(text)  # noqa: E731
    elif (kind, text) == ("sign", "("):
        evaluate = _pipeline(tokens)
        if not tokens.accept(")"):
            raise _not_understood("a bracket that is not closed")
    elif kind == "name" and text in ("true", "false", "nil"):
        evaluate = lambda _scope: {"true": True, "false": False}.get(text)  # noqa: E731
    else:
        raise _not_understood(f"{text!r}")
    while tokens.peek()[0] == "field":
        name, outer = tokens.take()[1][1:], evaluate
        evaluate = lambda scope, outer=outer, name=name: _field(outer(scope), name)  # type: ignore[misc]  # noqa: E731
    return evaluate


def _variable(scope: Scope, name: str) -> Any:
    if name not in scope.variables:
        raise _not_understood(f"the variable {name}")
    return scope.variables[name]


def _field(value: Any, name: str) -> Any:
    """Return a field by its name, else by one that differs by capitals and `_` alone."""
    if not isinstance(value, dict):
        raise RequestError(WHAT, f"{spell(value)!r} has no field {name}")
    if name in value:
        return value[name]
    plain = _plain(name)
    for key, item in value.items():
        if _plain(key) == plain:
            return item
    if isinstance(value, Map):
        return None
    hint = did_you_mean(name, value) or f"known are: {', '.join(value)}"
    raise RequestError(WHAT, f"there is no field {name}", hint)


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _call(name: str, function: Callable[..., Any], arguments: list[Any]) -> Any:
    try:
        return function(*arguments)
    except (TypeError, ValueError, AttributeError, IndexError, KeyError) as error:
        raise RequestError(WHAT, f"{name} can't be applied to that: {error}") from error


def _not_understood(what: str) -> RequestError:
    return RequestError(WHAT, f"not understood in the template: {what}", "as in '{{.Name}}'")
