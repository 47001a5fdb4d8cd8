"""A plan is worked out and checked before a training begins."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from falx.declaration import declared
from falx.errors import BadInput, UnusableData
from falx.recipe import load_recipe
from falx.runs.inputs import find_inputs
from falx.runs.options import TrainOptions
from falx.runs.plan import make_plan, split_strategy


@pytest.fixture
def data(phantoms, tmp_path):
    """The phantoms, and a copy of ten of them."""
    folder = tmp_path / "data"
    shutil.copytree(phantoms, folder)
    for file in sorted((folder / "yes").iterdir())[:10]:
        shutil.copy(file, file.with_name(f"copy-of-{file.name}"))
    return folder


def plan(data, *, recipe="demo", split="70/15/15", seed=0, positive=None, changes=None):
    options = {each.name: each.option.default for each in declared(TrainOptions)} | {
        "recipe": recipe, "changes": changes, "weights": "random", "seed": seed,
        "positive": positive, "split": split,
    }  # fmt: skip
    return make_plan(find_inputs((data,), options), split)


def command(made):
    record = made.inputs.record(
        "train",
        {**made.inputs.options, "split": made.strategy},
        Path("runs/x"),
        split="",
        seconds=0,
    )
    return record.command


def test_a_leak_free_split_has_no_leakage_and_a_random_one_says_how_much(data):
    leak_free, random = plan(data), plan(data, split="random")
    assert not leak_free.leaked.any()
    assert leak_free.split_description == "leak-free 70/15/15"
    groups, split = random.inputs.usable.groups, random.split
    expected = [group in set(groups[split.train]) for group in groups[split.test]]
    assert random.leaked.tolist() == expected
    assert any(expected)
    assert "ignoring groups" in random.split_description


def test_a_plan_with_a_random_split_is_the_random_split_of_its_seed(data):
    other, random = plan(data, seed=3).with_random_split(), plan(data, split="random", seed=3)
    np.testing.assert_array_equal(other.split.names(), random.split.names())


def test_slices_of_one_patient_are_on_one_side(phantoms, tmp_path):
    files = sorted(phantoms.glob("*/*.png"))
    table = pd.DataFrame({
        "path": [str(file) for file in files],
        "label": [file.parent.name for file in files],
        "patient": [f"{file.parent.name}-{number // 3}" for number, file in enumerate(files)],
    })  # fmt: skip
    table.to_csv(tmp_path / "data.csv", index=False)
    made = plan(tmp_path / "data.csv")
    part_of = pd.Series(made.split.names()).groupby(made.inputs.usable.table["patient"]).nunique()
    assert (part_of == 1).all()


@pytest.mark.parametrize(
    ("split", "sentence"),
    [
        ("80/20", "takes percentages such as 70/15/15"),
        ("70/20/20", "must sum to 100"),
        ("radnom", "not 'radnom'"),
        ("predefined", "don't say whether they are train"),
        ("98/1/1", None),
    ],
)
def test_a_split_is_understood_or_refused(data, split, sentence):
    if sentence is None:
        assert len(plan(data, split=split).split.test) >= 2
        return
    with pytest.raises(BadInput, match=sentence):
        plan(data, split=split)


def test_a_split_file_of_an_earlier_run_is_taken_again(data, run, phantoms):
    made = plan(phantoms, split=str(run / "split.csv"))
    earlier = pd.read_csv(run / "split.csv")
    assert made.split.names().tolist() == earlier["part"].tolist()
    assert made.split_description.startswith("from ")


def test_the_request_changes_with_all_that_decides_the_result_and_with_nothing_else(data, tmp_path):
    first = plan(data).request()
    shutil.copytree(data, tmp_path / "elsewhere")
    assert plan(tmp_path / "elsewhere").request() == first
    others = [
        plan(data, seed=1),
        plan(data, split="60/20/20"),
        plan(data, positive="no"),
        plan(data, changes={"head.dropout": "0.4"}),
    ]
    requests = [str(first), *(str(other.request()) for other in others)]
    assert len(set(requests)) == len(requests)
    (data / "no" / "00000.png").unlink()
    assert plan(data).request() != first


def test_the_command_repeats_the_plan(data):
    made = plan(data, seed=4, positive="no", changes={"head.dropout": "0.4"})
    words = f"falx train {data} --recipe demo --set head.dropout=0.4 --weights random --seed 4"
    assert command(made) == f"{words} --positive no"


def test_a_recipe_made_in_python_is_found_beside_the_report(data):
    mine = load_recipe("demo").changed({"name": "mine"})
    assert "--recipe runs/x/recipe.yaml" in command(plan(data, recipe=mine))


def test_a_class_with_fewer_groups_than_parts_is_refused(phantoms, tmp_path):
    for label, n in (("yes", 20), ("no", 2)):
        (tmp_path / label).mkdir()
        for file in sorted((phantoms / label).iterdir())[:n]:
            shutil.copy(file, tmp_path / label)
    with pytest.raises(UnusableData, match=r"2 group\(s\)"):
        plan(tmp_path)


def test_a_part_without_a_class_is_refused(data, tmp_path):
    files = sorted(data.glob("*/*.png"))
    rows = [
        f"{file.parent.name}/{file.name},{'test' if file.parent.name == 'yes' else 'train'}"
        for file in files
    ]
    rows[0] = rows[0].replace("train", "test")
    (tmp_path / "split.csv").write_text("\n".join(["path,part", *rows]))
    with pytest.raises(UnusableData, match="no slice of"):
        plan(data, split=str(tmp_path / "split.csv"))


@pytest.fixture
def by_default():
    """A function from data and options to the recipe and the weights of a training."""

    def chosen(data, **given):
        options = {each.name: each.option.default for each in declared(TrainOptions)} | given
        inputs = find_inputs((data,), options)
        return inputs.recipe.name, inputs.weights.name

    return chosen


def test_tumor_is_told_from_none_by_the_localization_head_that_ships(phantoms, by_default):
    assert by_default(phantoms) == ("localized", "falx")


def test_what_the_localization_head_cannot_take_is_trained_by_best(phantoms, kinds, by_default):
    assert by_default(phantoms, weights="phantom") == ("best", "phantom")
    assert by_default(phantoms, pretrain_on=kinds) == ("best", "phantom")
    assert by_default(kinds) == ("best", "phantom")


def test_two_kinds_of_tumors_are_told_apart_by_best(kinds, by_default, tmp_path):
    for kind in ("glioma", "pituitary"):
        shutil.copytree(kinds / kind, tmp_path / kind)
    assert by_default(tmp_path) == ("best", "phantom")


def test_a_recipe_that_is_named_is_taken(phantoms, by_default):
    assert by_default(phantoms, recipe="best") == ("best", "phantom")


@pytest.mark.parametrize(
    "split", [(0.7, 0.15, 0.15), [0.7, 0.15, 0.15], np.array([70, 15, 15]) / 100]
)
def test_fractions_are_a_split(split):
    assert split_strategy(split) == "70/15/15"


def test_text_and_files_are_a_split_as_they_are(tmp_path):
    assert split_strategy("random") == "random"
    assert split_strategy(tmp_path / "split.csv") == str(tmp_path / "split.csv")


@pytest.mark.parametrize(
    "split",
    [
        (0.7, 0.3), (0.7, 0.2, 0.2), (0.705, 0.145, 0.15), (70, 15, 15), 0.7, None,
        (0.7, 0.15, float("nan")), (float("inf"), 0.5, 0.5), ("a", "b", "c"),
    ],
)  # fmt: skip
def test_what_are_no_fractions_is_one_sentence(split):
    with pytest.raises(
        BadInput, match=r"whole percents that sum to 1, such as \(0.7, 0.15, 0.15\)"
    ):
        split_strategy(split)


def test_a_part_of_nothing_is_refused(data):
    with pytest.raises(BadInput, match="must be positive"):
        plan(data, split=split_strategy((0.7, 0.3, 0.0)))
