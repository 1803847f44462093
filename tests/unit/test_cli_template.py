"""Go's templates as docker's users write them, and what they are applied to."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from builders import DB_ID, WEB_ID, endpoint, port, record
from fakes.shell import Shell
from ocinet.base.errors import RequestError
from ocinet.cli.template import Map, compile_template
from ocinet.engine.model.resolution import Alias, LinkedName, Resolution

if TYPE_CHECKING:
    from pathlib import Path

DATA = {
    "Name": "web",
    "host_port": 5,
    "State": {"Pid": 7, "Running": True},
    "Ports": {"80/tcp": [{"HostPort": "8080"}]},
    "Networks": Map(lan={"IP": "10.9.0.5"}, dmz={"IP": "10.8.0.5"}),
    "Labels": Map(team="web"),
    "Words": ["a", "b"],
    "Off": False,
}


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("{{.Name}}", "web"),
        ("{{ .Name }} {{.HostPort}}", "web 5"),  # without capitals and _
        ("{{.State.Pid}} {{.State.Running}}", "7 true"),
        ("{{json .Words}}", '["a","b"]'),
        ("{{.Words}} {{.State}}", "[a b] map[Pid:7 Running:true]"),
        ("{{range .Networks}}{{.IP}} {{end}}", "10.8.0.5 10.9.0.5 "),  # in the keys' order
        ("{{range $k, $v := .Networks}}{{$k}}={{$v.IP}};{{end}}", "dmz=10.8.0.5;lan=10.9.0.5;"),
        ("{{range $v := .Words}}{{$v}}{{$.Name}} {{end}}", "aweb bweb "),
        ("{{range .Off}}x{{else}}none{{end}}", "none"),
        ('{{(index (index .Ports "80/tcp") 0).HostPort}}', "8080"),
        ('{{index .Labels "team"}} {{.Labels.team}} {{.Labels.other}}', "web web <no value>"),
        ('{{if .Off}}a{{else if eq .Name "web"}}b{{else}}c{{end}}', "b"),
        ("{{if and .State.Running (not .Off)}}up{{end}}", "up"),
        ("{{with .State}}{{.Pid}}{{end}}", "7"),
        ("{{.Name | upper | lower | title}}", "Web"),
        ('{{join .Words ","}} {{len .Words}} {{join (split "x y" " ") "-"}}', "a,b 2 x-y"),
        ('{{printf "%s has %d" .Name 3}}', "web has 3"),
        ("a  {{- .Name -}}  b", "awebb"),
        (r"{{.Name}}\t{{.HostPort}}\n", "web\t5\n"),
        ("{{/* nothing */}}{{`raw`}}", "raw"),
        ("no action", "no action"),
    ],
)
def test_template_is_rendered_as_docker_does(template: str, rendered: str) -> None:
    """What people have in their scripts."""
    assert compile_template(template)(DATA) == rendered


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{.Nam}}", "there is no field Nam (hint: did you mean Name?)"),
        ("{{.Name.Pid}}", "'web' has no field Pid"),
        ("{{uper .Name}}", "there is no function uper (hint: did you mean upper?)"),
        ("{{.Name", "without its }}"),
        ("{{if .Name}}", "{{if}} has no {{end}}"),
        ("{{end}}", "without a block to end"),
        ("{{range .Name}}{{end}}", "which is no list"),
        ("{{.Name .State}}", "where nothing more is expected"),
        ("{{(.Name}}", "a bracket that is not closed"),
        ("{{$x}}", "the variable $x"),
        ("{{index .Words 9}}", "index can't be applied"),
        ("{{.Name | .State}}", "which is no function"),
        ("{{}}", "ends too soon"),
        ("{{.Name ?}}", "'?'"),
    ],
)
def test_template_that_makes_no_sense_says_what_of_it(template: str, why: str) -> None:
    """One error that names the flag, never a trace."""
    with pytest.raises(RequestError) as refused:
        compile_template(template)(DATA)
    assert str(refused.value).startswith("--format: ")
    assert why in str(refused.value)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a shell with the network `lan`, `web` on it and `db` on another one."""
    shell = Shell(tmp_path)
    shell.run("network", "create", "--subnet", "10.9.0.0/24", "--label", "team=web", "lan")
    attachments = shell.engine.records.attachments
    attachments.put(record(ports=(port(8080, 80),), time="2026-01-01T00:00:00.000Z"))
    other = endpoint("dmz", "10.8.0.6/24")
    attachments.put(record(DB_ID, "db", endpoints=(other,), time="2026-01-02T00:00:00.000Z"))
    return shell


def test_ps_by_a_template_has_dockers_fields(shell: Shell) -> None:
    """And a table of them, with headings."""
    outcome = shell.run("ps", "--format", "{{.ID}} {{.Names}} {{.Ports}} {{.State}}")
    assert outcome.lines[0] == f"{WEB_ID[:12]} web 0.0.0.0:8080->80/tcp running"
    table = shell.run("ps", "--format", r"table {{.Names}}\t{{.Addresses}}").lines
    assert [line.split() for line in table] == [
        ["NAMES", "ADDRESSES"], ["web", "10.9.0.5"], ["db", "10.8.0.6"],
    ]  # fmt: skip
    assert json.loads(shell.run("ps", "--format", "{{json .}}").lines[0])["Networks"] == "lan"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--filter", "name=we"), ["web"]),
        (("--filter", "network=dmz"), ["db"]),
        (("-f", "network=dmz", "-f", "network=lan"), ["web", "db"]),
        (("-f", "network=dmz", "-f", "name=web"), []),
        (("-f", f"id={DB_ID[:5]}"), ["db"]),
        (("-f", "publish=8080"), ["web"]),
        (("-f", "publish=8080/udp"), []),
        (("-f", "status=running"), ["web", "db"]),
        (("-f", "status=dead"), []),
        (("--latest",), ["db"]),
        (("-n", "5"), ["web", "db"]),
        (("--net", "lan"), ["web"]),
    ],
)
def test_ps_shows_whom_the_filters_mean(
    shell: Shell, words: tuple[str, ...], names: list[str]
) -> None:
    """Of one key any, of several keys all."""
    assert shell.run("ps", *words, "--format", "{{.Names}}").lines == names


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("-f", "nam=x"), 2, "did you mean name?"),
        (("-f", "name"), 2, "no KEY=VALUE"),
        (("-f", "status=up"), 2, "there is no status up"),
        (("--net", "nosuch"), 3, "nosuch"),
        (("--format", "yaml"), 2, "invalid choice: 'yaml'"),
    ],
)
def test_ps_refuses_what_shows_nothing_by_mistake(
    shell: Shell, words: tuple[str, ...], code: int, told: str
) -> None:
    """An empty list would look like an answer."""
    outcome = shell.run("ps", *words)
    assert outcome.code == code
    assert told in outcome.err


def test_inspect_by_a_template_has_dockers_structure_and_ours(shell: Shell) -> None:
    """`docker inspect -f` of a script goes on working; our own keys are there as well."""
    for template, shown in (
        ("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "10.9.0.5"),
        ("{{.NetworkSettings.IPAddress}}/{{.NetworkSettings.IPPrefixLen}}", "10.9.0.5/24"),
        ('{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', "8080"),
        ("{{.State.Pid}} {{.State.Running}}", f"{os.getpid()} true"),
        ("{{.Id}} {{.Name}}", f"{WEB_ID} web"),
        ("{{(index .Endpoints 0).HostIfname}}", "oc0123456789abc"),
    ):
        outcome = shell.run("inspect", "-f", template, "web")
        assert (outcome.code, outcome.lines) == (0, [shown]), outcome.err


def test_network_inspect_and_ls_by_a_template(shell: Shell) -> None:
    """As docker's and as podman's."""
    for template in (
        "{{.Name}} {{(index .IPAM.Config 0).Subnet}}",
        "{{.Name}} {{range .Subnets}}{{.Subnet}}{{end}}",
    ):
        assert shell.run("network", "inspect", "-f", template, "lan").lines == ["lan 10.9.0.0/24"]
    users = shell.run("network", "inspect", "-f", "{{range .Containers}}{{.Name}}{{end}}", "lan")
    assert users.lines == ["web"]
    assert shell.run("network", "ls", "--format", "{{.Name}}:{{.Driver}}").lines == ["lan:bridge"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("driver=bridge",), ["lan"]),
        (("driver=macvlan",), []),
        (("id=la", "name=an"), ["lan"]),
        (("label=team=web",), ["lan"]),
        (("label!=team",), []),
        (("type=custom",), ["lan"]),
        (("until=10m",), []),
        (("until=2100-01-01",), ["lan"]),
    ],
)
def test_network_ls_and_prune_filter(
    shell: Shell, words: tuple[str, ...], names: list[str]
) -> None:
    """docker's keys; `until` is when it was defined."""
    filters = [word for text in words for word in ("--filter", text)]
    assert shell.run("network", "ls", "-q", "--no-trunc", *filters).lines == names
    for known in shell.engine.records.attachments.all():
        shell.engine.records.attachments.remove(known.container.id)
    assert shell.run("network", "prune", "-f", *filters).lines == names


def test_port_prints_as_docker_does(shell: Shell) -> None:
    """All of them, or where one is had; none is not there."""
    assert shell.run("port", "web").lines == ["80/tcp -> 0.0.0.0:8080"]
    assert shell.run("port", "web", "80").lines == ["0.0.0.0:8080"]
    assert shell.run("port", "web", "80/udp").code == 3
    assert shell.run("port", "db").lines == []


EVENTS: tuple[dict[str, object], ...] = (
    {"time": "2026-01-01T00:00:00.000Z", "event": "attached", "container": WEB_ID, "name": "web",
     "networks": ["lan"], "door": "hook"},
    {"time": "2026-01-02T00:00:00.000Z", "event": "attach failed", "container": DB_ID,
     "name": "db", "door": "watcher"},
)  # fmt: skip


def _log(shell: Shell, *events: dict[str, object]) -> None:
    """Write events where there were none of other tests' making."""
    with open(f"{shell.paths.run}/events.jsonl", "a", encoding="utf-8") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("--filter", "container=web"), ["attached"]),
        (("--filter", f"container={DB_ID[:6]}"), ["attach failed"]),
        (("--filter", "event=attach"), ["attached", "attach failed"]),
        (("--filter", "network=lan"), ["attached"]),
        (("--filter", "door=watcher"), ["attach failed"]),
        (("--since", "2026-01-01T12:00:00Z"), ["attach failed"]),
        (("--until", "2026-01-01T12:00:00"), ["attached"]),
        (("--since", "1h30m"), []),
        (("-n", "1"), ["attach failed"]),
    ],
)
def test_events_shows_what_the_filters_mean(
    shell: Shell, words: tuple[str, ...], shown: list[str]
) -> None:
    """By whom, what and when."""
    _log(shell, *EVENTS)
    assert shell.run("events", *words, "--format", "{{.event}}").lines == shown


def test_events_since_that_is_no_time_is_refused(shell: Shell) -> None:
    """And says what is one."""
    outcome = shell.run("events", "--since", "yesterday")
    assert outcome.code == 2
    assert "--since: 'yesterday' is no time" in outcome.err


def test_events_follow_shows_what_comes_also_in_the_next_file(shell: Shell) -> None:
    """The log is renamed when it is full, and who follows goes on with the new one."""
    path = f"{shell.paths.run}/events.jsonl"
    _log(shell, EVENTS[0])

    def write() -> None:
        _log(shell, {**EVENTS[1], "event": "second"})
        os.rename(path, f"{path}.1")
        _log(shell, {**EVENTS[1], "event": "third"})

    timer = threading.Timer(0.6, write)
    timer.start()
    until = (datetime.now(UTC) + timedelta(seconds=2.5)).isoformat()
    outcome = shell.run("events", "--follow", "--until", until, "--format", "json")
    timer.join()
    assert [json.loads(line)["event"] for line in outcome.lines] == ["second", "third"]


def test_ps_and_inspect_show_by_which_names_others_find_it(shell: Shell) -> None:
    """As Docker's inspect has aliases, by network, and links."""
    wished = Resolution(
        aliases=(Alias("www"), Alias("shop", "lan")), links=(LinkedName("postgres", "db"),)
    )
    known = record(resolution=wished, time="2026-01-01T00:00:00.000Z")
    shell.engine.records.attachments.put(known)
    assert shell.run("ps", "-f", "name=web", "--format", "{{.Aliases}}").lines == ["www,shop"]
    asked = "{{.NetworkSettings.Networks.lan.Aliases}} {{.HostConfig.Links}}"
    assert shell.run("inspect", "-f", asked, "web").lines == ["[www shop] [postgres:db]"]
