"""All of a detector except its network, as detector.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from falx.detect.rules import Rules
from falx.errors import BrokenRun
from falx.notice import NOTICE
from falx.recipe import Rendering

SCHEMA = 7
"""Of detector.json; to be raised when its keys change."""

SETTINGS_FILE = "detector.json"


@dataclass(frozen=True)
class Settings:
    """All of a detector except its network; written as detector.json.

    Attributes:
        classes: names in order; of two, the second is the positive one.
        rules: thresholds for probabilities and distances.
        flip_tta: whether the network averages over a view and its mirror image.
        recipe: name of the recipe that it was trained by.
        network_sha256: of network.xml and network.bin, concatenated.
        localizes: whether heat maps are those of a localization head (see falx.model.localization).
    """

    classes: tuple[str, ...]
    rendering: Rendering
    rules: Rules
    flip_tta: bool
    recipe: str
    network_sha256: str
    localizes: bool = False
    schema: int = SCHEMA
    notice: str = NOTICE

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise ValueError(f"`classes` must be two or more, got {len(self.classes)}")

    def save(self, folder: Path) -> None:
        """Write detector.json into a folder."""
        content = {**asdict(self), "rendering": self.rendering.model_dump()}
        (folder / SETTINGS_FILE).write_text(json.dumps(content, indent=2) + "\n", "utf-8")

    @classmethod
    def load(cls, folder: Path) -> Settings:
        """Read what `save` wrote.

        Raises:
            BrokenRun: the file is damaged or from another version of falx.
        """
        file = folder / SETTINGS_FILE
        try:
            content = json.loads(file.read_text("utf-8"))
            if content["schema"] != SCHEMA:
                raise BrokenRun(
                    f"'{file}' has schema {content['schema']}, and this version of falx reads "
                    f"{SCHEMA}; train again, or use the version that wrote it."
                )
            return cls(
                classes=tuple(content.pop("classes")),
                rendering=Rendering(**content.pop("rendering")),
                rules=Rules.from_dict(content.pop("rules")),
                **content,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BrokenRun(
                f"'{file}' is damaged ({error}); train or copy the run anew."
            ) from error
