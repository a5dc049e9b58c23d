import jax.numpy as jnp
import numpy as np
import optax
import pytest

from robust_saliency.attacks import ascending, momentum_steps, steepest_steps
from robust_saliency.core import L1, NORMS

BOUNDS = (0.0, 1.0)
G = jnp.array([[3.0, -4.0], [0.0, 1.0]])
INSIDE = jnp.full((2, 2), 0.5)


def first_move(optimizer, image=INSIDE, gradient=G):
  return optimizer.update(gradient, optimizer.init(image), image)[0]


@pytest.mark.parametrize(
  ("norm", "direction"),
  [
    ("linf", [[1, -1], [0, 1]]),
    ("l2", [[3 / 26**0.5, -4 / 26**0.5], [0, 1 / 26**0.5]]),
    ("l1", [[0, -1], [0, 0]]),
  ],
)
def test_steepest_steps_have_the_step_size_as_length(norm, direction):
  move = first_move(steepest_steps(NORMS[norm], 0.2, BOUNDS))
  np.testing.assert_allclose(move, 0.2 * np.array(direction), rtol=1e-6)


def test_an_l1_step_passes_over_pixels_that_stand_at_the_bound_they_are_pushed_to():
  at_bound = INSIDE.at[0, 1].set(0.0).at[0, 0].set(0.0)
  move = first_move(steepest_steps(L1, 0.2, BOUNDS), at_bound)
  np.testing.assert_allclose(move, [[0.2, 0], [0, 0]], rtol=1e-6)


def test_momentum_steps_remember_past_gradients():
  optimizer = momentum_steps(NORMS["linf"], 0.1, 1.0, BOUNDS)
  state = optimizer.init(INSIDE)
  _, state = optimizer.update(G, state, INSIDE)
  opposite_but_weaker = jnp.array([[-1.0, 1.0], [10.0, -1.0]])
  move, _ = optimizer.update(opposite_but_weaker, state, INSIDE)
  np.testing.assert_allclose(move, 0.1 * np.array([[1, -1], [1, 1]]), rtol=1e-6)


def test_momentum_steps_stay_where_there_is_no_gradient():
  move = first_move(momentum_steps(NORMS["l2"], 0.1, 1.0, BOUNDS), gradient=jnp.zeros((2, 2)))
  np.testing.assert_array_equal(move, np.zeros((2, 2)))


def test_ascending_turns_an_optimiser_round():
  np.testing.assert_allclose(first_move(ascending(optax.sgd(0.1))), 0.1 * G, rtol=1e-6)
