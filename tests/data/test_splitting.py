import dataclasses

import numpy as np
import pytest

from robust_saliency.data import check, hold_out, load
from robust_saliency.data.splitting import stratified


@pytest.mark.parametrize("examples", [1, 7, 50, 99])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_class_gives_its_share_rounded_up_or_down(examples, seed):
  y = np.repeat([0, 1, 2, 5], [50, 30, 17, 3])
  rest, drawn = stratified(y, examples, seed)
  assert len(drawn) == examples
  np.testing.assert_array_equal(np.sort(np.concatenate([rest, drawn])), np.arange(100))
  shares = np.array([np.sum(y[drawn] == label) for label in (0, 1, 2, 5)])
  assert np.all(np.abs(shares - examples * np.array([0.5, 0.3, 0.17, 0.03])) < 1)


def test_the_seed_decides_who_is_drawn():
  y = np.repeat([0, 1], 50)
  drawn = [stratified(y, 10, seed)[1].tolist() for seed in (0, 0, 1)]
  assert drawn[0] == drawn[1] != drawn[2]


def test_within_a_class_everyone_is_drawn_equally_often():
  y = np.repeat([0, 1], [10, 30])
  times = np.zeros(40)
  for seed in range(400):
    times[stratified(y, 20, seed)[1]] += 1
  # Binomial(400, 1/2): standard deviation 10, five of them for 40 positions.
  assert np.all(np.abs(times - 200) < 50)


@pytest.mark.parametrize("examples", [0, -1])
def test_drawing_nobody_is_refused(examples):
  with pytest.raises(ValueError, match=f"examples must be >= 1, got {examples}"):
    stratified(np.zeros(3, int), examples, 0)


def test_drawing_everybody_is_refused():
  with pytest.raises(ValueError, match="examples must be fewer than the 3 there are, got 3"):
    stratified(np.zeros(3, int), 3, 0)


def test_hold_out_moves_training_images_and_leaves_the_test_images_alone():
  digits = load("digits")
  held_out = hold_out(digits, examples=297, seed=3)
  check(held_out)
  assert held_out.test is digits.test
  assert [len(split) for split in held_out.splits.values()] == [1000, 297, 500]
  before = np.concatenate([digits.train.x.reshape(1297, -1), digits.train.y[:, None]], axis=1)
  parts = (held_out.train, held_out.validation)
  after = np.concatenate(
    [np.concatenate([part.x.reshape(len(part), -1), part.y[:, None]], axis=1) for part in parts]
  )
  np.testing.assert_array_equal(sorted(map(tuple, before)), sorted(map(tuple, after)))


def test_hold_out_refuses_a_set_that_has_a_validation_split():
  digits = load("digits")
  twice = dataclasses.replace(digits, validation=digits.test)
  with pytest.raises(ValueError, match="digits has a validation split of 500 images already"):
    hold_out(twice, examples=10)
