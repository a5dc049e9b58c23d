import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import objectives
from robust_saliency.objectives.cross_lipschitz import differences
from tests.objectives import numerical


@pytest.mark.parametrize("problem", [True], indirect=True, ids=["batch norm"])
def test_the_penalty_is_the_mean_over_all_pairs_of_classes(problem):
  @jax.jit
  def penalties(x, y):
    return {
      output: objectives.cross_lipschitz_penalty(problem.logits_fn(), x, y, output=output)
      for output in ("logits", "probabilities")
    }

  for output, penalty in penalties(problem.x, problem.y).items():
    rows = numerical.class_gradients(problem, output=output)
    expected = np.zeros(len(problem.y))
    for one in rows:
      for other in rows:
        expected += np.sum((one - other) ** 2, axis=(1, 2, 3)) / len(rows) ** 2
    np.testing.assert_allclose(penalty, expected, rtol=1e-7)


@pytest.mark.parametrize("classes", [1, 2, 3, 10])
def test_one_direction_fewer_than_classes_spans_all_differences(classes):
  directions = differences(classes)
  assert directions.shape == (classes - 1, classes)
  np.testing.assert_allclose(directions @ directions.T, np.eye(classes - 1), atol=1e-12)
  np.testing.assert_allclose(directions.sum(axis=1), 0, atol=1e-12)


def test_a_single_class_has_no_differences():
  x, y = jnp.ones((2, 1, 1, 3)), jnp.zeros(2, int)
  penalty = objectives.cross_lipschitz_penalty(lambda x: x.reshape(2, 3).sum(1)[:, None], x, y)
  assert penalty.tolist() == [0.0, 0.0]
