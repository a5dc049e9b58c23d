"""What counts as leaving the ball or the bounds."""

import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks.evaluation.verification import leaves_threat_model
from robust_saliency.core import LINF, NORMS, Norm

X = np.random.default_rng(0).uniform(0.3, 0.7, (4, 5, 5, 2)).astype(np.float32)


def judged(x_adv, norm="linf", epsilon=0.1, bounds=(0.0, 1.0), x=X):
  return leaves_threat_model(x_adv, x, norm=norm, epsilon=epsilon, bounds=bounds).tolist()


@pytest.mark.parametrize(("norm", "order"), [("linf", np.inf), ("l2", 2), ("l1", 1)])
@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_images_on_the_sphere_are_inside_and_those_a_little_further_out_are_not(norm, order, scale):
  x = X * np.float32(scale)
  epsilon = {"linf": 0.1, "l2": 0.5, "l1": 2.0}[norm] * scale
  push = np.random.default_rng(1).normal(size=x.shape)
  lengths = np.linalg.norm(push.reshape(4, -1), order, axis=1).reshape(4, 1, 1, 1)
  moves = np.float32(epsilon * push / lengths)
  arguments = {"norm": norm, "epsilon": epsilon, "bounds": (0.0, scale), "x": x}
  assert judged(x + moves, **arguments) == [False] * 4
  assert judged(x + np.float32(1.001) * moves, **arguments) == [True] * 4


def test_each_image_is_judged_by_itself():
  x_adv = X.copy()
  x_adv[1, 0, 0, 0] += 0.101
  x_adv[2, 4, 4, 1] = np.nan
  assert judged(x_adv) == [False, True, True, False]
  assert judged(x_adv, epsilon=None) == [False, False, True, False]


def test_the_bounds_count_where_the_ball_is_large():
  x_adv = X.copy()
  x_adv[0, 0, 0, 0], x_adv[1, 0, 0, 0], x_adv[2, 0, 0, 0] = -0.01, 1.01, np.inf
  x_adv[3, 0, 0, 0] = 1 + 2e-7  # the rounding of a pixel
  assert judged(x_adv, epsilon=5.0) == [True, True, True, False]


@pytest.mark.parametrize("norm", NORMS)
def test_in_a_ball_of_radius_zero_only_the_image_itself_is_allowed(norm):
  x_adv = X.copy()
  x_adv[1] += 1e-3
  assert judged(x_adv, norm=norm, epsilon=0.0) == [False, True, False, False]


def test_a_norm_of_ones_own_is_measured_by_its_own_length():
  def length(v):
    return 2 * jnp.max(jnp.abs(v))

  twice = Norm("twice", length, LINF.project, LINF.steepest, LINF.random)
  x_adv = X + np.float32([0.04, 0.049, 0.051, 0.1]).reshape(4, 1, 1, 1)
  assert judged(x_adv, norm=twice) == [False, False, True, True]
