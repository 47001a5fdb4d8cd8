"""A missing extra names the feature and the command that installs it."""

import pytest

from falx.errors import MissingExtra
from falx.extras import EXTRAS, command, missing, needs


def test_a_missing_module_of_the_extra_becomes_one_sentence():
    with pytest.raises(MissingExtra) as raised, needs("train", "falx train"):
        raise ModuleNotFoundError(name="keras.layers")
    expected = "falx train needs 'keras.layers', which is not installed: " + command("train") + "."
    assert str(raised.value) == expected


def test_a_missing_module_of_no_extra_is_a_bug_and_stays_one():
    with pytest.raises(ModuleNotFoundError), needs("train", "falx train"):
        import falx.no_such_module  # noqa: F401


@pytest.mark.parametrize("extra", EXTRAS)
def test_nothing_is_missing_where_tests_run(extra):
    assert missing(extra) == []
