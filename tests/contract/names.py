"""Of sandboxes' names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ocinet.base.errors import SystemFailure

if TYPE_CHECKING:
    from contract.place import Place

ID = "6f2a" + "0" * 60


def name_that_is_free_is_chosen_and_made(place: Place) -> None:
    """And shows the process's sandbox; a second time it is so already."""
    names, process = place.seams().names, place.start()
    assert names.choose("web", ID, process) == "web"
    assert place.shown("web") == 0
    assert names.add("web", process) is True
    assert place.shown("web") == process.pid
    assert names.shows("web", (process,))
    assert not names.shows("web", (place.start(),))
    assert not names.shows("other", (process,))
    assert names.add("web", process) is False
    assert names.choose("web", ID, process) == "web"


def name_of_something_else_is_left_and_another_chosen(place: Place) -> None:
    """Ours begins with oc-; one that is taken is not made."""
    place.take_name("web")
    names, process = place.seams().names, place.start()
    chosen = names.choose("web", ID, process)
    assert chosen.startswith("oc-")
    with pytest.raises(SystemFailure, match="something else has that name"):
        names.add("web", process)
    assert names.add(chosen, process)
    assert place.shown("web") == 0
    assert names.remove("web", (process,)) is False


def name_of_another_process_is_as_good_as_taken(place: Place) -> None:
    """Chosen is another; where that is taken as well, none."""
    names, one, other = place.seams().names, place.start(), place.start()
    names.add("web", one)
    ours = names.choose("web", ID, other)
    assert ours != "web"
    names.add(ours, place.start())
    assert names.choose("web", ID, other) == ""


def name_takes_away_the_one_that_showed_the_same_id(place: Place) -> None:
    """The former is of a container that is gone, and nobody has told of its end."""
    names, process = place.seams().names, place.start()
    names.add("web", process)
    assert names.add("shop", process)
    assert place.shown("web") == 0
    assert place.shown("shop") == process.pid


def name_moves_to_another_process_if_it_was_the_formers(place: Place) -> None:
    """Else it is left alone."""
    names, one, other = place.seams().names, place.start(), place.start()
    names.move("web", one, other)
    assert place.shown("web") == 0
    names.add("web", one)
    names.move("web", other, one)
    assert place.shown("web") == one.pid
    names.move("web", one, other)
    assert place.shown("web") == other.pid


def name_is_removed_by_any_of_those_that_it_may_show(place: Place) -> None:
    """Not by others, and not twice."""
    names, one, other = place.seams().names, place.start(), place.start()
    names.add("web", one)
    assert names.remove("web", (other,)) is False
    assert names.remove("web", (other, one)) is True
    assert place.shown("web") == 0
    assert names.remove("web", (one,)) is False
