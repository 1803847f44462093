"""Who may talk to whom, as people say it: in bundles, by hand, and by what an image says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hosts.engine.hooked_runtime import start
from hosts.engine.runtimes import each_runtime
from hosts.engine.wrapped_runtime import UNDER, docker_under_wrapper, labels
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.lab.machine import Lab


def answers(lab: Lab, name: str, to: str) -> bool:
    """Tell whether a packet of one container's is answered there."""
    return bool(lab.ocinet("explain", name, to, "--format", "json", check=False).json()["ok"])


@each_runtime
def test_web_reaches_db_and_nobody_else_does(lab: Lab, runtime: str) -> None:
    """In any order of starts; by a bundle's word, then by another one while it runs."""
    lab.ocinet("network", "create", "shop", "--icc=false")
    start(lab, runtime, "web", "--net", "shop", "--allow", "db:80")
    start(lab, runtime, "other", "--net", "shop")
    db = start(lab, runtime, "db", "--net", "shop")
    db.namespace.serve("tcp", 80)
    assert answers(lab, "web", "db:80")
    assert not answers(lab, "other", "db:80")
    shown = lab.ocinet("inspect", "web", "db").json()
    assert shown[0]["access"]["allow"][0]["name"] == "db"
    assert [each["from"] for each in shown[1]["refused"]] == ["other"]

    told = lab.ocinet("explain", "other", "db:80", "--format", "json", check=False).json()
    command = next(hop["remedy"] for hop in told["hops"] if not hop["ok"])
    assert command == "ocinet attach other --net shop --allow db:80/tcp"
    lab.ocinet(*command.split()[1:])
    assert answers(lab, "other", "db:80")
    lab.ocinet("attach", "web", "--net", "shop", "--allow", "none")
    assert not answers(lab, "web", "db:80")
    plan = lab.ocinet("plan", "web", "--net", "shop", "--allow", "db:81").stdout
    assert "add element inet ocinet pair4" in plan


@pytest.mark.parametrize("under", [(), (UNDER,)], ids=["watched", "wrapped"])
def test_link_opens_what_dockers_container_exposes(lab: Lab, under: tuple[str, ...]) -> None:
    """As Docker's own links do without icc; to who has it alone, also after a restart."""
    lab.ocinet("network", "create", "shop", "--icc=false")
    on_shop = (*under, *labels(net="shop"))
    with docker_under_wrapper(lab) as docker, lab.watch():
        docker.run(*on_shop, *labels(link="db:store"), "--name=web")
        docker.run(*on_shop, "--name=other")
        db = docker.run(*on_shop, "--name=db", "--expose=80")
        for restarted in (False, True):
            if restarted:
                docker("restart", "--time=0", "db")
                db = type(db)(db.id, docker)  # in another sandbox
            lab.ocinet("wait", "web", "db", "other")
            for port in (80, 81):
                db.namespace.serve("tcp", port)
            wait_until(lambda: answers(lab, "web", "db:80"), "the way by the link")
            assert not answers(lab, "web", "db:81")
            assert not answers(lab, "other", "db:80")
        shown = lab.ocinet("inspect", "db").json()
        assert shown[0]["access"]["listens"][0]["first"] == 80
