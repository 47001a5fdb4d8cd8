"""Figures by name, each drawn when it is asked for."""

import pytest
from matplotlib.figure import Figure

from falx.figures.drawing import Drawing, Figures, figure_name


@pytest.fixture
def drawn():
    """Figures of two titles, and which of them were drawn, in order."""
    order = []

    def drawing(title):
        def draw():
            order.append(title)
            return Figure()

        return Drawing(title, "A sentence.", draw)

    drawings = {each.name: each for each in map(drawing, ("ROC", "Precision-recall"))}
    return Figures(drawings), order


def test_nothing_is_drawn_before_it_is_asked_for(drawn):
    figures, order = drawn
    assert list(figures) == ["roc", "precision_recall"]
    assert len(figures) == 2
    assert "roc" in figures
    assert repr(figures) == "Figures(roc, precision_recall)"
    assert not order


def test_a_figure_is_drawn_anew_whenever_it_is_taken(drawn):
    figures, order = drawn
    assert isinstance(figures["roc"], Figure)
    assert figures["roc"] is not figures["roc"]
    assert order == ["ROC"] * 3


def test_an_unknown_name_names_the_others(drawn):
    with pytest.raises(KeyError, match="no figure 'rocs', only roc, precision_recall"):
        _ = drawn[0]["rocs"]


def test_a_name_is_the_title_in_lower_case():
    assert figure_name("Precision-recall") == "precision_recall"
    assert figure_name("Probability by level") == "probability_by_level"
