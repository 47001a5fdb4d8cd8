"""The shape of the code: small modules, no room too large, every room in ARCHITECTURE.md."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "falx").rglob("*.py"))
MAX_LINES = 400
MAX_SHARE = 0.2


def lines_of(file: Path) -> int:
    return len(file.read_text("utf-8").splitlines())


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT / "src")))
def test_a_module_has_at_most_400_lines(file):
    assert lines_of(file) <= MAX_LINES


def test_no_room_holds_a_fifth_of_the_lines():
    rooms: Counter[str] = Counter()
    for file in SOURCES:
        place = file.relative_to(ROOT / "src" / "falx").parts
        rooms[place[0]] += lines_of(file)
    largest, lines = rooms.most_common(1)[0]
    assert lines < MAX_SHARE * rooms.total(), f"{largest} holds {lines} of {rooms.total()} lines"


def test_every_room_is_described():
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    rooms = {
        file.relative_to(ROOT / "src" / "falx").parts[0].removesuffix(".py") for file in SOURCES
    }
    assert {room for room in rooms if f"`{room}`" not in text} == {"__init__"}
