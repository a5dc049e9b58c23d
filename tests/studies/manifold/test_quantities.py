"""What is claimed of distances, against closed forms and all permutations."""

import itertools

import numpy as np
import pytest

from robust_saliency.studies.manifold.quantities import (
  chance_apart,
  chance_falling,
  counted,
  mean_over,
)


@pytest.mark.parametrize("falling", [0, 1, 2, 3])
def test_the_chance_of_falling_is_that_share_of_all_permutations(falling):
  orders = list(itertools.permutations([3.0, 2.0, 1.0]))
  panels = {f"{i}": orders[0] if i < falling else orders[1] for i in range(3)}
  assert orders[0] == (3.0, 2.0, 1.0)
  all_of_them = itertools.product(orders, repeat=3)
  as_many = np.mean([sum(one == orders[0] for one in of) >= falling for of in all_of_them])
  assert chance_falling(panels) == pytest.approx(as_many)


def test_panels_of_other_lengths_count_with_their_own_chance():
  # 1/2 and 1/24, either or both.
  panels = {"a": [2.0, 1.0], "b": [1.0, 2.0, 3.0, 4.0]}
  assert chance_falling(panels) == pytest.approx(1 - (1 / 2) * (23 / 24))


def test_a_network_that_was_not_measured_leaves_no_chance():
  assert np.isnan(chance_falling({"a": [2.0, np.nan]}))


@pytest.mark.parametrize("shift", [-2.0, 0.0, 0.8, 2.0])
def test_the_chance_that_standard_networks_lie_apart_is_that_share_of_all_choices(shift):
  drawn = np.random.default_rng(0).normal(size=(9,))
  standard, trained = drawn[:3] + shift, drawn[3:]
  every = np.concatenate([standard, trained])

  def difference(of):
    rest = [i for i in range(9) if i not in of]
    return every[list(of)].mean() - every[rest].mean()

  choices = list(itertools.combinations(range(9), 3))
  as_far = np.mean([difference(of) >= difference((0, 1, 2)) - 1e-12 for of in choices])
  assert chance_apart(trained, standard) == pytest.approx(as_far)


def test_without_one_network_s_distance_nothing_lies_apart():
  assert np.isnan(chance_apart([1.0, np.nan], [2.0, 3.0]))


def test_one_standard_network_alone_has_no_spread_that_could_be_counted():
  assert np.isnan(chance_apart([1.0, 2.0], [3.0]))


def test_an_image_counts_where_it_fools_every_network_of_the_panel():
  fooled = np.array([[1, 1, 0, 1], [1, 0, 1, 1], [0, 1, 1, 1]], bool)
  found = counted(fooled, ["s", "a", "b"], ["s"], {"one": ["a"], "two": ["a", "b"]})
  assert {name: of.tolist() for name, of in found.items()} == {
    "": [True, True, False, True],
    "one": [True, False, False, True],
    "two": [False, False, False, True],
  }
  values = np.array([[1.0, 2.0, 3.0, 6.0]])
  assert mean_over(values, found["one"]).tolist() == [3.5]
  assert np.isnan(mean_over(values, np.zeros(4, bool))).all()
