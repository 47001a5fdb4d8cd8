"""Every item of a guideline that is not about an article has a row, and an answer."""

import re

from falx.reporting.card import checklists as module


def items(rows):
    return [number for row in rows for number in row.numbers.split(", ")]


def test_claim_has_its_items_in_order_but_those_of_an_article():
    assert items(module.CLAIM) == [str(number) for number in range(5, 45)]


def test_tripod_has_its_items_but_those_of_an_article():
    letters = {3: "b", 5: "ab", 6: "abc", 8: "abc", 9: "abc", 12: "abcdefg", 18: "abcdef",
               20: "abc", 23: "ab", 27: "abc"}  # fmt: skip
    expected = {
        f"{number}{letter}" for number in range(5, 28) for letter in letters.get(number, "") or [""]
    } | {"3b"}
    assert sorted(items(module.TRIPOD)) == sorted(expected)


def test_every_row_is_answered_or_marked_as_open():
    _, *tables = module.checklists().blocks
    rows = [row for table in tables for row in table.rows]
    for item, (_, _, answer) in zip((*module.CLAIM, *module.TRIPOD), rows, strict=True):
        kinds = [span.kind for span in answer]
        assert ("open" in kinds) == (item.state == "open")
        assert ("link" in kinds) == (item.state == "answered")
        assert re.search(r"[.]$", "".join(span.text for span in answer))
