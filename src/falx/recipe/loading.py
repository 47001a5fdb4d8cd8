"""Recipes: everything that determines a training, as a validated YAML file.

`load_recipe("paper")` reads a recipe that ships with falx, `load_recipe("mine.yaml")` one of yours,
and `recipe.changed({"head.dropout": "0.3"})` overrides any field.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from falx.errors import BadInput
from falx.recipe.fields import (
    Augmentation,
    Backbone,
    Head,
    Optimizer,
    Phase,
    Plateau,
    Pretraining,
    RecipePart,
    Rendering,
)
from falx.recipe.overrides import did_you_mean, parse_number, set_field


class Recipe(RecipePart):
    """Everything that determines a training, apart from data, split, weights and seed."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="name of the recipe: letters, digits, dots, dashes and underscores",
    )
    description: str = Field("", description="what the recipe does, in one sentence")
    rendering: Rendering = Field(Rendering(), description="how slices become inputs")
    augmentation: Augmentation = Field(
        Augmentation(), description="random variation of training views"
    )
    backbone: Backbone = Field(Backbone(), description="the convolutional network below the head")
    head: Head = Field(Head(), description="the layers after the backbone")
    phases: tuple[Phase, ...] = Field(
        min_length=1, description="phases of the training, in order; --set names them by index"
    )
    batch_size: int = Field(32, ge=1, le=4096, description="number of slices per step")
    optimizer: Optimizer = Field(Optimizer(), description="the algorithm that updates the weights")
    plateau: Plateau | None = Field(
        None, description="reduction of the learning rate on a plateau; null for none"
    )
    pretraining: Pretraining = Field(
        Pretraining(), description="pretraining on another dataset, with --pretrain-on"
    )
    class_weights: Literal["balanced", "none"] = Field(
        "balanced",
        description="'balanced' weights each class in the loss by the inverse of its frequency, of "
        "several datasets each class of each",
    )
    keep: Literal["best", "last"] = Field(
        "best",
        description="weights to keep: of the epoch with the lowest validation loss, or of the last",
    )
    flip_tta: bool = Field(
        False,
        description="test-time augmentation: average the logits of each slice and its mirror "
        "image, at twice the computation",
    )
    top_fraction: float | Literal["validation"] = Field(
        "validation",
        description="fraction of a study's slices, those with the highest probabilities, whose "
        "mean is the study's probability, in (0, 1]; 'validation' selects it on the validation "
        "part",
    )

    @model_validator(mode="after")
    def _check_phases(self) -> Self:
        if sum(phase.epochs for phase in self.phases) == 0:
            raise ValueError("phases must have at least one epoch in total")
        logistic = any(phase.solver == "logistic" and phase.epochs for phase in self.phases)
        if logistic and (self.head.hidden or self.head.normalization):
            raise ValueError(
                "the solver 'logistic' needs a linear head, without hidden layer and normalization"
            )
        return self

    @model_validator(mode="after")
    def _check_localization(self) -> Self:
        if self.backbone.localization != (self.head.pooling == "evidence"):
            raise ValueError(
                "backbone.localization and head.pooling 'evidence' need each other; set both"
            )
        if self.backbone.localization and any(
            phase.epochs and phase.unfreeze_from != "head" for phase in self.phases
        ):
            raise ValueError(
                "a backbone with a localization head stays as `falx pretrain` left it; set "
                "unfreeze_from to 'head'"
            )
        return self

    @model_validator(mode="after")
    def _check_top_fraction(self) -> Self:
        fraction = self.top_fraction
        if fraction != "validation" and not 0 < fraction <= 1:
            raise ValueError(f"top_fraction must be 'validation' or in (0, 1], got {fraction}")
        return self

    def changed(self, changes: Mapping[str, object]) -> Recipe:
        """A copy with fields overridden, as `--set head.dropout=0.3` does.

        Args:
            changes: dotted field name -> value, or its YAML text; phases are named by index:
                `phases.0.epochs`.

        Raises:
            BadInput: a field is misspelled (the closest is suggested) or a value is out of range.
        """
        content = self.model_dump(mode="json")
        for field, value in changes.items():
            parsed = _parse_value(field, value) if isinstance(value, str) else value
            set_field(content, field, parsed, field_names())
        return _validate(content, f"recipe '{self.name}' with --set")

    def to_yaml(self) -> str:
        """The recipe as YAML text; `load_recipe` reads an equal recipe from it."""
        import yaml

        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def recipe_names() -> list[str]:
    """Names of the recipes that ship with falx."""
    files = resources.files(__package__).iterdir()
    return sorted(Path(file.name).stem for file in files if file.name.endswith(".yaml"))


def load_recipe(name: str | Path) -> Recipe:
    """The recipe that ships under a name, or the one in a YAML file.

    Raises:
        BadInput: there is no such recipe, or the file is not a valid one.
    """
    text = str(name)
    if text in recipe_names():
        source = resources.files(__package__).joinpath(f"{text}.yaml").read_text("utf-8")
        return _parse(source, f"recipe '{text}'")
    path = Path(text)
    if path.suffix not in {".yaml", ".yml"}:
        hint = did_you_mean(text, recipe_names())
        raise BadInput(
            f"There is no recipe '{text}'{hint}; falx ships {', '.join(recipe_names())}, or "
            "name a .yaml file."
        )
    if not path.exists():
        raise BadInput(f"There is no recipe file '{path}'; name one that exists.")
    try:
        source = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"The recipe file '{path}' can't be read: {error}.") from error
    return _parse(source, f"'{path}'")


def field_names(model: type[BaseModel] = Recipe, prefix: str = "") -> list[str]:
    """All dotted field names of a recipe, sorted; those of phases with index 0."""
    parts = {"phases": Phase, "plateau": Plateau}
    names = []
    for name, info in model.model_fields.items():
        inner: Any = parts.get(name, info.annotation)
        dotted = f"{prefix}{name}"
        names.append(dotted)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names += field_names(inner, f"{dotted}.0." if name == "phases" else f"{dotted}.")
    return sorted(names)


def _parse(source: str, where: str) -> Recipe:
    import yaml

    try:
        content = yaml.safe_load(source)
    except yaml.YAMLError as error:
        raise BadInput(f"{where} is not valid YAML: {error}.") from error
    if not isinstance(content, dict):
        raise BadInput(f"{where} must hold fields such as 'name:' and 'phases:', not {content!r}.")
    return _validate(content, where)


def _parse_value(field: str, text: str) -> object:
    import yaml

    try:
        return parse_number(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise BadInput(f"The value of '{field}' is not valid YAML: {text!r}.") from error


def _validate(content: dict[str, Any], where: str) -> Recipe:
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise BadInput(f"In {where}, {'; '.join(map(_describe, error.errors()))}.") from error


def _describe(problem: Any) -> str:
    """A validation error in words."""
    field = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"'{field}' is not a field of a recipe{did_you_mean(field, field_names())}"
    return f"'{field}': {problem['msg'][:1].lower()}{problem['msg'][1:]}"
