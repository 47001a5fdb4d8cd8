"""Recipes are validated, can be overridden field by field, and survive a round trip."""

import pytest

from falx.errors import BadInput
from falx.recipe import (
    Augmentation,
    Backbone,
    Head,
    Optimizer,
    Phase,
    Plateau,
    Pretraining,
    Recipe,
    Rendering,
    field_names,
    load_recipe,
    recipe_names,
)


@pytest.mark.parametrize("name", recipe_names())
def test_a_shipped_recipe_is_named_like_its_file_and_survives_a_round_trip(name, tmp_path):
    recipe = load_recipe(name)
    file = tmp_path / "copy.yaml"
    file.write_text(recipe.to_yaml())
    assert recipe.name == name
    assert load_recipe(file) == recipe


def test_the_paper_recipe_says_what_the_paper_says():
    recipe = load_recipe("paper")
    assert recipe.rendering.size == 224
    assert recipe.backbone.scaling == "zero_one"
    assert (recipe.head.pooling, recipe.head.hidden, recipe.head.dropout) == ("flatten", 128, 0.5)
    assert recipe.head.normalization
    assert recipe.batch_size == 32
    assert recipe.class_weights == "balanced"
    assert [(phase.epochs, phase.unfreeze_from) for phase in recipe.phases] == [
        (20, "head"),
        (10, 100),
    ]
    assert recipe.phases[0].learning_rate == 1e-4
    assert recipe.optimizer.clip_norm is not None
    assert recipe.plateau is not None


def test_any_field_can_be_overridden():
    changed = load_recipe("paper").changed(
        {
            "head.dropout": "0.3",
            "phases.1.epochs": "3",
            "phases.0.learning_rate": "1e-3",
            "plateau": "null",
            "augmentation.flip": "false",
        }
    )
    assert changed.head.dropout == 0.3
    assert changed.phases[1].epochs == 3
    assert changed.phases[0].learning_rate == 1e-3
    assert changed.plateau is None
    assert changed.augmentation.flip is False


@pytest.mark.parametrize(
    ("field", "closest"),
    [
        ("head.dropot", "head.dropout"),
        ("augmentation.rotaton", "augmentation.rotation"),
        ("plateau.facto", "plateau.factor"),
        ("phases.7.epochs", "phases.0.epochs"),
        ("batchsize", "batch_size"),
    ],
)
def test_the_closest_field_to_a_misspelled_one_is_suggested(field, closest):
    with pytest.raises(BadInput, match=f"did you mean '{closest}'"):
        load_recipe("paper").changed({field: "1"})


def test_a_misspelled_field_in_a_file_is_named(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nphasess: []\nphases: [{name: a, epochs: 1, learning_rate: 0.1}]\n")
    with pytest.raises(BadInput, match=r"'phasess' is not a field of a recipe .*'phases'"):
        load_recipe(file)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("head.dropout", "1.5"),
        ("rendering.size", "225"),
        ("phases.0.epochs", "-1"),
        ("top_fraction", "0"),
        ("backbone.name", "alexnet"),
    ],
)
def test_a_value_out_of_range_is_an_error_that_names_the_field(field, value):
    with pytest.raises(BadInput, match=field.split(".")[-1]):
        load_recipe("lite").changed({field: value})


def test_a_recipe_without_epochs_is_an_error():
    with pytest.raises(BadInput, match="at least one epoch"):
        load_recipe("lite").changed({"phases.0.epochs": "0", "phases.1.epochs": "0"})


def test_an_unknown_recipe_lists_those_that_ship():
    with pytest.raises(BadInput, match=r"no recipe 'papr' \(did you mean 'paper'\?\).*demo, lite"):
        load_recipe("papr")


@pytest.mark.parametrize("content", ["[1, 2]", "a: [", ""])
def test_a_file_without_a_recipe_is_an_error(content, tmp_path):
    file = tmp_path / "broken.yaml"
    file.write_text(content)
    with pytest.raises(BadInput, match=r"broken\.yaml"):
        load_recipe(file)


def test_a_recipe_is_immutable():
    recipe = load_recipe("lite")
    with pytest.raises(ValueError, match="frozen"):
        recipe.batch_size = 1
    assert isinstance(recipe, Recipe)


@pytest.mark.parametrize(
    "part",
    [Recipe, Rendering, Augmentation, Backbone, Head, Phase, Optimizer, Plateau, Pretraining],
    ids=lambda part: part.__name__,
)
def test_every_field_has_a_description_of_one_line(part):
    assert part.model_fields
    for name, field in part.model_fields.items():
        assert field.description, name
        assert "\n" not in field.description, name
        assert not field.description.endswith("."), name


def test_field_names_are_dotted_sorted_and_unique():
    names = field_names()
    assert {"head.dropout", "phases.0.epochs", "plateau.factor", "augmentation.flip"} <= set(names)
    assert names == sorted(set(names))


def test_a_localization_head_and_its_pooling_need_each_other():
    for changes in ({"backbone.localization": "true"}, {"head.pooling": "evidence"}):
        with pytest.raises(
            BadInput, match=r"backbone\.localization and head\.pooling 'evidence' need"
        ):
            load_recipe("lite").changed(changes)


def test_a_localization_head_is_not_trained_with_the_data():
    with pytest.raises(BadInput, match="stays as `falx pretrain` left it"):
        load_recipe("localized").changed(
            {"phases.0.unfreeze_from": "100", "phases.0.solver": "optimizer"}
        )
