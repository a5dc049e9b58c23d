"""Passes are counted as they happen, however an attack is written."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import models
from robust_saliency.attacks import fgsm, pgd
from robust_saliency.attacks.evaluation.counting import (
  ForwardModeError,
  count_passes,
  uses_gradients,
)

KEY = jax.random.key(0)
X = jnp.full((3, 4, 4, 1), 0.5)
Y = jnp.zeros(3, jnp.int32)


def logits_fn(x):
  return jnp.sin(x.reshape(len(x), -1) @ jnp.ones((16, 5)))


def looping(steps):
  """An attack whose number of steps is known only when it runs."""

  def attack(key, logits_fn, x, y):
    def step(state):
      i, image = state
      return i + 1, image + 0 * logits_fn(image)[0, 0]

    return jax.lax.while_loop(lambda state: state[0] < steps * x[0, 0, 0, 0], step, (0, x))[1]

  return attack


def sometimes(key, logits_fn, x, y):
  return jax.lax.cond(x[0, 0, 0, 0] > 0.4, lambda: x + logits_fn(x)[0, 0], lambda: x)


def of_each_class(key, logits_fn, x, y):
  return x + jax.jacrev(lambda image: logits_fn(image).sum(0))(x).sum()


def of_four_radii(key, logits_fn, x, y):
  attack = functools.partial(pgd, key, logits_fn, x, y, steps=5, unroll=False)
  return jax.vmap(lambda epsilon: attack(epsilon=epsilon))(jnp.arange(4.0))[0]


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize(
  ("attack", "forward", "backward"),
  [
    (lambda key, logits_fn, x, y: x, 0, 0),
    (functools.partial(fgsm, epsilon=0.1), 1, 1),
    (functools.partial(pgd, epsilon=0.1, steps=21, restarts=2, unroll=False), 44, 42),
    (functools.partial(pgd, epsilon=0.1, steps=3, unroll=True, keep="last"), 3, 3),
    (looping(14), 7, 0),
    (sometimes, 1, 0),
    (of_each_class, 1, 5),
    (of_four_radii, 24, 20),
  ],
  ids=["none", "fgsm", "loop", "unrolled", "while", "branch", "jacobian", "vmap"],
)
def test_the_count_is_what_the_attack_says(attack, forward, backward):
  assert count_passes(attack, KEY, logits_fn, X, Y) == (forward, backward)


def test_a_part_of_the_batch_counts_in_part():
  def on_the_first(key, logits_fn, x, y):
    return x + logits_fn(x[:1])[0, 0]

  assert count_passes(on_the_first, KEY, logits_fn, X, Y) == (pytest.approx(1 / 3), 0)


def test_a_gradient_is_noticed_of_a_network_that_has_none():
  attack = functools.partial(pgd, epsilon=0.1, steps=3, unroll=False)
  assert count_passes(attack, KEY, lambda x: logits_fn(jnp.round(x)), X, Y) == (4, 3)


@pytest.mark.parametrize("calls_the_host", [False, True])
def test_networks_that_share_a_program_have_counts_of_their_own(calls_the_host):
  def network(slope):
    weights = jnp.full((16, 5), slope)

    def on_the_host(x):
      return slope * np.asarray(x)

    def logits_fn(x):
      shape = jax.ShapeDtypeStruct((len(x), 16), x.dtype)
      x = x.reshape(shape.shape)
      if calls_the_host:
        return jax.pure_callback(on_the_host, shape, x) @ jnp.ones((16, 5))
      return x @ weights

    return logits_fn

  def attack(key, logits_fn, x, y):
    """As many passes as the first logit says."""
    times = jnp.int32(logits_fn(x)[0, 0])
    return jax.lax.fori_loop(0, times, lambda _, image: image + 0 * logits_fn(image)[0, 0], x)

  # Sixteen pixels of a half: a logit of eight times the slope.
  for slope in (1, 2, 1):
    scaled = network(np.float32(slope))
    assert count_passes(attack, KEY, scaled, X, Y) == (1 + 8 * slope, 0)


@pytest.mark.parametrize(
  ("attack", "expected"),
  [(sometimes, False), (looping(3), False), (of_each_class, True), (of_four_radii, True)],
)
def test_an_attack_that_takes_gradients_is_known_without_running_it(attack, expected):
  assert uses_gradients(attack, KEY, logits_fn, X, Y) is expected


@pytest.mark.parametrize("count", [count_passes, uses_gradients])
def test_derivatives_that_cannot_be_counted_are_told_from_an_attack_s_own_errors(count):
  def forward(key, logits_fn, x, y):
    return x + jnp.sum(jax.jvp(logits_fn, (x,), (x,))[1])

  def wrong(key, logits_fn, x, y):
    raise TypeError("theta must be a number, got 'a'")

  with pytest.raises(ForwardModeError, match="passes cannot be counted where an attack takes"):
    count(forward, KEY, logits_fn, X, Y)
  with pytest.raises(TypeError, match="theta must be a number") as refused:
    count(wrong, KEY, logits_fn, X, Y)
  assert not isinstance(refused.value, ForwardModeError)


@pytest.mark.slow
def test_our_networks_can_be_counted():
  module = models.build("digits")
  variables = models.init(module, KEY, (8, 8, 1))
  x = jnp.full((2, 8, 8, 1), 0.5)
  attack = functools.partial(pgd, epsilon=0.1, steps=12)
  network = models.logits_fn(module, variables)
  assert count_passes(attack, KEY, network, x, Y[:2]) == (13, 12)
