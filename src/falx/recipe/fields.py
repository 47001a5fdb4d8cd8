"""The parts of a recipe: fields with their ranges, defaults and descriptions.

The reference documentation is generated from here; the range of a field is that of its constraints.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from falx.seeds import MAX_SEED

Precision = Literal["fp32", "bf16"]
"""Arithmetic of convolutions in training; a property of the machine, not of the recipe."""


class RecipePart(BaseModel):
    """Base of all parts: immutable; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Rendering(RecipePart):
    """How a slice becomes the square input of the network."""

    size: int = Field(
        224, ge=32, le=1024, multiple_of=32, description="side of the square in pixels"
    )
    crop: Literal["none", "head"] = Field(
        "head", description="'head' crops to the bounding box of the head; 'none' keeps the slice"
    )
    aspect: Literal["stretch", "keep"] = Field(
        "keep",
        description="'stretch' resizes to the square; 'keep' preserves the aspect ratio and pads "
        "with background",
    )


class Augmentation(RecipePart):
    """Random variation of training views: an affine transform, then gray-level transforms.

    0 switches a transform off. Limits are of uniform distributions, standard deviations of normal
    ones; gray levels are in fractions of the range from black to white.
    """

    seed: int = Field(
        0,
        ge=0,
        description="random seed of the views alone, so that trainings with other seeds share them",
    )
    rotation: float = Field(
        0.0, ge=0, le=180, description="largest rotation in degrees, in either direction"
    )
    shift_x: float = Field(
        0.0, ge=0, le=0.5, description="largest horizontal shift as a fraction of the width"
    )
    shift_y: float = Field(
        0.0, ge=0, le=0.5, description="largest vertical shift as a fraction of the height"
    )
    shear: float = Field(
        0.0, ge=0, le=45, description="largest shear in degrees, in either direction"
    )
    zoom: float = Field(
        0.0, ge=0, lt=1, description="each axis is scaled by a factor from 1 - zoom to 1 + zoom"
    )
    flip: bool = Field(False, description="flip half of the views horizontally")
    gamma: float = Field(
        0.0, ge=0, le=2, description="standard deviation of the logarithm of the gamma exponent"
    )
    bias_field: float = Field(
        0.0,
        ge=0,
        le=2,
        description="standard deviation of the logarithm of a smooth multiplicative field, as "
        "receive coils cause; in 50 % of the views",
    )
    blur: float = Field(
        0.0, ge=0, le=20, description="largest Gaussian sigma in pixels; in 30 % of the views"
    )
    downsample: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="largest fraction of the pixels of a side that is lost; in 20 % of the views",
    )
    contrast: float = Field(
        0.0, ge=0, le=2, description="standard deviation of the logarithm of the contrast factor"
    )
    brightness: float = Field(
        0.0, ge=0, le=1, description="standard deviation of the offset of all gray levels"
    )
    noise: float = Field(
        0.0,
        ge=0,
        le=1,
        description="largest standard deviation of Gaussian noise; in 30 % of the views",
    )
    invert: float = Field(
        0.0, ge=0, le=1, description="probability that black and white are swapped"
    )


class Backbone(RecipePart):
    """The convolutional network below the head."""

    name: Literal["mobilenet_v2"] = Field("mobilenet_v2", description="architecture")
    width: float = Field(
        1.0, gt=0, le=2, description="width multiplier, called alpha in the MobileNetV2 paper"
    )
    weights: str = Field(
        "phantom",
        description="initial weights, where --weights names no others: 'phantom', which ship with "
        "falx and have seen synthetic slices alone, 'imagenet', 'falx', those of the detector that "
        "ships with it, 'random', or a file",
    )
    scaling: Literal["zero_one", "minus_one_one"] = Field(
        "minus_one_one",
        description="range that gray levels 0 to 255 are scaled to inside the network: [0, 1], or "
        "[-1, 1] as the ImageNet weights expect",
    )
    normalization: Literal["inference", "training"] = Field(
        "inference",
        description="batch normalization: 'inference' freezes it, 'training' normalizes by each "
        "batch and updates the moving statistics",
    )
    localization: bool = Field(
        False,
        description="whether there is a localization head on it, as `falx pretrain` leaves one in "
        "localizer.weights.h5; needs head.pooling 'evidence'",
    )


class Head(RecipePart):
    """The layers after the backbone."""

    pooling: Literal["average", "flatten", "evidence"] = Field(
        "average",
        description="'average' pools over all positions; 'flatten' keeps them apart; 'evidence' "
        "sums the cells of a localization head",
    )
    hidden: int = Field(
        0, ge=0, le=4096, description="number of units of a hidden ReLU layer; 0 for none"
    )
    normalization: bool = Field(
        False, description="batch normalization before the dropout and the last layer"
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="fraction of the inputs of the last layer that is dropped"
    )


class Phase(RecipePart):
    """A number of epochs with one set of trainable layers and one initial learning rate."""

    name: str = Field(description="name of the phase in the history")
    epochs: int = Field(ge=0, le=10_000, description="number of epochs; 0 skips the phase")
    learning_rate: float = Field(gt=0, le=1, description="initial learning rate")
    unfreeze_from: Literal["head"] | Annotated[int, Field(ge=0)] = Field(
        "head",
        description="index of the first backbone layer that is trained, or 'head' to train the "
        "head alone",
    )
    solver: Literal["optimizer", "logistic"] = Field(
        "optimizer",
        description="'optimizer' trains epoch by epoch; 'logistic' fits a linear head to `epochs` "
        "views of each slice by logistic regression, without learning rate and optimizer",
    )
    l2: float = Field(
        100.0,
        gt=0,
        description="L2 penalty of the solver 'logistic', on the weights of standardized features",
    )

    @model_validator(mode="after")
    def _check_solver(self) -> Self:
        if self.solver == "logistic" and self.unfreeze_from != "head":
            raise ValueError(
                "the solver 'logistic' trains the head alone; set unfreeze_from to 'head'"
            )
        return self


class Optimizer(RecipePart):
    """The algorithm that updates the weights."""

    name: Literal["adam", "adamw", "sgd"] = Field(
        "adam", description="Adam, AdamW, or SGD with Nesterov momentum of 0.9"
    )
    clip_norm: float | None = Field(
        None, gt=0, description="largest L2 norm of the gradient of each variable; null for none"
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        description="coefficient of decoupled weight decay, multiplied by the learning rate",
    )


class Plateau(RecipePart):
    """Lower the learning rate when the validation loss stops falling (ReduceLROnPlateau)."""

    factor: float = Field(0.2, gt=0, lt=1, description="factor by which the rate is reduced")
    patience: int = Field(3, ge=0, description="epochs without improvement before a reduction")
    min_learning_rate: float = Field(1e-6, ge=0, description="lower bound of the learning rate")


class Pretraining(RecipePart):
    """Pretraining of the backbone on another dataset, before the phases.

    Only with --pretrain-on; an epoch is one pass over that dataset.
    """

    seed: int = Field(
        0,
        ge=0,
        le=MAX_SEED,
        description="random seed of the pretraining alone, so that trainings with other seeds "
        "share its result",
    )
    phantom_fraction: float = Field(
        0.5,
        ge=0,
        le=0.9,
        description="fraction of each batch that is phantoms, against catastrophic forgetting; "
        "rounded to pairs with and without tumor, and at least one slice is real",
    )
    epochs: int = Field(8, ge=1, le=10_000, description="number of epochs")
    learning_rate: float = Field(
        2e-4, gt=0, le=1, description="peak of the learning rate, after warmup and before decay"
    )
    weight_decay: float = Field(
        1e-4,
        ge=0,
        description="coefficient of decoupled weight decay, multiplied by the learning rate",
    )
    label_smoothing: float = Field(
        0.05, ge=0, lt=1, description="fraction of each target that is spread over all classes"
    )
    low_resolution_fraction: float = Field(
        0.5, ge=0, le=1, description="fraction of the epochs, the first, at 5/7 of `rendering.size`"
    )
    augmentation: Augmentation = Field(
        Augmentation(
            rotation=20,
            shift_x=0.06,
            shift_y=0.06,
            shear=6,
            zoom=0.15,
            flip=True,
            gamma=0.35,
            bias_field=0.25,
            blur=1.6,
            downsample=0.65,
            contrast=0.2,
            brightness=0.06,
            noise=0.06,
            invert=0.08,
        ),
        description="random variation of the views",
    )
