import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks import fab

KEY = jax.random.key(0)


def test_the_targeted_attack_goes_to_the_likeliest_classes_in_turn(lengths):
  # Class 1 is likelier than class 2, but further away: 0.4 by the first pixel, 0.2 by the second.
  def logits_fn(images):
    first, second = images.reshape(len(images), 2).T
    return jnp.stack([jnp.zeros_like(first), 0.5 * first - 0.2, 5 * second - 1], axis=1)

  x, y = jnp.zeros((1, 1, 2, 1)), jnp.array([0])
  for targets, distance in ((1, 0.4), (9, 0.2), (None, 0.2)):
    attack = functools.partial(fab, KEY, logits_fn, steps=3, targets=targets, unroll=False)
    x_adv = jax.jit(attack)(x, y)
    np.testing.assert_allclose(lengths(x_adv, "linf"), distance, rtol=1e-2)
    assert jnp.argmax(logits_fn(x_adv)) == (1 if targets == 1 else 2)


def test_restarts_find_what_has_no_gradient_at_the_image(lengths):
  def logits_fn(images):
    return jnp.stack([jnp.zeros(len(images)), 16 * jnp.sum(images**2, axis=(1, 2, 3)) - 1], axis=1)

  x, y = jnp.zeros((2, 1, 2, 1)), jnp.zeros(2, int)
  for restarts, (shortest, longest) in ((1, (0, 0)), (4, (0.25 / np.sqrt(2), 0.25))):
    attack = functools.partial(
      fab, KEY, logits_fn, steps=4, restarts=restarts, bounds=(-1.0, 1.0), unroll=False
    )
    away = lengths(jax.jit(attack)(x, y), "linf")
    # The circle of radius 0.25 is nearest on its diagonals and farthest on its axes.
    assert (away >= shortest * (1 - 1e-5)).all()
    assert (away <= longest * 1.01).all()


@pytest.mark.slow
def test_results_do_not_depend_on_the_chunk_size(network):
  logits_fn, x, y = network
  settings = {"steps": 3, "targets": 2, "unroll": False}
  whole, chunked = (
    jax.jit(functools.partial(fab, KEY, logits_fn, chunk_size=size, **settings))(x, y)
    for size in (None, 5)
  )
  np.testing.assert_allclose(chunked, whole, atol=1e-5)


@pytest.mark.parametrize(
  ("arguments", "error", "sentence"),
  [
    ({"alpha_max": 1.5}, ValueError, "alpha_max must be between 0 and 1, got 1.5"),
    ({"beta": -0.1}, ValueError, "beta must be between 0 and 1, got -0.1"),
    ({"eta": jnp.ones(3)}, ValueError, "eta must be one number, got shape"),
    ({"targets": 0}, ValueError, "targets must be >= 1, got 0"),
    ({"restarts": 1.5}, TypeError, "restarts must be a whole number"),
  ],
)
def test_a_bad_argument_of_fab_is_refused_in_one_sentence(network, arguments, error, sentence):
  with pytest.raises(error, match=sentence):
    fab(KEY, *network, **arguments)
