"""How well phantoms are told from real slices: the lower the AUC, the more realistic they are.

python benchmarks/realism.py ../shared/data/btp --weights W [--anatomy DIR]

A logistic regression on the features of a backbone is cross-validated over patients, and over the
same number of phantoms. The parts of a view that give phantoms away are those whose features
alone separate the two.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from falx.data.catalog import build_catalog
from falx.data.read import read_slices
from falx.image.render import render
from falx.model.backbones import build_backbone
from falx.phantoms import find_anatomies, make_phantom
from falx.recipe import Backbone, Rendering

SIZE = 192


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--anatomy", type=Path, help="label maps of whole heads")
    parser.add_argument("--appearance", default="contrast", help="the sequence of the slices")
    parser.add_argument("--most", type=int, default=300, help="slices, at most")
    arguments = parser.parse_args()
    real, groups = real_views(arguments.data, arguments.most)
    drawn = phantom_views(len(real), arguments.anatomy, arguments.appearance)
    backbone = build_backbone(Backbone(), SIZE, str(arguments.weights))
    views = np.concatenate([real, drawn])[..., None].astype(np.float32)
    features = backbone.predict(np.repeat(views / 127.5 - 1, 3, axis=3), batch_size=16, verbose=0)
    is_drawn = np.arange(len(views)) >= len(real)
    folds = np.concatenate([groups, groups.max() + 1 + np.arange(len(drawn)) % 10])
    whole = auc(features.mean(axis=(1, 2)), is_drawn, folds)
    print(f"{len(real)} slices of {len(np.unique(groups))} groups, and as many phantoms")
    print(f"phantom or real, whole view: AUC {whole:.3f} (0.5: can't be told)")
    print("by place in the view:")
    for row in range(features.shape[1]):
        places = [auc(features[:, row, k], is_drawn, folds) for k in range(features.shape[2])]
        print("  " + "  ".join(f"{value:.2f}" for value in places))


def real_views(data: Path, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Views of the slices of a dataset, evenly chosen, and their groups."""
    usable = build_catalog(data).usable()
    rows = np.unique(np.linspace(0, len(usable) - 1, most).astype(int))
    views = []
    for row in rows:
        index = int(usable.table["index"].iloc[row])
        slices = {each.index: each for each in read_slices(usable.file(row))}
        views.append(render(slices[index].pixels, Rendering(size=SIZE), usable.head(row)))
    return np.stack(views), usable.groups[rows]


def phantom_views(n: int, anatomy: Path | None, appearance: str) -> np.ndarray:
    """Views of axial phantoms of one appearance, half of them with a tumor."""
    anatomies = find_anatomies(anatomy) if anatomy else None
    views: list[np.ndarray] = []
    for seed in range(100 * n):
        phantom = make_phantom((99, seed), tumor=len(views) % 2 == 1, anatomies=anatomies)
        parameters = phantom.parameters
        is_axial = parameters.plane not in ("coronal", "sagittal", "neck")
        if parameters.appearance == appearance and is_axial:
            pixels = phantom.pixels / np.float32(255)
            views.append(render(pixels, Rendering(size=SIZE)))
        if len(views) == n:
            break
    return np.stack(views)


def auc(features: np.ndarray, is_drawn: np.ndarray, folds: np.ndarray) -> float:
    """Of telling phantoms from slices, cross-validated over patients."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    n = min(5, len(np.unique(folds[~is_drawn])))
    found = cross_val_predict(
        model, features, is_drawn, groups=folds, cv=GroupKFold(n), method="predict_proba"
    )
    return float(roc_auc_score(is_drawn, found[:, 1]))


if __name__ == "__main__":
    main()
