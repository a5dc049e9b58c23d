"""Every warning where it is due, and none where it is not."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import models
from robust_saliency.attacks.evaluation import pitfalls

KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(0).uniform(size=(8, 4, 4, 1)), jnp.float32)
Y = jnp.arange(8) % 5
WEIGHTS = jnp.asarray(np.random.default_rng(1).normal(size=(16, 5)), jnp.float32)


def honest(x):
  return jnp.tanh(x.reshape(len(x), -1) @ WEIGHTS)


def draws_on_the_host(x):
  shape = jax.ShapeDtypeStruct((), np.float32)
  noise = jax.pure_callback(lambda _: np.float32(np.random.standard_normal()), shape, x)
  return honest(x) + noise


def draws_while_traced(x):
  return honest(x) + np.random.standard_normal(5)


@pytest.mark.parametrize("network", [draws_on_the_host, draws_while_traced])
def test_random_logits_are_noticed(network):
  sentence = pitfalls.randomised_logits(network, X)
  assert sentence.startswith("logits are random: 5 passes over the same images differ by up to ")


@pytest.mark.parametrize(
  "network",
  [honest, lambda x: jnp.full((len(x), 5), jnp.nan), lambda x: 0 * honest(x)],
  ids=["honest", "nan", "constant"],
)
def test_equal_passes_are_not_called_random(network):
  assert pitfalls.randomised_logits(network, X) is None


def test_probabilities_in_place_of_logits_are_noticed():
  logits = 9 * honest(X)
  assert "return what comes before the softmax" in pitfalls.logits_are_probabilities(
    jax.nn.softmax(logits)
  )
  assert pitfalls.logits_are_probabilities(logits) is None
  assert pitfalls.logits_are_probabilities(jax.nn.sigmoid(logits)) is None
  assert pitfalls.logits_are_probabilities(jax.nn.log_softmax(logits)) is None
  assert pitfalls.logits_are_probabilities(jnp.array([[0.5, 0.5, 0.0], [3.0, -1.0, -1.0]])) is None


def test_gradients_that_saturate_are_noticed_with_their_share():
  # The correct class is 200 ahead, as after distillation at a temperature of 50.
  ahead = jax.nn.one_hot(Y, 5) * jnp.array([3, 3, 3, 200, 200, 200, 200, 200])[:, None]
  sentence = pitfalls.zero_gradients(lambda x: honest(x) + ahead, X, Y)
  assert "exactly zero for 62.5% of the images under cross-entropy, so" in sentence
  sentence = pitfalls.zero_gradients(lambda x: jnp.round(honest(x)) + ahead, X, Y)
  assert "100.0% of the images under cross-entropy and 100.0% of the images under DLR" in sentence


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_gradients_that_are_there_are_not_missed(classes):
  def network(x):
    return honest(x)[:, :classes]

  assert pitfalls.zero_gradients(network, X, jnp.argmax(network(X), 1)) is None


def test_logits_that_are_no_numbers_are_noticed():
  logits = honest(X)
  assert pitfalls.non_finite_logits(logits) is None
  assert "for 25.0% of the images" in pitfalls.non_finite_logits(
    logits.at[0, 0].set(jnp.nan).at[5, 2].set(jnp.inf)
  )


def test_too_few_classes_are_noticed():
  assert "there is no targeted DLR loss" in pitfalls.too_few_classes(3)
  assert "there is no DLR loss, plain or targeted" in pitfalls.too_few_classes(2)
  assert pitfalls.too_few_classes(4) is None


@pytest.mark.parametrize("images", [8, 5])
def test_statistics_of_the_batch_are_noticed(images):
  def normalised(x):
    return honest((x - x.mean(0)) / jnp.sqrt(x.var(0) + 1e-3))

  sentence = pitfalls.depends_on_companions(normalised, X[:images])
  assert sentence.startswith("an image's logits depend on the other images in the batch")
  assert pitfalls.depends_on_companions(honest, X[:images]) is None


@pytest.mark.slow
def test_our_batch_norm_is_noticed_in_training_mode_alone():
  module = models.build("digits", batch_norm=True)
  x = jax.random.uniform(KEY, (8, 8, 8, 1))
  network = functools.partial(models.apply_fn(module), models.init(module, KEY, x.shape[1:]))
  assert pitfalls.depends_on_companions(lambda x: network(x, train=True)[0], x) is not None
  assert pitfalls.depends_on_companions(lambda x: network(x, train=False)[0], x) is None


def test_examples_that_only_attacks_without_gradients_break_are_noticed():
  tried, broken = np.ones((2, 100), bool), np.zeros((2, 100), bool)
  broken[0, :40], broken[1, 10:47] = True, True
  gradient_free = np.array([False, True])
  sentence = pitfalls.black_box_breaks_more(tried, broken, gradient_free)
  assert "attacks without gradients break a further 7.0% of the examples" in sentence
  assert pitfalls.black_box_breaks_more(tried, broken, ~gradient_free) is not None
  broken[1, 40:] = False
  assert pitfalls.black_box_breaks_more(tried, broken, gradient_free) is None


def test_what_attacks_with_gradients_never_tried_is_no_sign():
  tried, broken = np.ones((2, 100), bool), np.zeros((2, 100), bool)
  broken[0, :40] = True
  tried[1] = ~broken[0]
  assert pitfalls.black_box_breaks_more(tried, broken, np.array([True, False])) is None
  assert pitfalls.black_box_breaks_more(tried[:1], broken[:1], np.array([True])) is None


def test_examples_that_stand_any_perturbation_are_noticed():
  assert pitfalls.stands_any_perturbation(0.3).startswith("30.0% of the examples stay correct")
  assert pitfalls.stands_any_perturbation(0.0) is None


def test_steps_that_do_worse_than_one_are_noticed():
  sentence = pitfalls.steps_lose_their_way("pgd", 0.6, 0.4)
  assert sentence.startswith("pgd leaves 60.0% correct and a single step of FGSM only 40.0%")
  assert pitfalls.steps_lose_their_way("pgd", 0.4, 0.4) is None
  assert pitfalls.steps_lose_their_way("pgd", 0.1, 0.4) is None


def test_too_few_steps_are_noticed():
  sentence = pitfalls.not_converged("pgd", 10, 0.6, 0.5)
  assert "60.0% stay correct under its 10 steps and 50.0% under 40" in sentence
  assert pitfalls.not_converged("pgd", 10, 0.5, 0.5) is None
  assert pitfalls.not_converged("pgd", 10, 0.5, 0.6) is None


def test_images_outside_the_ball_are_noticed():
  assert "left the ball or the bounds with 3 of 20 images" in pitfalls.leaves_the_ball("a", 3, 20)
  assert pitfalls.leaves_the_ball("a", 0, 20) is None
