"""The detector: network, rendering, classes and rules, loaded from a run folder.

`load(RUN).predict(paths)` is all of inference. Nothing here imports Keras, TensorFlow,
scikit-learn, pandas or matplotlib.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from falx.data.read import Slice, find_files, read_slices
from falx.detect.engine import BATCH, Engine
from falx.detect.finding import (
    Finding,
    Findings,
    Unreadable,
    class_probabilities,
    evidence_for,
    study_findings,
)
from falx.detect.heat_map import HeatMap
from falx.detect.rules import Rules, decide, status_of
from falx.errors import BadInput, BrokenRun, UnreadableImage
from falx.image.render import Region, render_with_region
from falx.notice import NOTICE
from falx.parallel import cores
from falx.progress import Listener, Progress, silent
from falx.recipe import Rendering

SCHEMA = 4
"""Of detector.json; to be raised when its keys change."""

SETTINGS_FILE = "detector.json"
NETWORK_FILE = "network.xml"
WEIGHTS_FILE = "network.bin"
KERAS_FILE = "network.keras"
"""The same network for further training; nothing here reads it."""

Maps = Literal["plain", "flip_tta"]
"""How heat maps are computed: from the view alone, or with test-time augmentation, as the mean with
the mirrored map of the mirrored view, which takes twice as long and localizes better (see
docs/heat-maps.md)."""


@dataclass(frozen=True)
class Settings:
    """All of a detector except its network; written as detector.json.

    Attributes:
        classes: names in order; of two, the second is the positive one.
        rules: thresholds for probabilities and distances.
        flip_tta: whether the network averages over a view and its mirror image.
        recipe: name of the recipe that it was trained by.
        network_sha256: of network.xml and network.bin, concatenated.
    """

    classes: tuple[str, ...]
    rendering: Rendering
    rules: Rules
    flip_tta: bool
    recipe: str
    network_sha256: str
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
            rendering, rules = Rendering(**content.pop("rendering")), Rules(**content.pop("rules"))
            classes = tuple(content.pop("classes"))
            return cls(classes=classes, rendering=rendering, rules=rules, **content)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BrokenRun(
                f"'{file}' is damaged ({error}); train or copy the run anew."
            ) from error


class Detector:
    """A trained detector."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.settings = settings
        self._engine = engine

    def with_rules(self, rules: Rules) -> Detector:
        """The same detector with other rules."""
        return Detector(replace(self.settings, rules=rules), self._engine)

    def probabilities(self, views: np.ndarray) -> np.ndarray:
        """Class probabilities float64 (n, classes) of plain views uint8 (n, size, size)."""
        return self.predict_views(views)[0]

    def predict_views(self, views: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Class probabilities float64 (n, classes) and distances float32 (n,) of plain views.

        Distances are Mahalanobis distances from the training slices.
        """
        logits, _, distances = self._engine.infer(views)
        return class_probabilities(logits), distances

    def evidence(
        self, views: np.ndarray, classes: Iterable[int], *, maps: Maps = "plain"
    ) -> np.ndarray:
        """Evidence in each plain view for a class: float32 (n, rows, columns).

        Args:
            views: uint8 (n, size, size).
            classes: the code of a class for each view.
            maps: how heat maps are computed.
        """
        _, heat_maps, _ = self._infer(views, maps)
        pairs = zip(heat_maps, classes, strict=True)
        return np.stack([evidence_for(heat_map, int(code)) for heat_map, code in pairs])

    def predict(
        self,
        paths: str | Path | Iterable[str | Path],
        *,
        maps: Maps = "plain",
        listener: Listener = silent,
    ) -> Findings:
        """Findings for files, folders and glob patterns; unreadable files are listed, not raised.

        Args:
            maps: how heat maps are computed; "flip_tta" for those that are to be looked at.

        Raises:
            BadInput: a path does not exist, or there is no file.
        """
        paths = [paths] if isinstance(paths, str | Path) else list(paths)
        files = find_files(paths)
        if not files:
            where = ", ".join(f"'{path}'" for path in paths) or "an empty list"
            raise BadInput(f"There is no file in {where}; name images or their folder.")
        unreadable: list[Unreadable] = []
        findings: list[Finding] = []
        for batch in _batches(self._rendered(files, unreadable, listener)):
            findings.extend(self._findings(batch, maps))
        settings = self.settings
        studies = study_findings(findings, settings.classes, settings.rules)
        return Findings(settings.classes, tuple(findings), studies, tuple(unreadable))

    def predict_slices(self, slices: Sequence[Slice], *, maps: Maps = "plain") -> list[Finding]:
        """Findings for decoded slices; several of one file are a study, as in `predict`."""
        if not slices:
            return []
        n_in_file = Counter(slice_.path for slice_ in slices)
        items = [self._item(slice_, n_in_file[slice_.path] > 1) for slice_ in slices]
        return self._findings(items, maps)

    def _infer(self, views: np.ndarray, maps: Maps) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Logits (n, k) of views, heat maps (n, rows, columns, k), and distances (n,)."""
        logits, heat_maps, distances = self._engine.infer(views)
        if maps == "flip_tta" and not self.settings.flip_tta:
            _, mirrored, _ = self._engine.infer(views[:, :, ::-1])
            heat_maps = (heat_maps + mirrored[:, :, ::-1]) / 2
        return logits, heat_maps, distances

    def _findings(self, items: Sequence[_Item], maps: Maps) -> list[Finding]:
        views = np.stack([item.view for item in items])
        logits, heat_maps, distances = self._infer(views, maps)
        rows = zip(items, class_probabilities(logits), heat_maps, distances, strict=True)
        return [self._finding(*row) for row in rows]

    def _finding(
        self, item: _Item, probabilities: np.ndarray, heat_map: np.ndarray, distance: float
    ) -> Finding:
        classes, rules = self.settings.classes, self.settings.rules
        status = status_of(probabilities, distance, rules)
        unlabeled = Finding(item.path, item.index, status, float(distance), item.study)
        if status == "out_of_distribution":
            return unlabeled
        label, probability = decide(probabilities, classes, rules.threshold)
        return replace(
            unlabeled,
            label=label,
            probability=probability,
            probabilities=dict(zip(classes, map(float, probabilities), strict=True)),
            heat_map=HeatMap(evidence_for(heat_map, classes.index(label)), item.region, item.shape),
        )

    def _rendered(
        self, files: Sequence[Path], unreadable: list[Unreadable], listener: Listener
    ) -> Iterator[_Item]:
        """The rendered slices of files; threads decode ahead of the network."""
        with ThreadPoolExecutor(cores()) as executor:
            for start in range(0, len(files), 2 * BATCH):
                chunk = files[start : start + 2 * BATCH]
                for offset, result in enumerate(executor.map(self._render_file, chunk), start=1):
                    listener(Progress("Predicting", start + offset, len(files)))
                    if isinstance(result, Unreadable):
                        unreadable.append(result)
                    else:
                        yield from result

    def _render_file(self, file: Path) -> list[_Item] | Unreadable:
        try:
            slices = read_slices(file)
        except UnreadableImage as error:
            return Unreadable(file, str(error))
        return [self._item(slice_, len(slices) > 1) for slice_ in slices]

    def _item(self, slice_: Slice, is_multi_slice: bool) -> _Item:
        study = slice_.study or slice_.patient or (str(slice_.path) if is_multi_slice else "")
        view, region = render_with_region(slice_.pixels, self.settings.rendering)
        return _Item(slice_.path, slice_.index, study, slice_.pixels.shape, region, view)


@dataclass(frozen=True)
class _Item:
    """A view and its source."""

    path: Path
    index: int
    study: str
    shape: tuple[int, int]
    region: Region
    view: np.ndarray


def load(run: str | Path) -> Detector:
    """The detector of a run folder, or of its `detector/`.

    Raises:
        BrokenRun: the folder holds no complete detector.
    """
    folder = detector_folder(Path(run))
    settings = Settings.load(folder)
    if network_sha256(folder) != settings.network_sha256:
        raise BrokenRun(f"The network in '{folder}' was altered or cut off; copy the run anew.")
    return Detector(settings, Engine(folder / NETWORK_FILE))


def network_sha256(folder: Path) -> str:
    """The SHA-256 of a detector's network.

    Raises:
        BrokenRun: one of its files is missing.
    """
    digest = hashlib.sha256()
    for file in (folder / NETWORK_FILE, folder / WEIGHTS_FILE):
        try:
            digest.update(file.read_bytes())
        except OSError as error:
            raise BrokenRun(f"'{file}' is missing; train or copy the run anew.") from error
    return digest.hexdigest()


def detector_folder(run: Path) -> Path:
    """The detector folder of a run.

    Raises:
        BrokenRun: there is none.
    """
    for folder in (run, run / "detector"):
        if (folder / SETTINGS_FILE).is_file():
            return folder
    if run.suffix == ".partial":
        raise BrokenRun(f"'{run}' is an unfinished training; run its command again to finish it.")
    raise BrokenRun(
        f"'{run}' is neither a run nor a detector (no {SETTINGS_FILE} in it or in its detector/); "
        "name a folder that falx train made."
    )


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
