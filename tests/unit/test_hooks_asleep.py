"""Functions that sleep in the preload: once they are called they are what they were."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import ocinet.hooks
from hosts.namespace.rehearsal import functions_of, installed
from ocinet.hooks.asleep import put_to_sleep, read_awake
from ocinet.hooks.preload import PARTS, preload_path, refresh

# What hook.py does at its start, as far as a part.
_START = """\
import gc, os, sys
script, *parts = sys.argv[1:]
text = open(script).read().partition("if __name__ ==")[0]
root = script.rsplit("/", 3)[0]
sys.path.append(root)
ours = sys.modules["ocinet"] = type(sys)("ocinet")
ours.__path__ = [root + "/ocinet"]
names = {"__name__": "hook", "__file__": script}
exec(compile(text, script, "exec"), names)
for part in parts:
    names["preload"](part)
"""
_KINDS = """
def _decorated(function):
    hidden = {"function": function}
    return lambda *args: ["by", hidden["function"](*args)]

class Kinds:
    def method(self, first, second=2, *more, third=3, **rest):
        return [first, second, more, third, rest]
    @staticmethod
    def static(first):
        return ["static", first]
    @classmethod
    def of(cls, *, first):
        return [cls.__name__, first]
    @property
    def own(self):
        return self.kept
    @own.setter
    def own(self, value):
        self.kept = value
    def __add__(self, other):
        return ["sum", other]
    def each(self):
        yield from (number * 2 for number in range(3))
    def __init_subclass__(cls, **words):
        super().__init_subclass__()
        cls.words = words

class More(Kinds, word=1):
    def method(self, first):
        return ["more", super().method(first)]

def down(number):
    return [number, *down(number - 1)] if number else []

def around(number):
    def inner():
        return number + 1
    return inner

@_decorated
def hidden(number):
    return number

def fails():
    where = "here"
    raise ValueError(where)
"""
_CALLS = """\
import json, os
from ocinet.hooks.entry import call
if parts:
    folder = script.rpartition("/")[0] + "/__pycache__"
    for name in os.listdir(folder):  # what comes in its place is another's
        if name.startswith("preload-"):
            os.rename(folder + "/" + name, folder + "/was")
            open(folder + "/" + name, "wb").write(b"another")
for _again in range(2):
    kinds = call.More()
    kinds.own = 5
    told = [call.Kinds().method(1, 4, 5, third=6, fourth=7), kinds.method(1), kinds.static(2),
            call.More.of(first=3), kinds.own, kinds + 1, list(kinds.each()), call.More.words,
            call.down(4), call.around(1)(), call.hidden(8), call.down.__name__,
            call.Kinds.method.__qualname__, call.Kinds.method.__defaults__]
    try:
        call.fails()
    except ValueError as error:
        while error.__traceback__.tb_next:
            error.__traceback__ = error.__traceback__.tb_next
        told += [str(error), error.__traceback__.tb_lineno,
                 error.__traceback__.tb_frame.f_code.co_filename]
    print(json.dumps(told))
print(len(ours.__dict__.get("sleeping", ())) > 0)
"""
# Of each module that is loaded who sleeps, and the functions at these places: stubs, and who
# was called as the module was loaded.
_STUBS = """\
import json
from marshal import loads
def place(code):
    return code.co_firstlineno, code.co_qualname
told = {}
for module, (file, start, (offset, size)) in ours.sleeping.items():
    asleep = [place(code) for code in loads(os.pread(file.fileno(), size, start + offset))]
    there = [thing.__code__ for thing in gc.get_referrers(vars(sys.modules[module]))
             if type(thing) is type(place)]
    told[module] = [sorted(asleep), sorted(place(code) for code in there if place(code) in asleep),
                    sum(code.co_names == ("ocinet", "wake") for code in there)]
print(json.dumps(told))
"""


def _run(text: str, script: str, *parts: str) -> str:
    command = [sys.executable, "-I", "-S", "-c", _START + text, script, *parts]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_functions_of_every_kind_do_the_same_once_they_are_woken(tmp_path: Path) -> None:
    """What they return, how they are called, where they fail; with another file in its place."""
    script = installed(tmp_path, awake="")
    call = Path(script).parent / "entry/call.py"
    call.write_text(call.read_text() + _KINDS)
    *without, _ = _run(_CALLS, script).splitlines()
    assert refresh(script)
    *woken, from_preload = _run(_CALLS, script, "stage").splitlines()
    assert from_preload == "True"
    assert woken == without
    assert woken[0] == woken[1]
    assert json.loads(woken[0])[:2] == [[1, 4, [5], 6, {"fourth": 7}], ["more", [1, 2, [], 3, {}]]]


@pytest.mark.parametrize("parts", ["stage created attach names", "stage detach",
                                   "wrapper injection attach"])  # fmt: skip
def test_each_who_sleeps_has_one_place(tmp_path: Path, parts: str) -> None:
    """In every part and module: each can be found, and told from others."""
    script = installed(tmp_path, awake="")
    places = json.loads(_run(_STUBS, script, *parts.split()))
    assert sum(stubs for *_, stubs in places.values()) > 200
    for module, (asleep, there, _stubs) in places.items():
        assert asleep == there, module
        assert len(asleep) == len({tuple(place) for place in asleep}), module


def test_who_is_listed_stays_awake(tmp_path: Path) -> None:
    """In the part that it is listed for, and by the name that has its class's before it."""
    script = installed(tmp_path, awake="stage ocinet.base.events EventLog.append\n")
    places = json.loads(_run(_STUBS, script, "stage"))
    names = {name for _line, name in places["ocinet.base.events"][0]}
    assert "EventLog.append" not in names
    assert "EventLog.__init__" in names


def test_what_can_be_given_no_other_code_stays_awake() -> None:
    """Generators, who has variables of others, and who has no name."""
    text = """
def sleeps(): pass
def yields(): yield
short = lambda: 0
class Above:
    def calls(self): super().calls()
    def sleeps(self): return [lambda: self]
"""
    code, asleep = put_to_sleep(compile(text, "text", "exec"), ())
    assert [function.co_qualname for function in asleep] == ["sleeps", "Above.sleeps"]
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102  # compiled here
    assert preload_path("/x/hook.py", "stage").startswith("/x/__pycache__/preload-stage.")
    assert callable(names["short"])


def test_list_of_who_is_awake_names_none_that_is_gone(tmp_path: Path) -> None:
    """Who was moved or renamed sleeps under its new name; where this fails: `make awake`."""
    script = installed(tmp_path)
    there = {part: functions_of(script, part) for part in PARTS}
    listed = read_awake(str(Path(next(iter(ocinet.hooks.__path__)))))
    gone = [
        (part, module, function)
        for (part, module), functions in listed.items()
        for function in functions
        if function not in there.get(part, {}).get(module, ())
    ]
    assert gone == []
