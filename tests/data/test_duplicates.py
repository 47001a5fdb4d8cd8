"""Duplicates and near-duplicates are found exactly, whatever their number."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.data import duplicates
from falx.data.duplicates import components, equal_pairs, near_pairs, perceptual_hash
from falx.image.crop import head_box
from falx.phantom import make_phantom


def hashes(generator, n):
    return [generator.bytes(32).hex() for _ in range(n)]


def with_flipped_bits(value, count, generator):
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(value), np.uint8))
    bits[generator.choice(256, count, replace=False)] ^= 1
    return np.packbits(bits).tobytes().hex()


def distance(first, second):
    return (int(first, 16) ^ int(second, 16)).bit_count()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_the_components_are_those_of_a_comparison_of_all_pairs(seed, n):
    generator = np.random.default_rng(seed)
    values = hashes(generator, n // 2 + 1)
    values += [with_flipped_bits(v, int(generator.integers(30, 50)), generator) for v in values][
        : n // 2
    ]
    close = [
        (i, j) for i in range(len(values)) for j in range(i) if distance(values[i], values[j]) <= 40
    ]
    wanted = components(len(values), np.array(close, np.int64).reshape(-1, 2))
    np.testing.assert_array_equal(components(len(values), near_pairs(values)), wanted)


def test_the_radius_is_inclusive():
    generator = np.random.default_rng(0)
    value = generator.bytes(32).hex()
    at, beyond = (with_flipped_bits(value, count, generator) for count in (40, 41))
    assert near_pairs([value, at], 40).tolist() == [[0, 1]]
    assert near_pairs([value, beyond], 40).tolist() == []


def test_pairs_across_blocks_are_found(monkeypatch):
    generator = np.random.default_rng(0)
    values = hashes(generator, 20)
    values.append(with_flipped_bits(values[0], 5, generator))
    monkeypatch.setattr(duplicates, "_BLOCK", 4)
    assert near_pairs(values).tolist() == [[0, 20]]


def test_many_equal_hashes_cost_one_link_each():
    assert len(near_pairs(["ab" * 32] * 1000)) == 999


def test_equal_keys_are_linked_to_the_first_and_empty_keys_to_none():
    assert equal_pairs(["a", "", "b", "a", "", "a"]).tolist() == [[0, 3], [0, 5]]


def test_components_number_rows_in_order_of_appearance():
    assert components(5, np.array([[1, 3]]), np.array([[3, 4]])).tolist() == [0, 1, 2, 1, 1]


@pytest.mark.parametrize(
    "change",
    [
        lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        lambda p: cv2.resize(p, None, fx=2, fy=2),
        lambda p: np.clip(p * 0.8 + 0.05, 0, 1),
        lambda p: (
            cv2.imdecode(cv2.imencode(".jpg", (p * 255).astype(np.uint8))[1], 0).astype(np.float32)
            / 255
        ),
    ],
    ids=["halved", "doubled", "dimmed", "recompressed"],
)
def test_a_changed_copy_is_near_and_another_slice_is_not(change):
    one, other = (make_phantom(seed, tumor=True).pixels.astype(np.float32) / 255 for seed in (1, 2))
    copy = change(one).astype(np.float32)
    assert distance(perceptual_hash(one), perceptual_hash(copy)) <= duplicates.RADIUS
    assert distance(perceptual_hash(one), perceptual_hash(other)) > duplicates.RADIUS


def test_the_hash_of_the_head_ignores_the_margins():
    pixels = make_phantom(3, tumor=False).pixels.astype(np.float32) / 255
    wide = np.pad(pixels, ((40, 90), (120, 10)))
    first, second = (perceptual_hash(image, head_box(image)) for image in (pixels, wide))
    assert (
        distance(first, second)
        <= duplicates.RADIUS
        < distance(perceptual_hash(pixels), perceptual_hash(wide))
    )
