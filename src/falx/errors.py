"""The errors that a user can cause, each saying what happened and what to do.

Anything else that escapes falx is a bug.
"""

from __future__ import annotations


class FalxError(Exception):
    """Base of every error that falx raises on purpose; its text is one clear sentence."""


class BadInput(FalxError):
    """An argument, option or file can't be used as given."""


class UnreadableImage(BadInput):
    """A file does not hold an image that falx can decode."""


class UnusableData(FalxError):
    """A dataset can't support what was asked of it: too few classes, groups or images."""


class UnusableTraining(FalxError):
    """A training came to nothing: its loss is no longer a number, or its process ended."""


class MissingWeights(FalxError):
    """Backbone weights are neither at hand nor to be had."""


class FailedDownload(FalxError):
    """A public dataset or file can't be downloaded, or what came is not what was published."""


class MissingExtra(FalxError):
    """An optional dependency of falx is not installed."""


class BrokenRun(FalxError):
    """A run or detector folder is incomplete, altered, or from another version of falx."""


class ParityError(FalxError):
    """An export does not give the outputs of its network within the stated bounds."""


class Offline(FalxError):
    """The network was needed while falx was told to stay off it."""
