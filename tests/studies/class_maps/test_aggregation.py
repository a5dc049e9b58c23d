"""Maps of classes from numbers of images, and how alike two are, against NumPy and SciPy."""

import numpy as np
import pytest
from scipy import ndimage, stats

from robust_saliency.attributions import AGGREGATIONS
from robust_saliency.studies.class_maps.aggregation import (
  Values,
  aggregated,
  agreement,
  rank_correlations,
)
from robust_saliency.studies.class_maps.parts import Parts


def test_correlations_are_scipys_with_equal_values_too():
  random = np.random.default_rng(0)
  first, second = random.integers(0, 6, (2, 3, 20)).astype(float)
  found = rank_correlations(first, second)
  for i, one in enumerate(first):
    for j, other in enumerate(second):
      assert found[i, j] == pytest.approx(stats.spearmanr(one, other).statistic)


def test_a_map_that_is_the_same_everywhere_has_no_rank():
  found = rank_correlations(np.ones((1, 5)), np.arange(5.0)[None])
  assert np.isnan(found).all()


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("rule", AGGREGATIONS)
def test_halves_drawn_together_are_aggregated_like_one_by_one(rule):
  random = np.random.default_rng(1)
  numbers = random.normal(size=(12, 4)).astype(np.float32)
  features = random.integers(0, 3, (12, 4)).astype(np.int32)
  values = Values(numbers, numbers > -1, np.arange(12) % 2, features)
  rows = np.stack([random.permutation(12)[:6] for _ in range(3)])
  together = aggregated(rule, values.take(rows), classes=2, features=3)
  for one, of_draw in zip(rows, together, strict=True):
    alone = aggregated(rule, values.take(one), classes=2, features=3)
    np.testing.assert_allclose(of_draw, alone, rtol=1e-6)


def test_normlime_of_a_class_is_the_equation_on_its_own_rows():
  numbers = np.array([[0.4, 0.1, 0.0], [-0.4, 0.0, 0.4], [0.0, 0.05, 0.0]], np.float32)
  values = Values(numbers, numbers != 0, np.array([0, 1, 1]))
  found = aggregated("normlime", values, classes=2, features=3)
  np.testing.assert_allclose(found[0], [0.32, 0.02, 0], rtol=1e-6)
  np.testing.assert_allclose(found[1], [0.2, 0.05, 0.2], rtol=1e-6)
  of_all = aggregated("normlime", values, classes=2, features=3, per_class=False)
  np.testing.assert_allclose(of_all, [0.26, 0.035, 0.2], rtol=1e-6)


def of_two_classes(noise):
  random = np.random.default_rng(2)
  truth = np.array([np.arange(8.0), np.arange(8.0)[::-1]]) + 1
  classes = np.repeat([0, 1], 20)
  numbers = truth[classes] + noise * random.normal(size=(40, 8))
  return Values(numbers.astype(np.float32), np.ones((40, 8), bool), classes)


def agreement_of(values, size, **settings):
  shown = np.ones(8, bool)
  fields = {"draws": 5, "classes": 2, "shown": shown, "seed": 0, **settings}
  return agreement("mean_absolute", values, size=size, **fields)


def test_halves_without_noise_agree_and_opposite_classes_are_opposite():
  found = agreement_of(of_two_classes(0.0), 5)
  assert found.same == pytest.approx(1)
  assert found.others == pytest.approx(-1)


def test_halves_of_noisy_images_agree_the_more_the_larger_they_are():
  values = of_two_classes(3.0)
  small, large = (agreement_of(values, size).same for size in (1, 10))
  assert small < large - 0.1


def test_a_class_with_too_few_images_is_left_out():
  values = of_two_classes(0.0)
  few = values.take(np.concatenate([np.arange(20), np.arange(20, 23)]))
  found = agreement_of(few, 5)
  assert found.same == pytest.approx(1)
  assert np.isnan(found.others)
  assert np.isnan(agreement_of(values, 11).same)


def test_means_of_parts_are_scipys():
  random = np.random.default_rng(3)
  labels = random.integers(0, 4, (2, 5, 6)).astype(np.int32)
  maps = random.normal(size=(2, 5, 6))
  found = Parts(labels, 5).means(maps)
  for one, of_image, at in zip(found, maps, labels, strict=True):
    np.testing.assert_allclose(one[:4], ndimage.mean(of_image, at, range(4)), rtol=1e-5)
  assert (found[:, 4] == 0).all()
