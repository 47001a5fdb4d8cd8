"""Duplicates and near-duplicates are found, and other people's slices at the same level are not."""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.data import keypoints
from falx.data.alignment import Look, decode_thumbnail, encode_thumbnail, similarity
from falx.data.duplicates import MIN_SIMILARITY, components, equal_pairs, near_pairs
from falx.data.keypoints import Keypoints, find_candidates, find_keypoints
from falx.phantoms import make_phantom


def phantom(seed, size=160):
    return make_phantom(seed, tumor=bool(seed % 2), size=size).pixels.astype(np.float32) / 255


def look(pixels):
    return Look(decode_thumbnail(encode_thumbnail(pixels)), find_keypoints(pixels))


def sets(slices, volumes=None):
    """The set of near-duplicates of each slice, numbered by first slice."""
    thumbnails = [encode_thumbnail(pixels) for pixels in slices]
    points = [find_keypoints(pixels).encode() for pixels in slices]
    return components(len(slices), near_pairs(thumbnails, points, volumes)).tolist()


def recompressed(pixels):
    levels = (pixels * 255).astype(np.uint8)
    content = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    return cv2.imdecode(content, 0).astype(np.float32) / 255


def rotated(pixels, degrees):
    height, width = pixels.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return cv2.warpAffine(pixels, matrix, (width, height))


def cropped(pixels):
    height, width = pixels.shape
    return pixels[height // 10 : -height // 20, width // 12 : -width // 16]


def with_text(pixels):
    levels = np.rint(pixels * 255).astype(np.uint8)
    written = cv2.putText(levels, "R 12", (4, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255)
    return written.astype(np.float32) / 255


CHANGES = {
    "halved": lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "doubled": lambda p: cv2.resize(p, None, fx=2, fy=2),
    "dimmed": lambda p: np.clip(p * 0.8 + 0.05, 0, 1),
    "windowed": lambda p: np.clip((p - 0.05) / 0.8, 0, 1) ** 1.4,
    "recompressed": recompressed,
    "cropped": cropped,
    "padded": lambda p: np.pad(p, ((40, 30), (10, 50))),
    "rotated": lambda p: rotated(p, 7),
    "mirrored": lambda p: p[:, ::-1],
    "mirrored and rotated": lambda p: rotated(p[:, ::-1], -5),
    "with text": with_text,
    "squeezed": lambda p: cv2.resize(p, (160, 120), interpolation=cv2.INTER_AREA),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_copy_is_joined_and_another_slice_is_not(change):
    copy = np.ascontiguousarray(change(phantom(1)), np.float32)
    assert sets([phantom(1), phantom(2), copy]) == [0, 1, 0]


@settings(max_examples=15)
@given(st.permutations(range(7)))
def test_the_sets_do_not_depend_on_the_order_of_the_slices(order):
    slices = [phantom(1), phantom(2), phantom(3)]
    slices += [cropped(slices[0]), rotated(slices[1], 4), recompressed(slices[0])]
    slices.append(np.ascontiguousarray(rotated(slices[1], 4)[:, ::-1]))
    found = sets([slices[i] for i in order])
    members = {frozenset(order[i] for i in np.flatnonzero(np.array(found) == n)) for n in found}
    assert members == {frozenset({0, 3, 5}), frozenset({1, 4, 6}), frozenset({2})}


def test_identical_slices_are_linked_without_a_comparison(monkeypatch):
    monkeypatch.setattr(keypoints, "MIN_VOTES", 10**6)
    assert sets([phantom(1), phantom(2), phantom(1)]) == [0, 1, 0]


def test_neighbors_in_a_volume_are_not_compared():
    slices = [phantom(1), cropped(phantom(1))]
    assert sets(slices, ["head.nii", "head.nii"]) == [0, 1]
    assert sets(slices, ["head.nii", "other.nii"]) == [0, 0]


def test_a_link_that_is_refuted_does_not_part_what_another_holds():
    """Each half shows something else, so only the whole is like both."""
    left, right = phantom(1, 224), phantom(2, 224)
    whole = np.hstack([left, right])
    assert sets([left, right, whole, recompressed(whole)]) == [0, 1, 2, 2]


def test_a_slice_without_keypoints_has_no_near_duplicate():
    gradient = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    assert len(find_keypoints(np.zeros((64, 64), np.float32)).bits) == 0
    assert sets([np.zeros((64, 64), np.float32), np.zeros((64, 64), np.float32), gradient]) == [
        0,
        1,
        2,
    ]


def test_nothing_is_near_nothing():
    assert near_pairs([], []).shape == (0, 2)


def test_similarity_is_one_with_itself_and_low_with_another():
    one, other = look(phantom(1)), look(phantom(2))
    assert similarity(one, one) == pytest.approx(1, abs=0.01)
    assert similarity(one, other) < MIN_SIMILARITY < similarity(one, look(cropped(phantom(1))))


def test_the_look_of_a_mirrored_slice_is_the_mirrored_look():
    mirrored = look(np.ascontiguousarray(phantom(1)[:, ::-1]))
    assert similarity(look(phantom(1)).mirrored(), mirrored) > 0.95
    assert similarity(look(phantom(1)), mirrored) < MIN_SIMILARITY


def test_keypoints_and_thumbnails_are_kept_as_text():
    points = find_keypoints(phantom(1))
    again = Keypoints.decode(points.encode())
    np.testing.assert_array_equal(again.places, points.places)
    np.testing.assert_array_equal(again.bits, points.bits)
    thumbnail = decode_thumbnail(encode_thumbnail(phantom(1)))
    expected = cv2.resize(phantom(1), (48, 48), interpolation=cv2.INTER_AREA)
    assert np.abs(thumbnail - expected).mean() < 0.02


def test_votes_of_a_mirrored_copy_are_negative():
    texts = [
        find_keypoints(np.ascontiguousarray(pixels)).encode()
        for pixels in (phantom(1), phantom(1), phantom(1)[:, ::-1])
    ]
    found = find_candidates(texts)
    assert found.pairs.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert (np.sign(found.votes) == [1, -1, -1]).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_votes_are_those_of_a_count_by_hand(seed):
    rng = np.random.default_rng(seed)
    bits = rng.random((5, 192)) < 0.5
    slices = [bits[rng.integers(0, 5, 4)] ^ (rng.random((4, 1)) < 0.5) for _ in range(6)]
    texts = [Keypoints(np.zeros((4, 2), np.uint8), b).encode() for b in slices]
    wanted = {}
    for i, j in itertools.combinations(range(6), 2):
        agreement = (slices[i] * 2 - 1) @ (slices[j] * 2 - 1).T / 192
        votes = 12 * int((agreement == 1).sum() - (agreement == -1).sum())
        if votes:
            wanted[i, j] = votes
    found = find_candidates(texts)
    assert {
        tuple(p): v for p, v in zip(found.pairs.tolist(), found.votes.tolist(), strict=True)
    } == wanted


def test_candidates_across_blocks_are_found(monkeypatch):
    monkeypatch.setattr(keypoints, "_BLOCK", 2)
    texts = [find_keypoints(phantom(seed)).encode() for seed in range(1, 8)]
    assert [0, 7] in find_candidates([*texts, texts[0]]).pairs.tolist()


def test_frequent_words_are_left_out_where_counting_them_would_take_too_long(monkeypatch):
    texts = [find_keypoints(phantom(1)).encode()] * 20
    texts += [find_keypoints(phantom(2)).encode()] * 2
    monkeypatch.setattr(keypoints, "_MAX_WORK", 10_000)
    assert find_candidates(texts).pairs.tolist() == [[20, 21]]


def test_equal_keys_are_linked_to_the_first_and_empty_keys_to_none():
    assert equal_pairs(["a", "", "b", "a", "", "a"]).tolist() == [[0, 3], [0, 5]]


def test_components_number_rows_in_order_of_appearance():
    assert components(5, np.array([[1, 3]]), np.array([[3, 4]])).tolist() == [0, 1, 2, 1, 1]
