import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks.threat import (
  check_attack_arguments,
  check_numbers,
  start_in_ball,
  within_ball,
)
from robust_saliency.core import L2, LINF, NORMS


def test_a_candidate_is_brought_into_the_ball_then_into_the_bounds():
  project = within_ball(LINF, 0.1, (0.0, 1.0))
  np.testing.assert_allclose(
    project(jnp.array([0.7, 0.2, 2.0]), jnp.array([0.5, 0.25, 0.95])), [0.6, 0.2, 1.0], rtol=1e-6
  )
  project = within_ball(L2, 1.0, (0.0, 1.0))
  np.testing.assert_allclose(
    project(jnp.array([3.5, 4.5]), jnp.array([0.5, 0.5])), [1.0, 1.0], rtol=1e-6
  )


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
def test_starts_lie_in_the_ball_around_the_image(norm):
  image = jnp.full((4, 4, 1), 0.5)
  starts = jax.vmap(start_in_ball(NORMS[norm], 0.2), (0, None))(
    jax.random.split(jax.random.key(0), 20), image
  )
  lengths = jax.vmap(NORMS[norm].length)(starts - image)
  assert (lengths <= 0.2 * (1 + 1e-5)).all()
  assert (lengths > 0).all()


def test_the_number_of_classes_is_found():
  x = jnp.full((2, 2, 2, 1), 0.5)
  y = jnp.array([0, 3])
  classes = check_attack_arguments(lambda x: x.reshape(2, 4), x, y, epsilon=0.1, bounds=(0.0, 1.0))
  assert classes == 4


def test_numbers_must_be_single_and_not_negative():
  check_numbers(epsilon=0.1, step_size=jnp.array(0.0))
  with pytest.raises(ValueError, match=r"decay must be one number, got shape \(1,\)"):
    check_numbers(decay=jnp.ones(1))
  with pytest.raises(ValueError, match="decay must be >= 0, got -2"):
    check_numbers(decay=-2)
