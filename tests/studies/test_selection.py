"""The choice of a hyper-parameter among linear networks, whose accuracies are known."""

import dataclasses

import jax
import linear
import numpy as np
import pytest

from robust_saliency.data import Split
from robust_saliency.studies import check_study, families_of, run_study

SETTINGS = {
  "kind": "selection",
  "families": {"defended": {"right": 1.0, "wrong": 2.0}},
  "reference": "plain",
  "source": "source",
  "attack": {"name": "fgsm"},
  "epsilon": 0.05,
  "batch_size": 16,
}
KEY = jax.random.key(0)


@pytest.fixture
def networks():
  # Network 0 drew the labels; network 1 has nothing to do with them.
  return {name: [linear.network(seed)] for name, seed in SEEDS.items()}


SEEDS = {"plain": 0, "source": 0, "right": 0, "wrong": 1}


@pytest.fixture
def dataset():
  whole = linear.dataset()
  # Other images than those of the test split: whoever looks there finds another size.
  x = np.random.default_rng(1).uniform(0.4, 0.6, (23, 2, 2, 1)).astype(np.float32)
  y = (x.reshape(23, 4) @ linear.direction(0) > 0).astype(np.int32)
  return dataclasses.replace(whole, validation=Split(x, y))


def test_accuracies_are_those_of_the_validation_images_moved_against_the_source(networks, dataset):
  result = run_study("s", SETTINGS, networks, dataset, key=KEY, seeds=[0])
  x, y = dataset.validation.x, dataset.validation.y
  push = 0.05 * np.sign(linear.direction(0)).reshape(2, 2, 1)
  x_adv = x - push * np.where(y == 1, 1, -1)[:, None, None, None]
  assert result.facts["models"] == ["plain", "right", "wrong"]
  for row, seed in enumerate((0, 0, 1)):
    np.testing.assert_array_equal(result.arrays["clean"][row, 0], linear.margins(x, y, seed) > 0)
    np.testing.assert_array_equal(
      result.arrays["attacked"][row, 0], linear.margins(x_adv, y, seed) > 0
    )


def test_the_most_robust_is_chosen_only_if_it_stays_accurate(networks, dataset):
  strict = run_study("s", SETTINGS, networks, dataset, key=KEY, seeds=[0])
  # The attack on network 0 leaves network 1, which is a bad classifier, more accurate.
  attacked = strict.arrays["attacked"].mean(axis=(1, 2))
  assert attacked[2] > attacked[1]
  assert strict.facts["chosen"] == {"defended": "right"}
  assert strict.facts["eligible"] == ["right"]
  lenient = run_study("s", {**SETTINGS, "keep": 0.1}, networks, dataset, key=KEY, seeds=[0])
  assert lenient.facts["chosen"] == {"defended": "wrong"}


def test_where_nobody_stays_accurate_the_most_accurate_is_chosen(networks, dataset):
  settings = {**SETTINGS, "families": {"defended": {"wrong": 2.0}}}
  result = run_study("s", settings, networks, dataset, key=KEY, seeds=[0])
  assert result.facts["chosen"] == {"defended": "wrong"}
  assert result.facts["eligible"] == []


@pytest.mark.parametrize(
  ("changes", "sentence"),
  [
    ({"source": "sorce"}, r"source must be one of .*; got 'sorce' \(did you mean 'source'\?\)"),
    ({"families": {"plain": {"right": 1.0}}}, "'plain' must not have a trained model's name"),
    ({"families": {"defended": {}}}, "the family 'defended' needs candidates, got none"),
    ({"families": {"defended": {"left": 1.0}}}, "candidate of the family 'defended' must be one"),
    ({"families": {"defended": {"right": -1.0}}}, "number of candidate 'right' must be >= 0"),
    ({"keep": 97}, "keep must be between 0 and 1, got 97"),
    ({"examples": 24}, "examples must be between 1 and 23, got 24"),
  ],
)
def test_a_bad_choice_is_refused_before_anything_runs(networks, dataset, changes, sentence):
  modules = {name: of_seeds[0].module for name, of_seeds in networks.items()}
  with pytest.raises(ValueError, match=sentence):
    check_study({**SETTINGS, **changes}, modules, dataset)


def test_without_a_validation_split_nothing_is_chosen(networks):
  modules = {name: of_seeds[0].module for name, of_seeds in networks.items()}
  with pytest.raises(ValueError, match="needs a validation split, which middling has not"):
    check_study(SETTINGS, modules, linear.dataset())


def test_two_studies_cannot_choose_one_name():
  with pytest.raises(ValueError, match="studies 'a' and 'b' both choose 'defended'"):
    families_of({"a": SETTINGS, "b": SETTINGS})
