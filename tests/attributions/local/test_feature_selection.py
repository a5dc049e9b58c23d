import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge

from robust_saliency.attributions.local.feature_selection import (
  forward_selection,
  highest_weights,
  lasso_path,
  select_features,
)
from robust_saliency.attributions.local.lime_ridge import sample_moments


def problem(samples=120, features=8, predictions=2, seed=0):
  rng = np.random.RandomState(seed)
  masks = rng.randint(0, 2, (samples, features)).astype(np.float64)
  targets = np.tanh(masks @ rng.randn(features, predictions))
  return masks, targets, rng.uniform(0.1, 1, samples)


def moments_of(masks, targets, weights):
  return sample_moments(*(jnp.asarray(a, jnp.float32) for a in (masks, targets, weights)))


def chosen(rows):
  return [set(np.flatnonzero(row)) for row in np.asarray(rows)]


def test_highest_weights_are_scikit_learns():
  masks, targets, weights = problem()
  for row, target in zip(
    chosen(highest_weights(moments_of(masks, targets, weights), 3)), targets.T, strict=True
  ):
    coefficients = Ridge(alpha=0.01).fit(masks, target, sample_weight=weights).coef_
    assert row == set(np.argsort(-np.abs(coefficients))[:3])


@pytest.mark.parametrize("count", [1, 3, 6])
def test_forward_selection_adds_the_feature_that_raises_the_fit_the_most(count):
  masks, targets, weights = problem()
  for row, target in zip(
    chosen(forward_selection(moments_of(masks, targets, weights), count)), targets.T, strict=True
  ):
    used = []
    for _ in range(count):
      scores = {}
      for feature in set(range(8)) - set(used):
        columns = masks[:, [*used, feature]]
        model = LinearRegression().fit(columns, target, sample_weight=weights)
        scores[feature] = model.score(columns, target, sample_weight=weights)
      used.append(max(scores, key=scores.get))
    assert row == set(used)


def test_forward_selection_passes_over_copies_of_what_it_has():
  masks, targets, weights = problem()
  masks[:, 5] = masks[:, 1]
  targets = 5 * masks[:, [1]] + masks[:, [2]] + 0.5 * masks[:, [3]]
  assert chosen(forward_selection(moments_of(masks, targets, weights), 3)) == [{1, 2, 3}]


def test_the_lasso_path_finds_the_features_of_a_sparse_model_inside_jit_too():
  masks, _, weights = problem()
  targets = np.stack([4 * masks[:, 1] - 2 * masks[:, 6], masks[:, 0] + 3 * masks[:, 7]], axis=1)
  moments = moments_of(masks, targets, weights)
  expected = [{1, 6}, {0, 7}]
  assert chosen(lasso_path(moments, 2)) == expected
  select = jax.jit(lambda m: select_features(m, selection="lasso_path", max_features=2))
  assert chosen(select(moments)) == expected
  stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), moments)
  assert chosen(jax.vmap(select)(stacked)[1]) == expected


@pytest.mark.parametrize("selection", ["none", "highest_weights", "auto"])
@pytest.mark.parametrize("max_features", [None, 8, 100000])
def test_everything_is_kept_where_everything_is_allowed(selection, max_features):
  moments = moments_of(*problem())
  assert select_features(moments, selection=selection, max_features=max_features) is None


@pytest.mark.parametrize(("count", "function"), [(6, forward_selection), (7, highest_weights)])
def test_auto_is_forward_selection_up_to_six_features(count, function):
  moments = moments_of(*problem())
  np.testing.assert_array_equal(
    select_features(moments, selection="auto", max_features=count), function(moments, count)
  )


def test_bad_arguments_are_named():
  moments = moments_of(*problem())
  with pytest.raises(ValueError, match=r"selection must .* \(did you mean 'lasso_path'\?\)"):
    select_features(moments, selection="lasso", max_features=2)
  with pytest.raises(ValueError, match="max_features must be >= 1, got 0"):
    select_features(moments, max_features=0)
