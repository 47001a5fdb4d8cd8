"""Near-duplicates: recall of copies, pairs of different people joined, and time.

    python benchmarks/near_duplicates.py ../shared/data [--slices 100000]

Copies are made of real slices by each kind of change; different people are compared at the same
relative height of the head (within 0.05), all slices of all people. Both halves of slices and of
people are shown, as a measure of chance; limits were chosen on samples of the same sources. The
last line times the search among the slices of `msoud` and jittered copies of them.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import nibabel
import numpy as np

from falx.data.alignment import Look, decode_thumbnail, encode_thumbnail, similarity
from falx.data.duplicates import MIN_SIMILARITY, components, near_pairs
from falx.data.keypoints import Keypoints, find_candidates, find_keypoints
from falx.data.read import find_files, read_slices
from falx.errors import FalxError
from falx.image.crop import background_level
from falx.phantoms import make_phantom

LEVEL_TOLERANCE = 0.05
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
Facts = tuple[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--slices", type=int, default=100_000)
    parser.add_argument("--sample", type=int, default=300, help="slices of msoud to copy")
    parser.add_argument("--parts", nargs="+", default=["recall", "precision", "time"])
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if "recall" in arguments.parts:
        print_recall(arguments.data, arguments.sample)
    if "precision" in arguments.parts:
        print_precision(arguments.data)
    if "time" in arguments.parts:
        print_time(arguments.data, arguments.slices)


# Recall


def print_recall(data: Path, sample: int) -> None:
    slices = originals(data, sample)
    facts = list(in_threads(facts_of, slices))
    half = np.random.default_rng(0).permutation(len(slices)) % 2
    print("| copies | recall, first half | second half | of |\n| --- | --- | --- | --- |")
    found = {}
    for kind, change in CHANGES.items():
        rng = np.random.default_rng(1)
        copies = in_threads(facts_of, [change(pixels, rng) for pixels in slices])
        pairs = zip(facts, copies, strict=True)
        found[kind] = np.array(list(in_threads(joined, list(pairs))))
        print_row(kind, [found[kind]], half)
    print_row("all but the last", list(found.values())[:-1], half)


def print_row(kind: str, found: list[np.ndarray], half: np.ndarray) -> None:
    first, second = (np.concatenate([one[half == n] for one in found]) for n in (0, 1))
    print(f"| {kind} | {first.mean():.2%} | {second.mean():.2%} | {len(second):,} |", flush=True)


def originals(data: Path, sample: int) -> list[np.ndarray]:
    """Slices to copy: all of `navoneel`, `btp` and `healthy`, and a sample of `msoud`."""
    msoud = find_files([data / "msoud"])
    chosen = np.random.default_rng(0).choice(len(msoud), sample, replace=False)
    files = [msoud[i] for i in sorted(chosen)] + find_files([data / "navoneel", data / "healthy"])
    slices = [pixels for file in files for pixels in usable_slices(file)]
    for file in sorted(data.glob("btp/*/*_t1c.nii.gz")):
        slices += usable_slices(file)
    return slices


def usable_slices(file: Path) -> list[np.ndarray]:
    return [item.pixels for item in read_slices(file) if is_usable(item.pixels)]


def is_usable(pixels: np.ndarray) -> bool:
    return min(pixels.shape) >= 32 and float(pixels.std()) >= 2 / 255


def resized(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    factor = rng.choice([0.5, 0.75, 1.5])
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=interpolation)


def squeezed(pixels: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return cv2.resize(pixels, (224, 224), interpolation=cv2.INTER_LINEAR)


def recompressed(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    quality = int(rng.integers(30, 91))
    _, content = cv2.imencode(".jpg", to_levels(pixels), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return to_pixels(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE))


def cropped(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = pixels.shape
    top, left, bottom, right = rng.uniform(0, 0.1, 4)
    return pixels[
        int(top * height) : height - int(bottom * height),
        int(left * width) : width - int(right * width),
    ]


def rotated(pixels: np.ndarray, rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    height, width = pixels.shape
    angle = rng.uniform(low, high) * rng.choice([-1, 1])
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)
    return cv2.warpAffine(pixels, matrix, (width, height), borderValue=background_level(pixels))


def mirrored(pixels: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return pixels[:, ::-1]


def windowed(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Clipped window, gamma 0.6 to 1.6, contrast and brightness."""
    low, high = rng.uniform(0, 0.1), rng.uniform(0.75, 1)
    gamma = np.exp(rng.uniform(np.log(0.6), np.log(1.6)))
    clipped = np.clip((pixels - low) / (high - low), 0, 1) ** gamma
    return np.clip((clipped - 0.5) * rng.uniform(0.8, 1.2) + 0.5 + rng.uniform(-0.08, 0.08), 0, 1)


def with_text(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    levels = to_levels(pixels)
    height, width = levels.shape
    for _ in range(rng.integers(1, 5)):
        text = "".join(rng.choice(list("ABCDEFGH0123456789 "), rng.integers(4, 14)))
        row = rng.uniform(0.04, 0.2) if rng.random() < 0.5 else rng.uniform(0.85, 0.98)
        cv2.putText(
            levels, text, (int(rng.uniform(0, 0.6) * width), int(row * height)),
            cv2.FONT_HERSHEY_SIMPLEX, height / 512 * rng.uniform(0.6, 1.4),
            int(rng.integers(180, 256)), max(1, height // 300),
        )  # fmt: skip
    return to_pixels(levels)


SINGLE: dict[str, Change] = {
    "resized (0.5, 0.75, 1.5)": resized,
    "resized to 224 x 224": squeezed,
    "recompressed (quality 30 to 90)": recompressed,
    "cropped (up to 10 % a side)": cropped,
    "rotated by up to 5 degrees": lambda pixels, rng: rotated(pixels, rng, 0, 5),
    "mirrored": mirrored,
    "windowed": windowed,
    "with text": with_text,
}


def changed_twice(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    first, second = rng.choice(list(SINGLE), 2, replace=False)
    return SINGLE[second](np.ascontiguousarray(SINGLE[first](pixels, rng)), rng)


CHANGES = {
    **SINGLE,
    "two of these": changed_twice,
    "rotated by 5 to 10 degrees": lambda pixels, rng: rotated(pixels, rng, 5, 10),
}


def to_levels(pixels: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def to_pixels(levels: np.ndarray) -> np.ndarray:
    return levels.astype(np.float32) / np.float32(255)


def facts_of(pixels: np.ndarray) -> Facts:
    """What a catalog keeps of a slice for the search, after a round to 8 bits."""
    stored = to_pixels(to_levels(pixels))
    return encode_thumbnail(stored), find_keypoints(stored).encode()


def joined(pair: tuple[Facts, Facts]) -> bool:
    (one, keypoints), (other, others) = pair
    return len(near_pairs([one, other], [keypoints, others])) > 0


# Precision


def print_precision(data: Path) -> None:
    people = {name: slices for name, slices in people_in(data).items() if slices}
    names = list(people)
    facts = [fact for name in names for fact in in_threads(facts_of, people[name])]
    person = np.repeat(np.arange(len(names)), [len(people[name]) for name in names])
    level = np.concatenate([np.linspace(0, 1, len(people[name])) for name in names])
    source = np.array([name.split()[0] for name in names])
    half = np.random.default_rng(0).permutation(len(names)) % 2
    found = find_candidates([keypoints for _, keypoints in facts])
    one, other = found.pairs.T
    apart = (person[one] != person[other]) & (np.abs(level[one] - level[other]) <= LEVEL_TOLERANCE)
    same = np.array(list(in_threads(
        lambda i: similar(facts, found.pairs[i], found.votes[i]), np.flatnonzero(apart)
    )), bool)  # fmt: skip
    wrong = found.pairs[apart][same]
    print("\n| different people at one level | pairs | candidates | joined, first half | second "
          "| between halves |\n| --- | --- | --- | --- | --- | --- |")  # fmt: skip
    totals = np.zeros(5, int)
    for a, b in itertools.combinations_with_replacement(sorted(set(source)), 2):
        pairs = sum(
            int((np.abs(level[person == i][:, None] - level[person == j]) <= LEVEL_TOLERANCE).sum())
            for i, j in itertools.combinations(range(len(names)), 2)
            if {source[i], source[j]} == {a, b}
        )
        if not pairs:
            continue
        chosen = of_sources(source[person[found.pairs[apart]]], a, b)
        bad = wrong[of_sources(source[person[wrong]], a, b)]
        halves = half[person[bad]].sum(axis=1)
        counts = [pairs, int(chosen.sum()), *(int((halves == n).sum()) for n in (0, 2, 1))]
        totals += counts
        if any(counts[1:]):
            print(f"| {a} and {b} | " + " | ".join(f"{count:,}" for count in counts) + " |")
    print("| all | " + " | ".join(f"{count:,}" for count in totals) + " |", flush=True)


def of_sources(sources: np.ndarray, a: str, b: str) -> np.ndarray:
    """Which pairs of sources are these two: bool (pairs,)."""
    one, other = sources.reshape(-1, 2).T
    return ((one == a) & (other == b)) | ((one == b) & (other == a))


def similar(facts: list[Facts], pair: np.ndarray, votes: int) -> bool:
    one, other = (Look(decode_thumbnail(facts[i][0]), Keypoints.decode(facts[i][1])) for i in pair)
    other = other.mirrored() if votes < 0 else other
    return similarity(one, other, MIN_SIMILARITY) >= MIN_SIMILARITY


def people_in(data: Path) -> dict[str, list[np.ndarray]]:
    """Slices of each person from the lowest to the highest; the first word of a name is the source.

    The volumes of one person are joined (a slice is then next to that of the same level), and
    templates, which are averages of many people, are left out.
    """
    people = {}
    for folder in sorted((data / "btp").glob("PGBM-*")):
        pre, post = (usable_slices(folder / f"{time}_t1c.nii.gz") for time in ("pre", "post"))
        people[f"btp {folder.name}"] = merged(pre, post)
    volumes = data / "volumes"
    for folder in sorted((volumes / "ms").iterdir()):
        people[f"ms {folder.name}"] = usable_slices(next(folder.iterdir()))
    for name, files in {
        "ixi": ["healthy_ixi016_t1.nii.gz"],
        "epi": ["healthy_epi_4d_nonras.nii.gz"],
        "stroke": ["stroke/T2.nii.gz"],
        "glioma": ["glioma_low_grade/bet_fla.nii.gz"],
        "metastasis": ["metastasis/flair.nii.gz"],
        "metastasis-t1": ["metastasis/t1c.nii.gz"],
    }.items():
        people[f"{name} 1"] = [pixels for file in files for pixels in usable_slices(volumes / file)]
    people["t2 dicom"] = dicom_slices(volumes / "healthy_t2_dicom")
    people["t2 niivue"] = [p for file in sorted((data / "healthy" / "no").glob("niivue-t2w*"))
                           for p in usable_slices(file)]  # fmt: skip
    # The two sequences of one person are not two people.
    people["metastasis 1"] = merged(people["metastasis 1"], people.pop("metastasis-t1 1"))
    for file in sorted((data / "heads").glob("*.nii.gz")):
        people[f"painted {file.name[:7]}"] = painted(file)
    for seed in range(30):
        people[f"phantom {seed}"] = [
            to_pixels(make_phantom((seed, i), tumor=bool(i % 2)).pixels) for i in range(10)
        ]
    return people


def merged(one: list[np.ndarray], other: list[np.ndarray]) -> list[np.ndarray]:
    """Two stacks of one head as one, by relative height."""
    places = np.concatenate([np.linspace(0, 1, len(one)), np.linspace(0, 1, len(other))])
    both = [*one, *other]
    return [both[i] for i in np.argsort(places, kind="stable")]


def dicom_slices(folder: Path) -> list[np.ndarray]:
    slices = []
    for file in find_files([folder]):
        try:
            slices += [item for item in read_slices(file) if is_usable(item.pixels)]
        except FalxError:
            continue
    return [item.pixels for item in sorted(slices, key=lambda item: item.instance or 0)]


def painted(file: Path) -> list[np.ndarray]:
    """Axial slices of a label map, every fourth, the same gray for a label in all heads."""
    labels = np.asarray(nibabel.as_closest_canonical(nibabel.load(file)).dataobj).astype(int)
    grays = np.random.default_rng(0).uniform(0.1, 1, 1000)
    grays[0] = 0
    rng = np.random.default_rng(1)
    slices = []
    for z in range(0, labels.shape[2], 4):
        image = cv2.GaussianBlur(grays[labels[::-1, ::-1, z].T], (0, 0), 0.7)
        image += rng.normal(0, 0.02, image.shape)
        if (image > 0.1).mean() > 0.05:
            slices.append(np.clip(image, 0, 1).astype(np.float32))
    return slices


# Time


def print_time(data: Path, slices: int) -> None:
    files = find_files([data / "msoud"])
    pixels = (item for file in files for item in usable_slices(file))
    facts = list(in_threads(facts_of, list(pixels)))
    rng = np.random.default_rng(0)
    pool = Keypoints(*map(np.concatenate, zip(*(
        (points.places, points.bits) for points in (Keypoints.decode(text) for _, text in facts)
    ), strict=True)))  # fmt: skip
    copies = [jittered(facts[i % len(facts)], pool, rng) for i in range(slices - len(facts))]
    facts = (facts + copies)[:slices]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    found = near_pairs(*map(list, zip(*facts, strict=True)))
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sets = len(np.unique(components(len(facts), found)))
    print(f"\n{len(facts):,} slices in {seconds:.0f} s, {sets:,} sets; memory {before / 1e6:.1f} "
          f"GB with the facts, at most {peak / 1e6:.1f} GB")  # fmt: skip


def jittered(facts: Facts, pool: Keypoints, rng: np.random.Generator) -> Facts:
    """Facts as of a changed copy.

    A third of the keypoints become others, made from a pool by flipping a fifth of the bits; of the
    rest, a twentieth flips. Places move by a pixel, and the thumbnail gets another gamma and is
    compressed again.
    """
    own = Keypoints.decode(facts[1])
    bits, places = own.bits.copy(), own.places.astype(int)
    replaced = np.flatnonzero(rng.random(len(bits)) < 0.33)
    others = rng.integers(0, len(pool.bits), len(replaced))
    bits[replaced], places[replaced] = pool.bits[others], pool.places[others]
    flipped = np.full((len(bits), 1), 0.05)
    flipped[replaced] = 0.2
    bits ^= rng.random(bits.shape) < flipped
    places = np.clip(places + rng.integers(-1, 2, places.shape), 0, 255).astype(np.uint8)
    thumbnail = decode_thumbnail(facts[0]) ** np.float32(rng.uniform(0.7, 1.4))
    return encode_thumbnail(thumbnail), Keypoints(places, bits).encode()


def in_threads(work: Callable, items: list) -> list:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, items))


if __name__ == "__main__":
    main()
