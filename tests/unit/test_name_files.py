"""What is written into a container's hosts and resolv.conf."""

from __future__ import annotations

import pytest

from builders import endpoint
from ocinet.base.address import Address, Interface
from ocinet.base.clock import Process
from ocinet.engine.kernel.name_files import state_of
from ocinet.engine.model.naming import HOSTS, RESOLV_CONF, FoundFile, FoundFiles, NameFile, Place
from ocinet.engine.model.resolution import AddedHost, Resolution
from ocinet.engine.plan.name_files import (
    BY_LINKS,
    Named,
    hosts_text,
    lines_of,
    plan_name_files,
    with_others,
)
from ocinet.engine.plan.name_steps import WriteNames

_HEAD = "# From here on by ocinet, which makes it anew.\n"
_LOCAL = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
_FREE = FoundFile("free")
_PLACE = Place(Process(4711, 1), names=("shop", "web"))
_WEB = endpoint("lan").replace(addresses=(Interface.parse("10.9.0.2/24"),))


def _found(resolvers: str = "nameserver 192.0.2.53\n", **files: FoundFile) -> FoundFiles:
    return FoundFiles(hosts=_FREE, resolv_conf=_FREE, resolvers=resolvers).replace(**files)


def _texts(found: FoundFiles, named: Named | None = None) -> dict[str, NameFile]:
    steps, _told = plan_name_files(named or Named(_PLACE, (_WEB,)), found)
    return {file.path: file for step in steps for file in step.files}


def test_plan_free_files_are_covered() -> None:
    """Both are made anew, whatever the image has."""
    files = _texts(_found())
    assert files[HOSTS].text == f"{_LOCAL}{_HEAD}10.9.0.2\tshop web\n"
    assert files[HOSTS].before == _LOCAL
    assert files[RESOLV_CONF].text == f"{_HEAD}nameserver 192.0.2.53\n"
    assert all(file.mounted for file in files.values())


def test_plan_an_engines_files_keeps_its_lines() -> None:
    """But those that have the container elsewhere; its resolv.conf stays as it is."""
    text = "127.0.0.1 localhost\n127.0.0.1\tshop web\n192.0.2.7 db web.example\n"
    files = _texts(_found(hosts=FoundFile("engine", text), resolv_conf=FoundFile("engine", "x")))
    kept = "127.0.0.1 localhost\n192.0.2.7 db web.example\n"
    assert files == {
        HOSTS: NameFile(HOSTS, f"{kept}{_HEAD}10.9.0.2\tshop web\n", text, mounted=False)
    }


def test_plan_what_is_so_already_writes_nothing() -> None:
    """As when runc calls for both of its stages."""
    files = _texts(_found())
    ours = {name: FoundFile("ours", files[path].text)
            for name, path in (("hosts", HOSTS), ("resolv_conf", RESOLV_CONF))}  # fmt: skip
    assert _texts(_found().replace(**ours)) == {}
    changed = _texts(_found("nameserver 192.0.2.54\n").replace(**ours))
    assert list(changed) == [RESOLV_CONF]
    assert not changed[RESOLV_CONF].mounted


def test_plan_files_of_others_are_left_and_odd_ones_told() -> None:
    """Those that a user has mounted are as they shall be."""
    found = _found(hosts=FoundFile("left"), resolv_conf=FoundFile("left", why="it is a FIFO"))
    assert plan_name_files(Named(_PLACE, (_WEB,)), found) == ((), ("it is a FIFO",))


def test_plan_hosts_file_that_its_engine_has_yet_to_fill_is_left() -> None:
    """podman 5 does when its hooks are over, mounted read-only or not."""
    for fixed in (False, True):
        steps, told = plan_name_files(
            Named(_PLACE, (_WEB,)), _found(hosts=FoundFile("engine", fixed=fixed))
        )
        assert [file.path for step in steps for file in step.files] == [RESOLV_CONF]
        assert told == ()


@pytest.mark.parametrize(
    ("resolvers", "servers"),
    [
        ("nameserver 192.0.2.53\nnameserver 192.0.2.53\n", ["192.0.2.53"]),
        ("nameserver 127.0.0.1\nnameserver ::1\nnameserver fe80::1%eth0\nnameserver fe80::1\n", []),
        ("nameserver fd00::53\nnameserver 192.0.2.1\n", ["192.0.2.1"]),
        ("#nameserver 192.0.2.1\n; nameserver 192.0.2.2\n\nnameserver\nnameserver x\n", []),
    ],
)
def test_plan_resolvers_are_those_that_can_be_reached(resolvers: str, servers: list[str]) -> None:
    """None at a loopback address, on a link, of another family, or twice."""
    steps, told = plan_name_files(Named(_PLACE, (_WEB,)), _found(resolvers))
    lines = steps[0].files[1].text.splitlines()
    assert [line.partition(" ")[2] for line in lines if line.startswith("nameserver")] == servers
    assert bool(told) == (not servers)


def test_plan_the_last_search_list_counts() -> None:
    """`domain` is one, too: resolv.conf(5)."""
    text = _texts(_found("domain a.example\nsearch b.example c.example\noptions ndots:2\n"))
    assert "search b.example c.example\noptions ndots:2\n" in text[RESOLV_CONF].text
    text = _texts(_found("search b.example\ndomain a.example\n"))
    assert "search a.example\n" in text[RESOLV_CONF].text


def test_plan_on_internal_networks_asks_nobody_and_says_nothing() -> None:
    """That is what they are for."""
    named = Named(_PLACE, (_WEB,), internal=True)
    steps, told = plan_name_files(named, _found())
    assert "nameserver" not in steps[0].files[1].text
    assert told == ()


_WISHES = Resolution(
    (Address.parse("192.0.2.1"), Address.parse("192.0.2.2")),
    ("a.example", "b.example"),
    ("ndots:2",),
    (AddedHost("db", Address.parse("192.0.2.7")), AddedHost("up", None)),
)
_WISHING = Named(_PLACE, (_WEB,), wishes=_WISHES, host=(Address.parse("10.9.0.1"),))
_WISHED = (
    f"{_HEAD}search a.example b.example\noptions ndots:2\n"
    "nameserver 192.0.2.1\nnameserver 192.0.2.2\n"
)


def test_plan_wishes_take_the_place_of_what_the_host_has() -> None:
    """Each kind of it; names are beside the container's own."""
    found = _found("search corp.example\noptions edns0\nnameserver 192.0.2.53\n")
    files = _texts(found, _WISHING)
    assert files[RESOLV_CONF].text == _WISHED
    own = f"{_LOCAL}{_HEAD}10.9.0.2\tshop web\n"
    assert files[HOSTS].text == f"{own}192.0.2.7\tdb\n10.9.0.1\tup\n"
    assert files[HOSTS].before == _LOCAL
    alone = _WISHING.replace(wishes=Resolution(options=("ndots:2",)))
    text = f"{_HEAD}search corp.example\noptions ndots:2\nnameserver 192.0.2.53\n"
    assert _texts(found, alone)[RESOLV_CONF].text == text
    no_search = _WISHING.replace(wishes=Resolution(search=(".",)))
    text = f"{_HEAD}options edns0\nnameserver 192.0.2.53\n"
    assert _texts(found, no_search)[RESOLV_CONF].text == text


def test_plan_resolver_that_is_wished_is_asked_from_an_internal_network() -> None:
    """It may be there itself; the host's would not be reached."""
    text = _texts(_found(), _WISHING.replace(internal=True))[RESOLV_CONF].text
    assert text == _WISHED
    assert plan_name_files(_WISHING, _found("nameserver 127.0.0.53\n"))[1] == ()


def test_plan_wishes_change_an_engines_files_and_give_them_back() -> None:
    """Docker's own lines stay, or are kept as comments: it makes them once alone."""
    dockers = "# Generated by Docker Engine.\nnameserver 192.0.2.53\nsearch corp.example\n"
    hosts = FoundFile("engine", "127.0.0.1\tlocalhost\n192.0.2.9\tcache\n")
    found = _found(hosts=hosts, resolv_conf=FoundFile("engine", dockers))
    files = _texts(found, _WISHING)
    own = "10.9.0.2\tshop web\n192.0.2.7\tdb\n10.9.0.1\tup\n"
    assert files[HOSTS].text == f"{hosts.text}{_HEAD}{own}"
    changed = files[RESOLV_CONF]
    assert changed.text.startswith(_WISHED)
    assert not changed.mounted
    assert changed.before == dockers
    again = found.replace(resolv_conf=FoundFile("engine", changed.text))
    assert RESOLV_CONF not in _texts(again, _WISHING)
    option = _WISHING.replace(wishes=Resolution(options=("ndots:9",)))
    text = _texts(again, option)[RESOLV_CONF].text
    assert text.startswith(f"{_HEAD}search corp.example\noptions ndots:9\nnameserver 192.0.2.53\n")
    assert _texts(again)[RESOLV_CONF].text == dockers


@pytest.mark.parametrize(
    ("change", "found", "told"),
    [
        ({}, {"resolv_conf": FoundFile("left")}, "no dns key counts for it"),
        ({}, {"hosts": FoundFile("left")}, "what add-host says is not in it"),
        ({"host": ()}, {}, "no address on the container's first network for host-gateway"),
        (
            {"wishes": Resolution((Address.parse("fd00::53"),))},
            {},
            "the resolver fd00::53 is of IPv6, of which the container has no address",
        ),
    ],
)
def test_plan_wish_that_can_not_be_met_is_told(
    change: dict[str, object], found: dict[str, FoundFile], told: str
) -> None:
    """Nothing that is asked for is left out without a word."""
    assert plan_name_files(_WISHING, _found())[1] == ()
    (said,) = plan_name_files(_WISHING.replace(**change), _found().replace(**found))[1]
    assert told in said


def test_plan_of_files_that_nobody_may_touch_says_nothing_where_nothing_is_wished_of_them() -> None:
    """A user's own resolv.conf beside a name that is added to hosts is as it shall be."""
    named = _WISHING.replace(wishes=Resolution(hosts=_WISHES.hosts))
    assert plan_name_files(named, _found(resolv_conf=FoundFile("left")))[1] == ()


def test_hosts_text_of_a_shared_file_has_the_names_of_all_who_share() -> None:
    """A member has its owner's file; who had another address is no more in it."""
    owner = hosts_text("127.0.0.1 localhost\n", ("4f0c", "web"), ("10.9.0.2",))
    both = hosts_text(owner, ("77b1", "db"), ("10.9.0.2",), ("192.0.2.7\tup\n",))
    lines = "10.9.0.2\t77b1 db\n10.9.0.2\t4f0c web\n"
    assert both == f"127.0.0.1 localhost\n{_HEAD}{lines}192.0.2.7\tup\n"
    assert hosts_text(both, ("4f0c", "web"), ("10.9.0.2",)).count("\t") == 2
    moved = hosts_text(both, ("77b1", "db"), ("10.9.0.3",))
    assert moved == f"127.0.0.1 localhost\n{_HEAD}10.9.0.3\t77b1 db\n"


def test_hosts_text_of_a_container_named_localhost_stays_so() -> None:
    """A name says nothing of what everybody finds at 127.0.0.1."""
    named = Named(_PLACE.replace(names=("localhost", "web")), (_WEB,))
    assert _texts(_found(), named)[HOSTS].text == f"{_LOCAL}{_HEAD}10.9.0.2\tweb\n"
    assert hosts_text("127.0.0.1 localhost web\n", ("web",), ()) == "127.0.0.1 localhost web\n"


def test_take_back_says_what_was_there_before() -> None:
    """In place: what covers an image's file stays until the container's mounts go."""
    file = NameFile(HOSTS, "new", "old", mounted=True)
    inverse = WriteNames(_PLACE, (file,)).inverse()
    assert inverse == WriteNames(_PLACE, (NameFile(HOSTS, "old", "new", mounted=False),))


@pytest.mark.parametrize(
    ("source", "whose"),
    [
        ("/.ocinet-hosts//deleted", "ours"),
        ("/containers/storage/overlay-containers/" + "a" * 64 + "/userdata/hosts", "engine"),
        ("/var/lib/docker/containers/" + "b" * 64 + "/resolv.conf", "engine"),
        ("/srv/userdata/hosts", "left"),
        ("/srv/hosts", "left"),
        ("/" + "c" * 63 + "/hosts", "left"),
        ("", "left"),
    ],
)
def test_mount_is_whose_its_source_says(source: str, whose: str) -> None:
    """Engines keep one container's files in a folder of its id."""
    assert state_of(source) == whose


_SERVED = Named(_PLACE, (_WEB,), resolvers=(Address.parse("10.9.0.1"),))


def test_plan_served_names_are_asked_for_before_any_search_domain() -> None:
    """The network's server instead of the host's resolvers, which need not be reached."""
    found = _found("search corp.example\noptions edns0 ndots:5\nnameserver 127.0.0.53\n")
    steps, told = plan_name_files(_SERVED, found)
    asked = "search corp.example\noptions ndots:0 edns0\nnameserver 10.9.0.1\n"
    assert steps[0].files[1].text == f"{_HEAD}{asked}"
    assert told == ()


def test_plan_served_names_of_an_internal_network_wait_for_nobody() -> None:
    """The host's domains are nobody's there, and silence is soon one; what is wished counts."""
    found = _found("search corp.example\noptions edns0\nnameserver 192.0.2.53\n")
    internal = _SERVED.replace(internal=True)
    asked = "options ndots:0 timeout:1 edns0\nnameserver 10.9.0.1\n"
    assert _texts(found, internal)[RESOLV_CONF].text == f"{_HEAD}{asked}"
    dockers = FoundFile("engine", "search corp.example\nnameserver 192.0.2.53\n")
    text = _texts(found.replace(resolv_conf=dockers), internal)[RESOLV_CONF].text
    assert text.startswith(f"{_HEAD}options ndots:0 timeout:1\nnameserver 10.9.0.1\n")
    own = FoundFile("engine", "search own.example\nnameserver 192.0.2.53\n")
    text = _texts(found.replace(resolv_conf=own), internal)[RESOLV_CONF].text
    assert "search own.example\n" in text
    wished = Resolution(search=("a.example",), options=("timeout:3",))
    text = _texts(found, internal.replace(wishes=wished))[RESOLV_CONF].text
    assert text == f"{_HEAD}search a.example\noptions ndots:0 timeout:3\nnameserver 10.9.0.1\n"


def test_plan_served_names_and_wishes_are_both_had() -> None:
    """Own resolvers are asked by the server; a number of dots that is wished counts."""
    wished = Resolution((Address.parse("192.0.2.1"),), ("a.example",), ("ndots:2", "rotate"))
    text = _texts(_found(), _SERVED.replace(wishes=wished))[RESOLV_CONF].text
    options = "options ndots:2 rotate"
    assert text == f"{_HEAD}search a.example\n{options}\nnameserver 10.9.0.1\n"


@pytest.mark.parametrize(
    ("dockers", "served"),
    [
        ("nameserver 192.0.2.53\nsearch corp.example\n", True),
        ("nameserver 8.8.8.8\nnameserver 8.8.4.4\n", True),
        ("nameserver 192.0.2.99\n", False),
    ],
)
def test_plan_served_names_leave_an_engines_user_the_resolvers_of_his_choice(
    dockers: str, served: bool
) -> None:
    """`docker run --dns` is one; what Docker took from the host is exchanged, and comes back."""
    found = _found(resolv_conf=FoundFile("engine", dockers))
    files = _texts(found, _SERVED)
    assert (RESOLV_CONF in files) is served
    if served:
        changed = files[RESOLV_CONF]
        assert "options ndots:0\nnameserver 10.9.0.1\n" in changed.text
        assert not changed.mounted
        again = found.replace(resolv_conf=FoundFile("engine", changed.text))
        assert RESOLV_CONF not in _texts(again, _SERVED)
        assert _texts(again)[RESOLV_CONF].text == dockers


def test_lines_of_others_are_by_topic_and_each_takes_the_place_of_its_former() -> None:
    """Whatever comes first; what the container's own lines are told stays before them."""
    text = with_others("127.0.0.1 localhost\n", "on lan", ("1\ta\n", "2\tb\n", "1\ta\n"))
    text = with_others(text, BY_LINKS, ("3\tc\n",))
    text = with_others(text, "on dmz", ("4\td\n",))
    assert lines_of(text, "on lan") == "1\ta\n2\tb\n"
    assert (lines_of(text, "on dmz"), lines_of(text, "on x")) == ("4\td\n", "")
    text = with_others(text, BY_LINKS, ("5\te\n",))
    assert [line for line in text.splitlines() if line[0] in "12345"] == [
        "127.0.0.1 localhost", "1\ta", "2\tb", "5\te", "4\td"
    ]  # fmt: skip
    for topic in ("on lan", "on dmz", BY_LINKS, BY_LINKS):
        text = with_others(text, topic, ())
    assert text == "127.0.0.1 localhost\n"
    assert with_others("", BY_LINKS, ("5\te\n",)).startswith("# Others by links")
