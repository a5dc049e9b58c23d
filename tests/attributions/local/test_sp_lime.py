import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attributions.local.sp_lime import sp_lime


def coverage(coefficients, rows):
  importance = np.sqrt(np.abs(coefficients).sum(axis=0))
  shown = (coefficients[list(rows)] != 0).any(axis=0)
  return importance[shown].sum() / importance.sum()


def sparse(seed, explanations=8, features=7):
  rng = np.random.RandomState(seed)
  return rng.randn(explanations, features) * (rng.uniform(size=(explanations, features)) < 0.3)


def test_a_toy_matrix_like_the_papers_gives_rows_two_and_five():
  # The second feature is the commonest, rows 2 and 3 are alike, and only f1 is left out.
  toy = np.array(
    [[1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 1, 1, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 1, 1]], float
  )
  picks = sp_lime(jnp.asarray(toy, jnp.float32), 2)
  assert picks.indices.tolist() == [1, 4]
  best = max(coverage(toy, rows) for rows in itertools.combinations(range(5), 2))
  np.testing.assert_allclose(picks.coverage[-1], best, rtol=1e-6)


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("seed", range(8))
def test_greedy_picks_reach_their_share_of_the_best_and_report_it(seed):
  coefficients = sparse(seed)
  picks = sp_lime(jnp.asarray(coefficients, jnp.float32), 3)
  rows = np.asarray(picks.indices)
  assert len(set(rows)) == 3
  for count in (1, 2, 3):
    np.testing.assert_allclose(
      picks.coverage[count - 1], coverage(coefficients, rows[:count]), rtol=1e-5
    )
  best = max(coverage(coefficients, some) for some in itertools.combinations(range(8), 3))
  assert picks.coverage[-1] >= (1 - 1 / np.e) * best
  np.testing.assert_allclose(picks.importance, np.sqrt(np.abs(coefficients).sum(axis=0)), rtol=1e-5)


@pytest.mark.peers
@pytest.mark.parametrize("seed", range(4))
def test_picks_are_those_of_the_package_lime_up_to_ties(seed):
  submodular_pick = pytest.importorskip(
    "lime.submodular_pick", reason="compares with the package lime"
  )
  coefficients = sparse(seed)

  class Explanation:
    mode = "regression"

    def __init__(self, row):
      self.row = row

    def as_list(self, label=1):
      return [(j, w) for j, w in enumerate(self.row) if w != 0]

  class Explainer:
    def explain_instance(self, row, *_, **__):
      return Explanation(row)

  peer = submodular_pick.SubmodularPick(
    Explainer(), coefficients, None, method="full", num_exps_desired=4
  )
  picks = sp_lime(jnp.asarray(coefficients, jnp.float32), 4)
  for count in (1, 2, 3, 4):
    np.testing.assert_allclose(
      picks.coverage[count - 1], coverage(coefficients, peer.V[:count]), rtol=1e-5
    )


def test_shared_features_are_covered_by_whoever_shows_them():
  coefficients = jnp.array([[1.0, 0.5], [2.0, 0.0], [0.0, 1.0]])
  features = jnp.array([[0, 0], [1, 0], [0, 2]])
  picks = jax.jit(lambda w, f: sp_lime(w, 2, features=f, num_features=3))(coefficients, features)
  np.testing.assert_allclose(picks.importance, np.sqrt([1.5, 2.0, 1.0]), rtol=1e-6)
  assert picks.indices.tolist() == [1, 0]


def test_a_budget_beyond_the_explanations_is_refused():
  with pytest.raises(ValueError, match="budget must be at most the number of explanations, 3"):
    sp_lime(jnp.ones((3, 2)), 4)
  with pytest.raises(ValueError, match="budget must be >= 1, got 0"):
    sp_lime(jnp.ones((3, 2)), 0)
  with pytest.raises(TypeError, match="coefficients must be an array of numbers, got list"):
    sp_lime([[1.0, 0.0]], 1)


def test_gains_are_computed_in_full_precision():
  program = str(jax.make_jaxpr(lambda c: sp_lime(c, 2))(jnp.asarray(sparse(0))))
  products = program.count("dot_general[")
  assert products == program.count("precision=(Precision.HIGHEST, Precision.HIGHEST)") > 0
