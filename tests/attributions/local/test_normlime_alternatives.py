import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import entropy

from robust_saliency.attributions.local.normlime import normlime
from robust_saliency.attributions.local.normlime_alternatives import (
  AGGREGATIONS,
  homogeneity_weighted,
  mean_absolute,
  mean_square,
  root_sum_absolute,
)

RNG = np.random.RandomState(0)
COEFFICIENTS = RNG.randn(40, 5) * (RNG.uniform(size=(40, 5)) < 0.7)
LABELS = RNG.randint(0, 3, 40)
W = jnp.asarray(COEFFICIENTS, jnp.float32)


def per_class(function):
  return np.array(
    [
      [function(column[column != 0]) for column in COEFFICIENTS[label == LABELS].T]
      for label in range(3)
    ]
  )


@pytest.mark.parametrize(
  ("aggregation", "of_occurrences"),
  [
    (mean_absolute, lambda w: np.mean(np.abs(w))),
    (mean_square, lambda w: np.mean(w**2)),
    (root_sum_absolute, lambda w: np.sqrt(np.sum(np.abs(w)))),
  ],
)
def test_aggregations_are_their_formulas(aggregation, of_occurrences):
  np.testing.assert_allclose(
    aggregation(W, LABELS, classes=3), per_class(of_occurrences), rtol=1e-5
  )
  pooled = [of_occurrences(column[column != 0]) for column in COEFFICIENTS.T]
  np.testing.assert_allclose(aggregation(W, LABELS, classes=3, per_class=False), pooled, rtol=1e-5)


def test_homogeneity_is_the_scaled_entropy_of_a_feature_over_the_classes():
  importance = per_class(lambda w: np.sqrt(np.sum(np.abs(w))))
  evenness = entropy(importance, axis=0)
  factor = 1 - (evenness - evenness.min()) / np.ptp(evenness)
  np.testing.assert_allclose(
    homogeneity_weighted(W, LABELS, classes=3), factor * importance, atol=1e-4
  )
  pooled = np.sqrt(np.abs(COEFFICIENTS).sum(axis=0))
  np.testing.assert_allclose(
    homogeneity_weighted(W, LABELS, classes=3, per_class=False), factor * pooled, atol=1e-4
  )


def test_equally_even_features_are_not_weighted():
  w, labels = jnp.full((4, 3), 0.7), jnp.array([0, 1, 0, 1])
  np.testing.assert_allclose(
    homogeneity_weighted(w, labels, classes=2), root_sum_absolute(w, labels, classes=2)
  )


def test_normlime_terms_never_exceed_the_mean_magnitude():
  assert (normlime(W, LABELS, classes=3) <= mean_absolute(W, LABELS, classes=3) * (1 + 1e-6)).all()
  single = jnp.zeros((3, 4)).at[jnp.arange(3), jnp.arange(3)].set(jnp.array([0.5, -2.0, 1.0]))
  labels = jnp.zeros(3, int)
  np.testing.assert_allclose(
    normlime(single, labels, classes=1), mean_absolute(single, labels, classes=1)
  )


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_all_aggregations_share_a_signature_and_skip_what_is_zero(name):
  aggregation = AGGREGATIONS[name]
  assert inspect.signature(aggregation) == inspect.signature(normlime)
  aggregate = jax.jit(lambda w, labels: aggregation(w, labels, classes=4))
  scores = aggregate(W.at[:, 2].set(0).at[5].set(0), LABELS)
  assert scores.shape == (4, 5)
  assert np.isfinite(scores).all()
  np.testing.assert_array_equal(scores[:, 2], 0)
  np.testing.assert_array_equal(scores[3], 0)
