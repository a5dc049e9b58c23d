import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks import apgd
from robust_saliency.attacks.apgd_steps import checkpoints

KEY = jax.random.key(0)


def test_checkpoints_are_those_of_the_paper():
  # p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06): section 4.1.1.
  expected, interval = [0.22], 0.22
  while expected[-1] < 1 - 1e-9:
    interval = max(interval - 0.03, 0.06)
    expected.append(expected[-1] + interval)
  np.testing.assert_allclose(checkpoints(100) / 100, [p for p in expected if p <= 1])


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 50, 1000])
def test_checkpoints_are_ordered_for_any_number_of_steps(steps):
  found = checkpoints(steps)
  assert (np.diff(found, prepend=0) >= 1).all()
  assert found[-1] <= steps


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_halved_steps_settle_on_a_maximum_inside_the_ball(norm):
  x = jnp.full((3, 2, 2, 1), 0.5)
  top = jnp.array([0.45, 0.55, 0.52, 0.49])

  def parabola(logits, y):
    return -jnp.sum((logits - top) ** 2, axis=1)

  def distance(steps):
    attack = lambda x: apgd(  # noqa: E731
      KEY,
      lambda x: x.reshape(len(x), -1),
      x,
      jnp.zeros(3, int),
      epsilon=0.2,
      norm=norm,
      steps=steps,
      loss=parabola,
    )
    x_adv = jax.jit(attack)(x)
    return jnp.linalg.norm(x_adv.reshape(3, -1) - top, axis=1)

  # Steps of 2 epsilon alone would leave the ball's whole width.
  assert (distance(400) < 0.01).all()
