import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks import cw_margin, square
from robust_saliency.core import L2

KEY = jax.random.key(0)
DUALS = {"linf": 1, "l2": 2, "l1": np.inf}
EPSILONS = {"linf": 0.1, "l2": 0.4, "l1": 2.0}
each_norm = pytest.mark.parametrize("norm", DUALS)


def never_fooled(logits_fn, y):
  """The same losses up to a constant, of a model that stays right, so that the search goes on."""
  return lambda images: logits_fn(images) + 1e3 * jax.nn.one_hot(y, 2)


def asked_for_no_gradient(logits_fn):
  @jax.custom_vjp
  def without_gradient(images):
    return logits_fn(images)

  def refuse(*_):
    raise AssertionError("the attack asked for a gradient")

  without_gradient.defvjp(refuse, refuse)
  return without_gradient


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_square_asks_for_no_gradient_even_within_a_loss_that_is_differentiated(network, norm):
  logits_fn, x, y = network
  logits_fn = asked_for_no_gradient(logits_fn)

  @jax.jit
  @jax.grad
  def slope(epsilon):
    return square(KEY, logits_fn, x, y, epsilon=epsilon, norm=norm, queries=4).sum()

  assert slope(0.1) == 0


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(("norm", "share"), [("linf", 1.0), ("l2", 0.8), ("l1", 0.6)])
def test_square_nears_the_closed_form_optimum_of_a_linear_model(linear, norm, share):
  weights, logits_fn, x, y = linear(2)
  attack = jax.jit(
    lambda x: square(KEY, never_fooled(logits_fn, y), x, y, epsilon=0.1, norm=norm, queries=1000)
  )
  # max <w, d> over the ball of radius epsilon is epsilon times the dual norm of w.
  w = weights[:, 0] - weights[:, 1]
  optimum = 0.1 * np.linalg.norm(w, DUALS[norm])
  reached = cw_margin(logits_fn(attack(x)), y) - cw_margin(logits_fn(x), y)
  assert (reached <= optimum * (1 + 1e-4)).all()
  assert reached.mean() >= optimum * (share - 1e-4)


@pytest.mark.quick_cases(1)
@each_norm
def test_results_lie_in_the_ball_and_within_the_bounds(network, lengths, norm):
  logits_fn, x, y = network
  low, high = bounds = (-1.0, 2.5)
  x = low + (high - low) * x
  epsilons = jnp.array([0.0, 0.01, 1.0, 30.0])
  attack = partial(square, KEY, logits_fn, x, y, norm=norm, queries=20, bounds=bounds)
  curve = jax.jit(jax.vmap(lambda epsilon: attack(epsilon=epsilon)))(epsilons)
  assert curve.min() >= low
  assert curve.max() <= high
  np.testing.assert_array_equal(curve[0], x)
  for epsilon, x_adv in zip(epsilons, curve, strict=True):
    assert (lengths(x_adv - x, norm) <= epsilon * (1 + 1e-6) + 1e-6).all()


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l1"])
def test_an_example_s_result_depends_neither_on_its_batch_nor_on_chunks(network, norm):
  logits_fn, x, y = network
  attack = partial(square, logits_fn=logits_fn, epsilon=EPSILONS[norm], norm=norm, queries=40)
  together = jax.jit(lambda key: attack(key, x=x, y=y))(KEY)
  broken = jnp.argmax(logits_fn(together), axis=-1) != y
  # Some are broken at once and some never, so that those alone would have stopped earlier.
  assert broken.any()
  assert not broken.all()
  alone = jax.jit(lambda key: attack(key, x=x, y=y, chunk_size=1))(KEY)
  np.testing.assert_allclose(alone, together, atol=1e-6)


def test_the_model_is_asked_as_often_as_said_and_no_more_once_all_are_fooled(linear):
  _, logits_fn, x, y = linear(2)
  calls = []

  def counting(images, logits_fn):
    jax.debug.callback(lambda _: calls.append(1), images[0, 0, 0, 0])
    return logits_fn(images)

  def count(logits_fn, **settings):
    calls.clear()
    x_adv = square(KEY, partial(counting, logits_fn=logits_fn), x, y, epsilon=0.2, **settings)
    jax.effects_barrier()
    return len(calls), x_adv

  stubborn = never_fooled(logits_fn, y)
  assert count(stubborn, queries=7)[0] == 1 + 7
  assert count(stubborn, queries=7, restarts=2)[0] == 1 + 2 * 7
  # A model that is wrong about every image has nothing left to fool.
  calls_needed, x_adv = count(lambda images: -stubborn(images), queries=500)
  assert calls_needed <= 2
  np.testing.assert_array_equal(x_adv, x)


@pytest.mark.slow
def test_a_longer_search_and_more_restarts_are_never_worse(network):
  logits_fn, x, y = network

  def attack(**settings):
    return jax.jit(lambda x: square(KEY, logits_fn, x, y, epsilon=0.15, **settings))(x)

  short, long, often = (
    attack(queries=5),
    attack(queries=200),
    attack(queries=5, restarts=20),
  )
  broken = [(jnp.argmax(logits_fn(images), axis=-1) != y) for images in (x, short, long, often)]
  assert broken[0].sum() < broken[1].sum() < min(broken[2].sum(), broken[3].sum())
  assert (broken[3] >= broken[1]).all()
  worse = cw_margin(logits_fn(often), y) < cw_margin(logits_fn(short), y) - 1e-6
  assert not (worse & ~broken[1]).any()


def test_targeted_square_reaches_the_target_with_a_loss_of_one_s_own(network):
  logits_fn, x, y = network
  target = (y + 1) % 5
  settings = {"epsilon": 0.5, "queries": 300, "targeted": True}
  settings["loss"] = lambda z, y: jnp.max(z, axis=1) - z[jnp.arange(len(y)), y]
  x_adv = jax.jit(lambda x: square(KEY, logits_fn, x, target, **settings))(x)
  hits = jnp.argmax(logits_fn(x_adv), axis=-1) == target
  assert hits.mean() >= 0.8


def test_an_image_on_which_the_model_gives_nan_comes_back_and_disturbs_no_other(network):
  logits_fn, x, y = network

  @jax.jit
  def attack(broken):
    def breaks(images):
      return jnp.where(broken[:, None], jnp.nan, logits_fn(images))

    return square(KEY, breaks, x, y, epsilon=0.4, norm="l2", queries=10)

  broken = jnp.arange(16) == 3
  x_adv = attack(broken)
  np.testing.assert_array_equal(x_adv[3], x[3])
  intact = attack(jnp.zeros(16, bool))
  np.testing.assert_allclose(x_adv[~broken], intact[~broken], atol=1e-6)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_smallest_images_and_batches_are_attacked(norm):
  def logits_fn(images):
    return jnp.stack([images[:, 0, 0, 0], jnp.full(len(images), 0.5)], axis=1)

  x = jnp.full((1, 1, 1, 1), 0.55)
  settings = {"epsilon": 0.1, "norm": norm, "queries": 10}
  x_adv = jax.jit(lambda x: square(KEY, logits_fn, x, jnp.array([0]), **settings))(x)
  np.testing.assert_allclose(x_adv, 0.45, atol=1e-6)


@pytest.mark.parametrize(
  ("arguments", "error", "sentence"),
  [
    ({"epsilon": -0.1}, ValueError, "epsilon must be >= 0, got -0.1"),
    ({"epsilon": 0.1, "queries": 0}, ValueError, "queries must be >= 1, got 0"),
    ({"epsilon": 0.1, "restarts": 1.5}, TypeError, "restarts must be a whole number"),
    ({"epsilon": 0.1, "p_init": 1.5}, ValueError, "p_init must be between 0 and 1, got 1.5"),
    ({"epsilon": 0.1, "p_init": jnp.ones(2)}, ValueError, "p_init must be one number"),
    ({"epsilon": 0.1, "loss": "margin"}, ValueError, "mean 'cw_margin'"),
    ({"epsilon": 0.1, "norm": "l3"}, ValueError, "norm must be one of linf, l2, l1; got 'l3'"),
    ({"epsilon": 0.1, "chunk_size": 0}, ValueError, "chunk_size must be >= 1, got 0"),
  ],
)
def test_a_bad_argument_is_refused_in_one_sentence(network, arguments, error, sentence):
  with pytest.raises(error, match=sentence):
    square(KEY, *network, **arguments)


def test_what_is_no_image_and_an_unknown_norm_are_refused(network):
  logits_fn, x, y = network
  with pytest.raises(ValueError, match=r"x must have shape \[batch, height, width, channels\]"):
    square(KEY, logits_fn, x.reshape(16, 16), y, epsilon=0.1)
  own = dataclasses.replace(L2, name="mine")
  with pytest.raises(ValueError, match="square works in linf, l2 and l1, got the norm 'mine'"):
    square(KEY, logits_fn, x, y, epsilon=0.1, norm=own)
