import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.data import Dataset, Split, check


def split(examples=4, shape=(3, 2, 1), dtype=np.uint8, classes=2) -> Split:
  x = np.arange(examples * np.prod(shape)).reshape(examples, *shape).astype(dtype)
  return Split(x, np.arange(examples, dtype=np.int32) % classes)


def dataset(**changes) -> Dataset:
  whole = Dataset("toy", split(), None, split(2), ("a", "b"), scale=1 / 255)
  return dataclasses.replace(whole, **changes)


def with_pixel(value, position=(1, 2, 0, 0)) -> Split:
  x = np.full((4, 3, 2, 1), 0.5, np.float32)
  x[position] = value
  return Split(x, np.zeros(4, np.int32))


def test_every_byte_becomes_a_float_pixel_within_the_bounds():
  pixels = dataset().to_float(np.arange(256, dtype=np.uint8))
  assert pixels.dtype == np.float32
  assert pixels.min() == 0.0
  assert pixels.max() == 1.0
  np.testing.assert_allclose(pixels, np.arange(256) / 255, rtol=1e-6)


def test_pixels_become_float_alike_in_numpy_in_jax_and_under_jit():
  pixels = np.arange(256, dtype=np.uint8)
  ours = dataset(scale=1 / 128, offset=-1.0, bounds=(-1.0, 1.0))
  in_numpy = ours.to_float(pixels)
  assert isinstance(in_numpy, np.ndarray)
  for convert in (ours.to_float, jax.jit(ours.to_float)):
    in_jax = convert(jnp.asarray(pixels))
    assert in_jax.dtype == jnp.float32
    np.testing.assert_array_equal(in_numpy, in_jax)


def test_float_pixels_have_a_gradient_through_the_scale():
  gradient = jax.grad(lambda x: dataset(scale=0.25).to_float(x).sum())(jnp.zeros((2, 2)))
  np.testing.assert_array_equal(gradient, np.full((2, 2), 0.25))


def test_splits_lists_what_exists():
  assert list(dataset().splits) == ["train", "test"]
  assert list(dataset(validation=split()).splits) == ["train", "validation", "test"]


def test_a_sound_set_passes():
  check(dataset())
  check(dataset(validation=split(1)))
  check(dataset(train=with_pixel(1.0), test=with_pixel(0.0), scale=1.0))


EMPTY = Split(np.zeros((0, 3, 2, 1), np.uint8), np.zeros(0, np.int32))


@pytest.mark.parametrize(
  ("changes", "error", "sentence"),
  [
    (
      {"test": EMPTY},
      ValueError,
      "toy, test: x must hold images [N, H, W, C], at least one, got shape (0, 3, 2, 1)",
    ),
    (
      {"train": Split(np.zeros((4, 6), np.uint8), np.zeros(4, np.int32))},
      ValueError,
      "toy, train: x must hold images [N, H, W, C], at least one, got shape (4, 6)",
    ),
    (
      {"validation": split(shape=(2, 2, 1))},
      ValueError,
      "toy, validation: x must hold images of the training set's shape (3, 2, 1), got (2, 2, 1)",
    ),
    (
      {"train": Split(split(4).x, split(3).y)},
      ValueError,
      "toy, train: y must hold one class per image, shape (4,), got (3,)",
    ),
    (
      {"test": split(3, classes=3)},
      ValueError,
      "toy, test: y must hold classes 0 to 1, got 2",
    ),
    (
      {"train": Split(split(1).x, np.array([-1], np.int32))},
      ValueError,
      "toy, train: y must hold classes 0 to 1, got -1",
    ),
    (
      {"train": Split(split(1).x, np.zeros(1))},
      TypeError,
      "toy, train: y must be int32, got float64",
    ),
    (
      {"train": split(dtype=np.float64)},
      TypeError,
      "toy, train: x must be uint8 or float32, got float64",
    ),
    (
      {"train": with_pixel(1.0), "test": with_pixel(np.nan), "scale": 1.0},
      ValueError,
      "toy, test: x must be finite, got nan at [1, 2, 0, 0]",
    ),
    (
      {"train": with_pixel(1.0), "test": with_pixel(-np.inf), "scale": 1.0},
      ValueError,
      "toy, test: x must be finite, got -inf at [1, 2, 0, 0]",
    ),
    (
      {"train": with_pixel(1.0), "test": with_pixel(1.5), "scale": 1.0},
      ValueError,
      "toy, test: pixels must lie within bounds (0.0, 1.0), got values from 0.5 to 1.5",
    ),
    (
      {"train": with_pixel(-0.25), "scale": 1.0},
      ValueError,
      "toy, train: pixels must lie within bounds (0.0, 1.0), got values from -0.25 to 0.5",
    ),
    (
      {"scale": 1.0},
      ValueError,
      "toy, train: pixels must lie within bounds (0.0, 1.0), got values from 0 to 23",
    ),
    (
      {"offset": float("nan")},
      ValueError,
      "toy, train: pixels must lie within bounds (0.0, 1.0), got values from nan to nan",
    ),
    ({"scale": 0.0}, ValueError, "scale must be > 0, got 0.0"),
    ({"bounds": (1.0, 0.0)}, ValueError, "bounds must be finite with low < high, got (1.0, 0.0)"),
  ],
)
def test_what_is_wrong_with_a_set_is_said_in_one_sentence(changes, error, sentence):
  with pytest.raises(error) as caught:
    check(dataset(**changes))
  assert str(caught.value) == sentence
