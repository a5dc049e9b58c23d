import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import objectives
from tests.objectives import numerical


@pytest.mark.parametrize("problem", [True], indirect=True, ids=["batch norm"])
def test_the_exact_penalty_is_the_squared_norm_of_all_rows_of_the_jacobian(problem):
  @jax.jit
  def penalties(x, y):
    model = problem.logits_fn(), x, y
    return {
      output: [
        objectives.jacobian_penalty(*model, output=output, scaling=scaling)
        for scaling in ("per_example", "batch_root")
      ]
      for output in numerical.OUTPUTS
    }

  for output, (per_example, root) in penalties(problem.x, problem.y).items():
    rows = numerical.class_gradients(problem, output=output)
    expected = np.sum(rows**2, axis=(0, 2, 3, 4))
    np.testing.assert_allclose(per_example, expected, rtol=1e-7)
    # Jakubovitz & Giryes: over the whole batch, neither squared nor averaged.
    np.testing.assert_allclose(root, np.sqrt(expected.sum()), rtol=1e-7)


WEIGHTS = np.random.default_rng(0).normal(size=(12, 5))


@pytest.mark.parametrize("projections", [1, 3])
def test_the_projection_estimates_half_the_squared_norm_without_bias(projections):
  draws = 4000

  @jax.jit
  def estimates(x):
    return objectives.projected_jacobian_penalty(
      jax.random.key(1),
      lambda x: x.reshape(draws, 12) @ jnp.asarray(WEIGHTS, jnp.float32),
      x,
      jnp.zeros(draws, int),
      projections=projections,
    )

  found = np.asarray(estimates(jnp.zeros((draws, 2, 3, 2))), np.float64)
  standard_error = found.std(ddof=1) / np.sqrt(draws)
  exact = np.sum(WEIGHTS**2) / 2
  assert abs(found.mean() - exact) < 4 * standard_error
  # Of K/2 v A v with v uniform on the sphere the variance is known: A = W^T W, for each draw of v.
  a = WEIGHTS.T @ WEIGHTS
  variance = (25 / 4) * 2 * (np.sum(a**2) - np.trace(a) ** 2 / 5) / (5 * 7) / projections
  np.testing.assert_allclose(found.std(ddof=1), np.sqrt(variance), rtol=0.1)


def test_an_example_s_projection_follows_its_own_key():
  keys = jax.random.split(jax.random.key(0), 6)

  @jax.jit
  def penalties(keys):
    x = jnp.zeros((len(keys), 2, 3, 2))
    return objectives.projected_jacobian_penalty(
      keys, lambda x: x.reshape(len(x), 12) @ WEIGHTS, x, jnp.zeros(len(keys), int)
    )

  everything = penalties(keys)
  assert len(np.unique(everything)) == 6
  np.testing.assert_allclose(penalties(keys[::-1]), everything[::-1], rtol=1e-5)
  np.testing.assert_allclose(penalties(keys[4:5]), everything[4:5], rtol=1e-5)
