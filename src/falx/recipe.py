"""Recipes: everything that decides a training, as a checked YAML file.

A recipe is data. `load_recipe("paper")` reads one that ships with falx, `load_recipe("mine.yaml")`
one of yours, and `recipe.changed({"head.dropout": "0.3"})` overrides any field.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from falx import defaults
from falx.errors import BadInput

Precision = Literal["fp32", "bf16"]
"""Of the arithmetic of convolutions in training; not part of a recipe, but of a machine."""


class Part(BaseModel):
    """Base of all parts: immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Rendering(Part):
    """How a slice becomes the square that the network sees."""

    size: int = Field(224, ge=32, le=1024, multiple_of=32, description="side in pixels")
    crop: Literal["none", "head"] = Field("head", description="cut to the head's box first")
    aspect: Literal["stretch", "keep"] = Field(
        "keep", description="stretch to the square, or keep proportions and pad with background"
    )


class Augmentation(Part):
    """How training views differ: ranges of an affine map, then of changes to grey levels.

    Ranges are uniform and deviations normal. Grey levels are shares of the range from black to
    white; 0 leaves them alone.
    """

    seed: int = Field(
        0, ge=0, description="of the views alone, so that trainings with other seeds share them"
    )
    rotation: float = Field(0.0, ge=0, le=180, description="degrees, either way")
    shift_x: float = Field(0.0, ge=0, le=0.5, description="share of the width, either way")
    shift_y: float = Field(0.0, ge=0, le=0.5, description="share of the height, either way")
    shear: float = Field(0.0, ge=0, le=45, description="degrees, either way")
    zoom: float = Field(0.0, ge=0, lt=1, description="each axis scales by 1 - zoom to 1 + zoom")
    flip: bool = Field(False, description="left and right change places in half of the views")
    gamma: float = Field(0.0, ge=0, le=2, description="standard deviation of the log of a gamma")
    bias: float = Field(
        0.0,
        ge=0,
        le=2,
        description="standard deviation of the log of a smooth factor, as coils leave one; in half "
        "of the views",
    )
    blur: float = Field(
        0.0, ge=0, le=20, description="largest sigma in pixels; in 0.3 of the views"
    )
    coarse: float = Field(
        0.0, ge=0, lt=1, description="largest share of a side's pixels lost; in 0.2 of the views"
    )
    contrast: float = Field(
        0.0, ge=0, le=2, description="standard deviation of the log of the contrast"
    )
    brightness: float = Field(0.0, ge=0, le=1, description="standard deviation of an offset")
    noise: float = Field(
        0.0, ge=0, le=1, description="largest standard deviation of noise; in 0.3 of the views"
    )
    invert: float = Field(0.0, ge=0, le=1, description="share of the views that are negatives")


class Backbone(Part):
    """The convolutional network below the head."""

    name: Literal["mobilenet_v2"] = "mobilenet_v2"
    width: float = Field(1.0, gt=0, le=2, description="width multiplier")
    scaling: Literal["zero_one", "minus_one_one"] = Field(
        "minus_one_one", description="what grey levels 0 to 255 become inside the network"
    )
    normalization: Literal["inference", "training"] = Field(
        "inference",
        description="whether batch normalization keeps its statistics or follows the batches",
    )


class Head(Part):
    """The layers after the backbone."""

    pooling: Literal["average", "flatten"] = "average"
    hidden: int = Field(0, ge=0, le=4096, description="units of a ReLU layer; 0 for none")
    normalization: bool = Field(False, description="batch normalization after the hidden layer")
    dropout: float = Field(0.0, ge=0, lt=1)


class Phase(Part):
    """A stretch of epochs with one set of trainable layers and one starting rate."""

    name: str
    epochs: int = Field(ge=0, le=10_000)
    learning_rate: float = Field(gt=0, le=1)
    train_from: Literal["head"] | Annotated[int, Field(ge=0)] = Field(
        "head", description="'head', or the first backbone layer (by number) that is trained"
    )
    solver: Literal["optimizer", "logistic"] = Field(
        "optimizer",
        description="'logistic' fits a linear head at once, to one view of each slice an epoch; "
        "learning rate and optimizer are not used",
    )
    penalty: float = Field(
        100.0, gt=0, description="of a logistic head's squared weights, features standardized"
    )

    @model_validator(mode="after")
    def _fits_a_head(self) -> Self:
        if self.solver == "logistic" and self.train_from != "head":
            raise ValueError("the solver 'logistic' fits a head alone; set train_from to 'head'")
        return self


class Optimizer(Part):
    """How weights move."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    clip_norm: float | None = Field(None, gt=0, description="largest norm of one gradient")
    weight_decay: float = Field(0.0, ge=0)


class Plateau(Part):
    """Lower the rate when validation loss stops falling (Keras' ReduceLROnPlateau)."""

    factor: float = Field(0.2, gt=0, lt=1)
    patience: int = Field(3, ge=0)
    least_rate: float = Field(1e-6, ge=0)


class Pretraining(Part):
    """How a backbone learns from another dataset before the training proper.

    It takes place where a dataset is named for it, by --pretrain-on; an epoch is one pass over it.
    """

    seed: int = Field(
        0,
        ge=0,
        le=defaults.MOST_SEED,
        description="of its own, so that trainings with other seeds share what was learned",
    )
    phantoms: float = Field(
        0.5,
        ge=0,
        le=0.9,
        description="share of each batch that are phantoms, lest what was learned from them is "
        "forgotten; in whole pairs, one with a tumor and one without, and at least one slice is "
        "real",
    )
    epochs: int = Field(8, ge=1, le=10_000)
    learning_rate: float = Field(2e-4, gt=0, le=1, description="the highest")
    weight_decay: float = Field(1e-4, ge=0)
    label_smoothing: float = Field(0.05, ge=0, lt=1)
    small_share: float = Field(
        0.5, ge=0, le=1, description="share of the epochs, the first, at 5/7 of the size"
    )
    augmentation: Augmentation = Augmentation(
        rotation=20,
        shift_x=0.06,
        shift_y=0.06,
        shear=6,
        zoom=0.15,
        flip=True,
        gamma=0.35,
        bias=0.25,
        blur=1.6,
        coarse=0.65,
        contrast=0.2,
        brightness=0.06,
        noise=0.06,
        invert=0.08,
    )


class Recipe(Part):
    """Everything that decides a training, apart from data, split, weights and seed."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    about: str = ""
    rendering: Rendering = Rendering()
    augmentation: Augmentation = Augmentation()
    backbone: Backbone = Backbone()
    head: Head = Head()
    phases: tuple[Phase, ...] = Field(min_length=1)
    batch: int = Field(32, ge=1, le=4096)
    optimizer: Optimizer = Optimizer()
    plateau: Plateau | None = None
    pretraining: Pretraining = Pretraining()
    class_weights: Literal["balanced", "none"] = "balanced"
    keep: Literal["best", "last"] = Field(
        "best", description="weights of the epoch with the lowest validation loss, or of the last"
    )
    mirrored: bool = Field(
        False,
        description="answers are the means over a slice and its mirror image, which takes twice "
        "the work",
    )
    study_share: float | Literal["validation"] = Field(
        "validation",
        description="share of a study's highest probabilities whose mean is the study's own, in "
        "(0, 1]; 'validation' chooses among five, 0.1 unless another is better there",
    )

    @model_validator(mode="after")
    def _trains_at_all(self) -> Self:
        if sum(phase.epochs for phase in self.phases) == 0:
            raise ValueError("phases must hold at least one epoch between them")
        logistic = any(phase.solver == "logistic" and phase.epochs for phase in self.phases)
        if logistic and (self.head.hidden or self.head.normalization):
            raise ValueError("the solver 'logistic' needs a linear head, without hidden units")
        share = self.study_share
        if share != "validation" and not 0 < share <= 1:
            raise ValueError(f"study_share must be 'validation' or in (0, 1], got {share}")
        return self

    def changed(self, changes: Mapping[str, str]) -> Recipe:
        """A copy with fields overridden, as `--set head.dropout=0.3` does.

        Args:
            changes: dotted field to YAML text; phases are named by number: `phases.0.epochs`.

        Raises:
            BadInput: a field is misspelt (the nearest is named) or a value is out of range.
        """
        import yaml

        content = self.model_dump(mode="json")
        for field, text in changes.items():
            try:
                value = yaml.safe_load(text)
            except yaml.YAMLError as error:
                raise BadInput(f"The value of '{field}' is not valid YAML: {text!r}.") from error
            _put(content, field, _number(value))
        return _checked(content, f"recipe '{self.name}' with --set")

    def to_yaml(self) -> str:
        """The recipe as YAML text that `load_recipe` reads back to an equal one."""
        import yaml

        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def recipe_names() -> list[str]:
    """Names of the recipes that ship with falx."""
    files = resources.files("falx").joinpath("recipes").iterdir()
    return sorted(Path(file.name).stem for file in files if file.name.endswith(".yaml"))


def load_recipe(name: str | Path) -> Recipe:
    """The recipe of that name, or the one in a YAML file.

    Raises:
        BadInput: there is no such recipe, or the file is not one.
    """
    text = str(name)
    if text in recipe_names():
        source = (
            resources.files("falx").joinpath("recipes").joinpath(f"{text}.yaml").read_text("utf-8")
        )
        return _parsed(source, f"recipe '{text}'")
    path = Path(text)
    if path.suffix not in {".yaml", ".yml"}:
        nearest = _nearest(text, recipe_names())
        raise BadInput(
            f"There is no recipe '{text}'{nearest}; falx ships {', '.join(recipe_names())}, or "
            "name a .yaml file."
        )
    if not path.exists():
        raise BadInput(f"There is no recipe file '{path}'; name one that is there.")
    try:
        source = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"The recipe file '{path}' can't be read: {error}.") from error
    return _parsed(source, f"'{path}'")


def _parsed(source: str, where: str) -> Recipe:
    import yaml

    try:
        content = yaml.safe_load(source)
    except yaml.YAMLError as error:
        raise BadInput(f"{where} is not valid YAML: {error}.") from error
    if not isinstance(content, dict):
        raise BadInput(f"{where} must hold fields such as 'name:' and 'phases:', not {content!r}.")
    return _checked(content, where)


def _checked(content: dict[str, Any], where: str) -> Recipe:
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise BadInput(f"In {where}, {'; '.join(map(_sentence, error.errors()))}.") from error


def _sentence(problem: Any) -> str:
    field = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"'{field}' is not a field of a recipe{_nearest(field, sorted(_fields()))}"
    return f"'{field}': {problem['msg'][:1].lower()}{problem['msg'][1:]}"


def _put(content: Any, field: str, value: object) -> None:
    """Set a dotted field of nested dictionaries and lists, in place."""
    *parents, last = field.split(".")
    for part in parents:
        content = _child(content, part, field)
        if content is None:
            raise _unknown(field)
    if isinstance(content, list):
        _child(content, last, field)
        content[int(last)] = value
    elif isinstance(content, dict) and last in content:
        content[last] = value
    else:
        raise _unknown(field)


def _child(content: Any, part: str, field: str) -> Any:
    if isinstance(content, list) and part.isdigit() and int(part) < len(content):
        return content[int(part)]
    if isinstance(content, dict) and part in content:
        return content[part]
    raise _unknown(field)


def _unknown(field: str) -> BadInput:
    return BadInput(f"'{field}' is not a field of this recipe{_nearest(field, sorted(_fields()))}.")


def _fields(model: type[BaseModel] = Recipe, prefix: str = "") -> set[str]:
    """Every dotted field name of a recipe."""
    parts = {"phases": Phase, "plateau": Plateau}
    names = set()
    for name, info in model.model_fields.items():
        inner: Any = parts.get(name, info.annotation)
        dotted = f"{prefix}{name}"
        names.add(dotted)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names |= _fields(inner, f"{dotted}.0." if name == "phases" else f"{dotted}.")
    return names


def _nearest(wrong: str, names: list[str]) -> str:
    close = difflib.get_close_matches(wrong, names, n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _number(value: object) -> object:
    """YAML 1.1 reads 1e-4 as text; a person means a number."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
