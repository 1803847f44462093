"""What the bench says of its readings: medians, ratios, files, the report."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from arena import Container
from attack_field import checked
from attacks import ATTACKS, rows
from contestants import Cni, Netavark, Ocinet
from hosts.namespace.frames import icmpv6, ipv6
from repair import rows as repair_rows
from report import NOT_MEASURED, Part, report, shown
from samples import Key, Sample, Samples, Target, read_csv, write_csv

BENCH = str(Path(__file__).parents[2] / "bench")
DRAW = """\
import sys
from pathlib import Path
sys.path.append(sys.argv[1])
from plots import plot
from samples import read_csv
plot(read_csv(Path(sys.argv[2])), Path(sys.argv[3]))
"""
ATTACH = Key("hook", "ocinet-1p", "attach")
BARE = Key("hook", "bare", "attach")


def samples_of(**values: list[float]) -> Samples:
    """Return samples of the hook's attach, by contestant."""
    return Samples(Sample("hook", name, "attach", 0, value, "ms")
                   for name, own in values.items() for value in own)  # fmt: skip


def line_of(text: str, start: str) -> str:
    """Return the one line of a report that begins so."""
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return line


@pytest.mark.parametrize(
    ("values", "median", "p95"),
    [([7.0], 7.0, 7.0), ([3.0, 1.0, 2.0], 2.0, 2.9), ([1.0, 2.0, 3.0, 4.0], 2.5, 3.85)],
)
def test_figures_of_a_key_are_those_of_its_values(
    values: list[float], median: float, p95: float
) -> None:
    """The median is the middle, the 95th percentile interpolated, whatever the order."""
    samples = samples_of(bare=values)
    assert samples.median(BARE) == median
    assert samples.p95(BARE) == pytest.approx(p95)
    assert (samples.least(BARE), samples.most(BARE)) == (min(values), max(values))


def test_ratio_is_of_the_medians() -> None:
    """One outlier on either side changes nothing."""
    samples = Samples([*samples_of(bare=[10, 10, 900]),
                       *(Sample(*ATTACH, value, "ms") for value in (25, 25, 1))])  # fmt: skip
    assert samples.ratio(ATTACH, BARE) == 2.5


def test_ratio_to_nothing_is_not_a_number() -> None:
    """A peer that took no time at all can't be compared with."""
    samples = samples_of(one=[1.0], bare=[0.0])
    assert math.isnan(samples.ratio(Key("hook", "one", "attach"), BARE))


def test_paired_ratio_ignores_what_slowed_a_whole_round() -> None:
    """The ratio of each round counts, and a round that was broken off does not."""
    samples = samples_of(ten=[11, 110, 90, 5], one=[10, 100, 20])
    ten, one = Key("hook", "ten", "attach"), Key("hook", "one", "attach")
    assert samples.paired_ratio(ten, one) == pytest.approx(1.1)


def test_paired_difference_ignores_what_slowed_a_whole_round() -> None:
    """As the ratio does: what a guard costs is less than what another round does."""
    samples = samples_of(guarded=[11.0, 101.5, 41.0, 5.0], bare=[10.5, 101.0, 40.5])
    guarded = Key("hook", "guarded", "attach")
    assert samples.paired_difference(guarded, BARE) == 0.5


def test_what_has_no_samples_is_a_key_error() -> None:
    """Nothing is made up for it."""
    with pytest.raises(KeyError):
        Samples().median(BARE)
    with pytest.raises(KeyError):
        samples_of(bare=[1.0]).ratio(ATTACH, BARE)


def test_one_key_has_one_unit() -> None:
    """Milliseconds and seconds can't get into one median."""
    with pytest.raises(ValueError, match="not in s"):
        Samples([Sample(*BARE, 1.0, "ms"), Sample(*BARE, 1.0, "s")])


def test_keys_are_found_by_part_and_measure() -> None:
    """In the order of their first samples."""
    other = Key("scale", "bare", "attach", 100)
    cpu = BARE._replace(measure="attach cpu")
    samples = Samples(Sample(*key, 1.0, "ms") for key in (other, BARE, cpu, other))
    assert samples.keys() == [other, BARE, cpu]
    assert samples.keys("hook") == [BARE, cpu]
    assert samples.keys(measure="attach") == [other, BARE]


def test_samples_come_back_from_their_file(tmp_path: Path) -> None:
    """With every digit, and with names that have a comma."""
    written = [Sample("hook", "ocinet-1p", "detach, sandbox gone", 1000, 1 / 3, "ms"),
               Sample("crowd", "cni-1p", "failures", 8, 0.0, "")]  # fmt: skip
    write_csv(tmp_path / "samples.csv", Samples(written))
    assert list(read_csv(tmp_path / "samples.csv")) == written


def test_another_file_is_not_read_as_samples(tmp_path: Path) -> None:
    """Its header tells."""
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="not samples"):
        read_csv(tmp_path / "other.csv")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.3456, "0.35"), (2.5, "2.50"), (12.34, "12.3"), (123.4, "123"),
     (12345.6, "12,346"), (math.nan, NOT_MEASURED)],
)  # fmt: skip
def test_figure_is_shown_with_the_digits_that_it_is_good_for(value: float, text: str) -> None:
    """Three digits, and all of a large number's."""
    assert shown(value) == text


@pytest.mark.parametrize(
    ("reading", "is_at_least", "holds"),
    [(1.9, False, "yes, and the aim"), (2.0, False, "yes, and the aim"), (2.5, False, "yes"),
     (2.51, False, "**no**"), (1.9, True, "**no**"), (2.5, True, "yes, and the aim")],
)  # fmt: skip
def test_target_holds_up_to_its_bound(reading: float, is_at_least: bool, holds: str) -> None:
    """The bound itself included, from above or from below."""
    must, aim = (2.0, 2.5) if is_at_least else (2.5, 2.0)
    target = Target("speed", lambda _: reading, must, aim, at_least=is_at_least)
    line = line_of(report(Samples(), [Part("hook", (target,))], []), "| speed |")
    assert line.endswith(f"| {holds} |")
    assert f"{'≥' if is_at_least else '≤'} {must:g}" in line


def test_target_without_an_aim_just_holds() -> None:
    """Nothing stands in the aim's column."""
    target = Target("failures", lambda _: 0, 0, None, unit="attaches")
    text = report(Samples(), [Part("crowd", (target,))], [])
    assert line_of(text, "| failures") == "| failures | ≤ 0 attaches |  | 0 attaches | yes |"


@pytest.mark.parametrize("samples", [Samples(), samples_of(bare=[0.0], **{"ocinet-1p": [1.0]})])
def test_reading_that_was_not_made_says_so(samples: Samples) -> None:
    """It neither holds nor fails."""
    target = Target("attach / bare", lambda given: given.ratio(ATTACH, BARE), 2.5, 2.0)
    line = line_of(report(samples, [Part("hook", (target,))], []), "| attach / bare")
    assert line == f"| attach / bare | ≤ 2.5 | ≤ 2 | {NOT_MEASURED} |  |"


def test_part_that_could_not_run_says_why() -> None:
    """With what is missing, and without a table."""
    text = report(Samples(), [Part("engines", (), "there is no dockerd")], [("kernel", "6.1")])
    assert "there is no dockerd" in text[text.index("## engines") :]
    assert "| kernel | 6.1 |" in text
    assert "| contestant |" not in text


def test_part_shows_time_cpu_and_the_ratio_to_the_bare_interpreter() -> None:
    """CPU time is a column of what it was spent on."""
    key = ATTACH._replace(measure="attach cpu")
    samples = Samples([
        *(Sample(*ATTACH, value, "ms") for value in (20, 30)),
        *(Sample(*key, value, "ms") for value in (12, 14)),
        Sample(*BARE, 10, "ms"),
    ])  # fmt: skip
    text = report(samples, [Part("hook")], [])
    row = "| attach, ms | 0 | ocinet-1p | 2 | 25.0 | 20.0 | 29.5 | 13.0 | 2.50 |"
    assert line_of(text, "| attach, ms | 0 | ocinet") == row
    assert (
        line_of(text, "| attach, ms | 0 | bare")
        == "| attach, ms | 0 | bare | 1 | 10.0 | 10.0 | 10.0 |  |  |"
    )
    assert "cpu" not in text


@pytest.mark.parametrize("ports", [1, 10])
def test_containers_of_a_contestant_publish_no_port_twice(ports: int) -> None:
    """A thousand and some of them with one port, some hundred with ten."""
    contestant = Ocinet(ports)
    numbers = range(1200 // ports)
    published = [host for number in numbers for host, _ in contestant.published(number)]
    assert len(set(published)) == len(published) == 1200 // ports * ports
    assert max(published) < 65536


def test_ports_are_asked_for_one_by_one_or_as_a_range() -> None:
    """In the words that users have for it."""
    container = Container(2, 7, "/proc/7/ns/net")
    asked = []
    for contestant in (Ocinet(3), Ocinet(3, is_range=True)):
        state = json.loads(next(contestant.attach(container)).stdin)
        asked.append(state["annotations"]["ocinet.publish"])
    assert asked == ["20006:80,20007:81,20008:82", "20006-20008:80-82"]


def test_contestant_without_its_guard_differs_by_that_alone() -> None:
    """And by its name; ours is guarded unless told, CNI's if told."""
    ours, bare = (Ocinet(1, guard=guard).prepare() for guard in (True, False))
    assert [*bare[1].argv] == [*ours[1].argv, "--no-guard"]
    assert Ocinet(1, guard=False).name == "ocinet-1p, no guard"

    container = Container(0, 7, "/proc/7/ns/net")
    plain, checked = (json.loads(next(Cni(0, guard=guard).attach(container)).stdin)
                      for guard in (False, True))  # fmt: skip
    assert plain.pop("macspoofchk") is False
    assert checked.pop("macspoofchk") is True
    assert plain == checked


def test_second_plugin_of_a_chain_is_given_what_the_first_answered() -> None:
    """Bridge first, then portmap with bridge's result; none without a port."""
    operation = Cni(1).attach(Container(0, 7, "/proc/7/ns/net"))
    assert next(operation).argv == ("/usr/lib/cni/bridge",)
    portmap = operation.send('{"ips": []}')
    assert portmap.argv == ("/usr/lib/cni/portmap",)
    assert json.loads(portmap.stdin)["prevResult"] == {"ips": []}
    assert len(list(Cni(0).attach(Container(0, 7, "")))) == 1


def test_netavark_is_given_an_address_of_its_own_for_each_container() -> None:
    """As podman, which hands them out, would."""
    requests = [json.loads(next(Netavark(1).attach(Container(number, 7, ""))).stdin)
                for number in range(1200)]  # fmt: skip
    addresses = {request["networks"]["bench"]["static_ips"][0] for request in requests}
    assert len(addresses) == 1200


def test_equal_samples_make_equal_plots(tmp_path: Path) -> None:
    """Neither dates nor random names are in them, and words are words."""
    pytest.importorskip("matplotlib", reason="pip install ocinet[bench]")
    samples = Samples([*samples_of(bare=[8.0, 9.0], cni=[60.0]),
                       *(Sample("scale", "cni-1p", "attach", x, 50.0 + x, "ms")
                         for x in (0, 100)),
                       *(Sample("cluster", "etcd", "memory", x, 30.0 + x, "MB")
                         for x in (10, 1000))])  # fmt: skip
    write_csv(tmp_path / "samples.csv", samples)
    drawn = []
    for name in ("one", "two"):
        # In a process of its own: matplotlib keeps the fonts' files open.
        (tmp_path / name).mkdir()
        words = [sys.executable, "-c", DRAW, BENCH, str(tmp_path / "samples.csv"), name]
        subprocess.run(words, check=True, cwd=tmp_path)
        drawn.append({path.name: path.read_text() for path in (tmp_path / name).iterdir()})
    assert drawn[0] == drawn[1]
    assert sorted(drawn[0]) == ["attach-containers.svg", "attach.svg", "cluster-memory.svg"]
    assert ">cni-1p</text>" in drawn[0]["attach-containers.svg"]


def test_rows_of_repair_say_who_mends_what_and_how_fast() -> None:
    """Median and worst; who did not each time, does not."""
    samples = Samples()
    for who, values in {"watcher": (100, 300, 200), "gc": (50,)}.items():
        for value in values:
            samples.record(Sample("repair", who, "ruleset flushed", 1, value, "ms"))
    for _time in range(2):
        samples.record(Sample("repair", "gc", "bridge down", 1, 70, "ms"))
    head, _rule, *lines = repair_rows(samples).splitlines()
    assert head.startswith("| fault | watcher, of 3 | check --repair, of 0 |")
    flushed = next(line for line in lines if line.startswith("| ruleset flushed |"))
    assert flushed == "| ruleset flushed | 200, 300 | no | no | no | no | no |"
    down = next(line for line in lines if line.startswith("| bridge down |"))
    assert down == "| bridge down | no | no | no | 70, 70 | no | no |"


def test_rows_of_attacks_say_what_options_change() -> None:
    """What comes without options; beside it what comes with them, where that is another thing."""
    chosen = [attack for attack in ATTACKS if attack.what in ("a sibling", "another network")]
    usual = {"a sibling": "**in**", "another network": "**in**",
             "another network, after a flush": "dropped"}  # fmt: skip
    narrow = {**usual, "a sibling": "dropped"}
    head, _rule, *lines = rows({"Docker 28": {False: usual, True: narrow}}, chosen)
    assert head == "|  | it tries | Docker 28 |"
    assert "| any | a sibling | **in**; dropped with options |" in lines
    assert "| any | another network | **in** |" in lines
    assert "| any | another network, after a flush | dropped |" in lines


@pytest.mark.parametrize("data", [b"even", b"odd"])
def test_checksum_of_an_attack_is_one_that_hosts_take(data: bytes) -> None:
    """All of the message and of its pseudo header sums up to ones (RFC 4443 section 2.3)."""
    frame = checked(ipv6("02:00:00:00:00:01", "fd00::2", icmpv6(136, data), header=58,
                         target="fd00::1"), "02:00:00:00:00:09")  # fmt: skip
    payload = frame[54:]
    summed = frame[22:54] + len(payload).to_bytes(4, "big") + b"\0\0\0\x3a" + payload
    summed += bytes(len(summed) % 2)
    total = sum(int.from_bytes(summed[at : at + 2], "big") for at in range(0, len(summed), 2))
    assert total % 0xFFFF == 0
    assert frame[:6] == bytes.fromhex("020000000009")
