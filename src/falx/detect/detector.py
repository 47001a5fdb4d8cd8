"""The detector: network, rendering, classes and rules, loaded from a run folder.

`load().predict(paths)` is all of inference. Nothing here imports Keras, TensorFlow,
scikit-learn, pandas or matplotlib.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from falx.data.slices import Slice
from falx.detect.engine import BATCH, Engine
from falx.detect.finding import (
    Finding,
    Findings,
    LeftOut,
    SeriesFinding,
    StudyFinding,
    class_probabilities,
    evidence_for,
)
from falx.detect.heat_map import HeatMap
from falx.detect.images import Images, is_one, items_of
from falx.detect.pooling import SeriesHeader, series_finding, study_finding
from falx.detect.rules import Rules, decide, status_of
from falx.detect.scans import Item, rendered_slices
from falx.detect.settings import SETTINGS_FILE, Settings
from falx.detect.site import SiteCheck, check_site
from falx.detect.site_groups import groups_of
from falx.detect.site_reference import Measurements, SiteReference
from falx.errors import BadInput, BrokenRun
from falx.image.crop import Box
from falx.progress import Listener, silent

NETWORK_FILE = "network.xml"
WEIGHTS_FILE = "network.bin"
KERAS_FILE = "network.keras"
"""The same network for further training; nothing here reads it."""

Maps = Literal["plain", "flip_tta"]
"""How heat maps are computed: from the view alone, or with test-time augmentation, as the mean with
the mirrored map of the mirrored view, which takes twice as long and localizes better (see
docs/heat-maps.md)."""

_Outputs = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Logits, heat maps and distances."""

SHIPPED = Path(str(resources.files("falx.detect") / "shipped"))
"""Folder of the detector that ships with falx; see docs/detector.md for how it was made."""

LOST = "its file names no series, so where it lies in the head is unknown"
"""Why a DICOM slice of known plane, but of no series, is referred."""


class Detector:
    """A trained detector."""

    def __init__(
        self, settings: Settings, engine: Engine, site_reference: SiteReference | None = None
    ) -> None:
        self.settings = settings
        self.site_reference = site_reference
        self._engine = engine

    def __repr__(self) -> str:
        size = self.settings.rendering.size
        return f"Detector({' | '.join(self.classes)}; {self.settings.recipe}, {size} x {size})"

    def __reduce__(self) -> Any:
        raise BadInput("A detector can't be pickled or copied; falx.load its folder anew.")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in order; of two, the second is the positive one."""
        return self.settings.classes

    def with_rules(self, rules: Rules) -> Detector:
        """The same detector with other rules."""
        settings = replace(self.settings, rules=rules)
        return Detector(settings, self._engine, self.site_reference)

    def probabilities(self, views: np.ndarray) -> np.ndarray:
        """Class probabilities float64 (n, classes) of plain views uint8 (n, size, size)."""
        return self.predict_views(views)[0]

    def predict_views(self, views: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Class probabilities float64 (n, classes) and distances float32 (n,) of plain views.

        Distances are Mahalanobis distances from the training slices.
        """
        logits, _, distances = self._engine.infer(views)
        return class_probabilities(logits), distances

    def measure_views(self, views: np.ndarray) -> Measurements:
        """What the site check compares of plain views uint8 (n, size, size)."""
        return Measurements.of(views, *self.predict_views(views))

    def check_site(self, measurements: Measurements, groups: np.ndarray) -> SiteCheck:
        """Whether slices differ, as a set, from those of training (see falx.detect.site).

        Args:
            measurements: of the slices, n of them.
            groups: of each, int (n,).
        """
        settings = self.settings
        return check_site(
            self.site_reference, measurements, groups, settings.rules, settings.classes
        )

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
        self, images: Images, *, maps: Maps = "plain", listener: Listener = silent
    ) -> Findings:
        """Findings for files or images; what can't be used is listed, not raised.

        Args:
            images: paths of files and folders, and glob patterns; or arrays, images of Pillow or
                nibabel, or datasets of pydicom, see falx.data.in_memory.image_sources; or a list of
                any of these. Findings are in that order, those of a folder sorted, and those of a
                volume or DICOM series together and from the lowest up.
            maps: how heat maps are computed; "flip_tta" for those that are to be looked at.
            listener: receives progress.

        Raises:
            BadInput: a path does not exist, there is no file, or an image is none.
        """
        if maps not in get_args(Maps):
            raise BadInput(f"There are no heat maps '{maps}', only {', '.join(get_args(Maps))}.")
        left_out: list[LeftOut] = []
        headers: dict[tuple[str, str], SeriesHeader] = {}
        findings: list[Finding] = []
        measured: list[Measurements] = []
        for batch in _batches(items_of(images, self.settings.rendering, left_out, listener)):
            headers |= {
                (item.study, item.series.series): item.series for item in batch if item.series
            }
            outputs = self._infer(_views(batch), maps)
            findings.extend(self._findings(batch, outputs))
            measured.append(_measured(batch, outputs))
        studies = self._studies(findings, headers)
        found = Findings(self.settings.classes, tuple(findings), studies, tuple(left_out))
        if not findings:
            return found
        measurements = Measurements.joined(measured)
        site = self.check_site(measurements, groups_of(findings))
        return replace(found, measurements=measurements, site=site)

    def predict_proba(self, images: Images, *, listener: Listener = silent) -> np.ndarray:
        """Calibrated class probabilities, a row per slice: float64 (n, classes).

        Every slice has some, out-of-distribution ones too, for which they mean nothing; `predict`
        tells which these are.

        Args:
            images: as for `predict`, and in the same order.
            listener: receives progress.

        Raises:
            BadInput: one can't be used.
        """
        return self.probabilities(self._every_view(images, listener))

    def features(self, images: Images, *, listener: Listener = silent) -> np.ndarray:
        """The features in which slices are compared with those of training: float32 (n, depth).

        See falx.detect.engine.Engine.features. Similar slices have similar ones.

        Args:
            images: as for `predict`, and in the same order.
            listener: receives progress.

        Raises:
            BadInput: one can't be used.
        """
        return self._engine.features(self._every_view(images, listener))

    def explain(
        self, images: Images, label: str | None = None, *, listener: Listener = silent
    ) -> np.ndarray | list[np.ndarray]:
        """Heat maps: the evidence at each pixel, float32 (height, width) as the slice.

        One for an image of one slice, else a list of them.

        Args:
            images: as for `predict`, and in the same order.
            label: the class to explain; by default, that predicted. With two classes, the evidence
                is always for the positive one.
            listener: receives progress.

        Raises:
            BadInput: one can't be used, or there is no such class.
        """
        classes, threshold = self.settings.classes, self.settings.rules.threshold
        if label is not None and label not in classes:
            raise BadInput(f"There is no class '{label}', only {', '.join(classes)}.")
        one = is_one(images)
        items = self._every_item(images, listener)
        logits, heat_maps, _ = self._infer(_views(items), "flip_tta")
        shown = []
        for item, row, heat_map in zip(items, class_probabilities(logits), heat_maps, strict=True):
            code = classes.index(label or decide(row, classes, threshold)[0])
            evidence = evidence_for(heat_map, code)
            shown.append(HeatMap(evidence, item.region, item.shape).on_slice())
        return shown[0] if one and len(shown) == 1 else shown

    def predict_slices(
        self, slices: Sequence[Slice], *, heads: Sequence[Box] | None = None, maps: Maps = "plain"
    ) -> list[Finding]:
        """Findings for decoded slices, each by itself.

        Args:
            heads: box of the head in each, where it is known from its volume.
            maps: how heat maps are computed.
        """
        items = rendered_slices(slices, self.settings.rendering, heads)
        return self._findings(items, self._infer(_views(items), maps)) if items else []

    def _every_item(self, images: Images, listener: Listener) -> list[Item]:
        """All rendered slices; what can't be used is an error."""
        left_out: list[LeftOut] = []
        items = list(items_of(images, self.settings.rendering, left_out, listener))
        if left_out:
            raise BadInput(f"{left_out[0].problem} Leave it out, or see what `predict` says.")
        return items

    def _every_view(self, images: Images, listener: Listener) -> np.ndarray:
        return _views(self._every_item(images, listener))

    def _studies(
        self, findings: Iterable[Finding], headers: Mapping[tuple[str, str], SeriesHeader]
    ) -> tuple[StudyFinding, ...]:
        """The findings of studies that hold a series of two slices or more, in order."""
        members: dict[tuple[str, str], list[Finding]] = {}
        for finding in findings:
            if finding.series:
                members.setdefault((finding.study, finding.series), []).append(finding)
        studies: dict[str, list[SeriesFinding]] = {}
        for (study, series), of_series in members.items():
            if len(of_series) > 1:
                answer = series_finding(
                    headers[study, series], of_series, self.settings.classes, self.settings.rules
                )
                studies.setdefault(study, []).append(answer)
        return tuple(study_finding(study, series) for study, series in studies.items())

    def _infer(self, views: np.ndarray, maps: Maps) -> _Outputs:
        """Logits (n, k) of views, heat maps (n, rows, columns, k), and distances (n,)."""
        logits, heat_maps, distances = self._engine.infer(views)
        if maps == "flip_tta" and not self.settings.flip_tta:
            _, mirrored, _ = self._engine.infer(views[:, :, ::-1])
            heat_maps = (heat_maps + mirrored[:, :, ::-1]) / 2
        return logits, heat_maps, distances

    def _findings(self, items: Sequence[Item], outputs: _Outputs) -> list[Finding]:
        logits, heat_maps, distances = outputs
        rows = zip(items, class_probabilities(logits), heat_maps, distances, strict=True)
        return [self._finding(*row) for row in rows]

    def _finding(
        self, item: Item, probabilities: np.ndarray, heat_map: np.ndarray, distance: float
    ) -> Finding:
        classes, rules = self.settings.classes, self.settings.rules
        status = status_of(probabilities, distance, rules)
        unlabeled = Finding(
            item.path,
            item.index,
            status,
            float(distance),
            study=item.study,
            series=item.series.series if item.series else "",
            level=item.level,
            region=item.head_region,
            levels=item.levels,
        )
        if status == "out_of_distribution":
            return unlabeled
        label, probability = decide(probabilities, classes, rules.threshold)
        reason = rules.why_untrained(item.plane) or (LOST if item.is_lost else "")
        return replace(
            unlabeled,
            status="refer" if reason else status,
            reason=reason,
            label=label,
            probability=probability,
            probabilities=dict(zip(classes, map(float, probabilities), strict=True)),
            heat_map=HeatMap(
                evidence_for(heat_map, classes.index(label)),
                item.region,
                item.shape,
                localizes=self.settings.localizes,
            ),
        )


def load(run: str | Path | None = None) -> Detector:
    """The detector of a run folder, or of its `detector/`; by default the one that ships with falx.

    Raises:
        BrokenRun: the folder holds no complete detector.
    """
    folder = detector_folder(run)
    settings = Settings.load(folder)
    if network_sha256(folder) != settings.network_sha256:
        raise BrokenRun(f"The network in '{folder}' was altered or cut off; copy the run anew.")
    return Detector(settings, Engine(folder / NETWORK_FILE), SiteReference.load(folder))


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


def detector_folder(run: str | Path | None) -> Path:
    """The detector folder of a run, or, for None, of the detector that ships with falx.

    Raises:
        BrokenRun: there is none.
    """
    if run is None:
        return SHIPPED
    run = Path(run)
    for folder in (run, run / "detector"):
        if (folder / SETTINGS_FILE).is_file():
            return folder
    if run.suffix == ".partial":
        raise BrokenRun(f"'{run}' is an unfinished training; run its command again to finish it.")
    raise BrokenRun(
        f"'{run}' is neither a run nor a detector (no {SETTINGS_FILE} in it or in its detector/); "
        "name a folder that falx train made."
    )


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _views(items: Sequence[Item]) -> np.ndarray:
    return np.stack([item.view for item in items])


def _measured(items: Sequence[Item], outputs: _Outputs) -> Measurements:
    logits, _, distances = outputs
    return Measurements.of(_views(items), class_probabilities(logits), distances)
