import numpy as np
import pytest
from scipy.sparse import csgraph

from robust_saliency.studies.targeted.reading import (
  groups_by_chance,
  stroke_ratio,
  stroke_size,
  target_rate,
)

LABELS = np.array([0, 2])


def test_the_target_rate_leaves_untouched_images_out():
  led = np.array([[0, 1, 2], [0, 1, 2]])
  kept = np.repeat(LABELS[:, None], 3, axis=1)
  some = np.array([[0, 1, 0], [2, 2, 2]])  # one of the first original's two targets
  rates = target_rate(np.array([[led, kept], [some, led]]), LABELS)
  assert rates.tolist() == [[[1, 1], [0, 0]], [[0.5, 0], [1, 1]]]


def test_strokes_are_groups_of_changed_pixels_that_touch():
  images = np.zeros((1, 4, 4, 1), np.uint8)
  stroke, scattered = np.zeros((2, 1, 2, 4, 4, 1), np.uint8)
  stroke[0, 1, [0, 1, 2], [0, 1, 2]] = 255  # one diagonal stroke of three,
  scattered[0, 1, [0, 0, 3], [0, 3, 0]] = 255  # three pixels apart
  labels = np.zeros(1, int)
  assert stroke_size(stroke, images, labels).tolist() == [3]
  assert stroke_size(scattered, images, labels).tolist() == [1]


def components(pixels):
  """Connected groups among [P, 2] positions, as a graph."""
  near = np.abs(pixels[:, None] - pixels[None]).max(axis=-1) <= 1
  return csgraph.connected_components(near)[0]


def test_groups_by_chance_are_those_of_pixels_drawn_without_replacement():
  free = np.random.default_rng(0).random((12, 12)) < 0.7
  found = [groups_by_chance(np.random.default_rng(n), free, 20) for n in range(60)]
  random, places = np.random.default_rng(1), np.argwhere(free)
  drawn = [components(random.permutation(places)[:20]) for _ in range(600)]
  error = np.std(drawn) * np.sqrt(2 / 600)
  assert np.mean(found) == pytest.approx(np.mean(drawn), abs=4 * error)


def test_pixels_placed_at_random_are_no_strokes_and_lines_are_at_any_number():
  random = np.random.default_rng(2)
  images = np.zeros((40, 14, 14, 1), np.uint8)
  for pixels in (10, 60):
    led = np.zeros((40, 2, 14 * 14), np.uint8)
    for n in range(40):
      led[n, 1, random.permutation(14 * 14)[:pixels]] = 255
    led = led.reshape(40, 2, 14, 14, 1)
    chance = stroke_ratio(led, images, np.zeros(40, int), seed=3)
    assert chance.mean() == pytest.approx(1, abs=4 * chance.std() / np.sqrt(40))
  line = np.zeros((1, 2, 14, 14, 1), np.uint8)
  line[0, 1, 0] = 255
  assert stroke_ratio(line, images[:1], np.zeros(1, int), seed=0)[0] > 3


def test_pixels_that_could_not_have_been_changed_are_not_drawn():
  # Only a diagonal is free; three of its pixels that do not touch are as many groups as can be.
  images = np.full((1, 9, 9, 1), 255, np.uint8)
  images[0, range(9), range(9)] = 0
  led = np.repeat(images[:, None], 2, axis=1)
  led[0, 1, [0, 2, 4], [0, 2, 4]] = 255
  labels = np.zeros(1, int)
  everywhere = stroke_ratio(led, np.zeros_like(images), labels, seed=0)
  assert stroke_ratio(led, images, labels, seed=0)[0] < 1
  assert everywhere[0] != stroke_ratio(led, images, labels, seed=0)[0]


def test_the_draws_are_those_of_their_seed_and_an_unchanged_image_has_no_strokes():
  random = np.random.default_rng(5)
  led = random.integers(0, 2, (3, 3, 8, 8, 1)).astype(np.uint8)
  images, labels = np.zeros((3, 8, 8, 1), np.uint8), np.arange(3)
  same = [stroke_ratio(led, images, labels, seed=seed) for seed in (7, 7, 8)]
  np.testing.assert_array_equal(same[0], same[1])
  assert (same[0] != same[2]).all()
  # Whatever else is among the originals.
  np.testing.assert_array_equal(stroke_ratio(led[:2], images[:2], labels[:2], seed=7), same[0][:2])
  assert stroke_ratio(images[:, None].repeat(3, 1), images, labels, seed=7).tolist() == [1, 1, 1]
