"""Whose DNS name is looked up next, and when again."""

from __future__ import annotations

from ocinet.watcher.name_turns import EVERY_S, NameTurns

_MANY = tuple(f"dead-{number}.example" for number in range(256))


def test_who_has_one_name_waits_for_no_more_than_one_of_who_has_many() -> None:
    """Also where a round ends after each name."""
    turns = NameTurns()
    turns.want({"greedy": _MANY, "web": ("api.example", "www.example")})
    assert list(turns.due(0))[:4] == ["dead-0.example", "api.example", "dead-1.example",
                                      "www.example"]  # fmt: skip
    turns = NameTurns()
    turns.want({"greedy": _MANY, "web": ("api.example", "www.example")})
    found = []
    for round_number in range(4):
        name = next(turns.due(round_number))
        turns.looked_up(name, round_number, answered=False)
        found.append(name)
    assert found == ["dead-0.example", "api.example", "dead-1.example", "www.example"]


def test_name_is_looked_up_again_later_each_time_that_nobody_answers() -> None:
    """Up to two minutes; an answer has it asked for each half minute again."""
    turns = NameTurns()
    turns.want({"web": ("a",), "db": ("a",)})
    now = 100.0
    for times in (1, 2, 4, 4):
        assert list(turns.due(now)) == ["a"]
        turns.looked_up("a", now, answered=False)
        assert list(turns.due(now + times * EVERY_S - 1)) == []
        now += times * EVERY_S
    turns.looked_up("a", now, answered=True)
    assert list(turns.due(now + EVERY_S - 1)) == []
    assert list(turns.due(now + EVERY_S)) == ["a"]


def test_names_that_answer_come_first_and_those_of_the_gone_are_forgotten() -> None:
    """Whoever comes with the same name has it looked up at once."""
    turns = NameTurns()
    assert not turns.want({"web": ("a", "b")})
    turns.looked_up("a", 0, answered=False)
    turns.looked_up("b", 0, answered=True)
    assert list(turns.due(EVERY_S)) == ["b", "a"]
    assert turns.want({"web": ("b",)})
    assert not turns.want({"web": ("a", "b")})
    assert list(turns.due(1)) == ["a"]
