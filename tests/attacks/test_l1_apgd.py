import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks.l1_apgd import largest, schedule


def test_the_largest_are_those_that_sorting_finds():
  values = np.abs(np.random.RandomState(0).standard_cauchy(200)).astype(np.float32)
  values[:50] = 0
  find = jax.jit(largest)
  order = np.argsort(-values)
  # Scales at which float32 would lose squares.
  for scale in (1e-30, 1.0, 1e30):
    for count in (1, 2, 37, 149):
      found = np.flatnonzero(find(jnp.asarray(values * np.float32(scale)), count))
      assert set(found) == set(order[:count])


def test_the_largest_include_ties_and_leave_out_zeros():
  find = jax.jit(largest)
  assert find(jnp.array([2.0, 1.0, 2.0, 0.0]), 1).tolist() == [True, False, True, False]
  assert find(jnp.array([2.0, 1.0, 2.0, 0.0]), 4).tolist() == [True, True, True, False]
  assert not find(jnp.zeros(3), 2).any()


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 7, 10, 100])
def test_every_step_is_taken_and_two_fifths_of_them_in_the_final_ball(steps):
  passes = schedule(steps)
  assert (~passes.ends).sum() == steps
  final = (passes.radius == 1) & ~passes.ends
  assert final.sum() >= 0.4 * steps
  assert passes.allowed_from == np.flatnonzero(passes.radius == 1)[0]
  assert (np.diff(passes.radius) <= 0).all()
