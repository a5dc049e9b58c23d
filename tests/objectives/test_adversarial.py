from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from robust_saliency import objectives
from robust_saliency.attacks import fgsm, pgd

RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.normal(size=(4, 3))
X = RANDOM.uniform(0.3, 0.7, size=(6, 2, 2, 1))
Y = RANDOM.integers(0, 3, 6)
EPSILON = 0.1


def linear(x, weights=WEIGHTS):
  return x.reshape(len(x), -1) @ weights


def loss_of(x, weights=WEIGHTS):
  return -log_softmax(linear(x, weights), axis=1)[np.arange(len(x)), Y]


def fgsm_in_closed_form(labels, weights=WEIGHTS):
  """x + epsilon sign(dH/dx): for softmax regression the gradient is W (p - y)."""
  slope = (softmax(linear(X, weights), axis=1) - np.eye(3)[labels]) @ weights.T
  return X + EPSILON * np.sign(slope).reshape(X.shape)


@pytest.fixture(autouse=True)
def _double_precision():
  with jax.enable_x64(True):
    yield


def adversarial(weights=WEIGHTS, **settings):
  return objectives.adversarial(
    jax.random.key(0),
    partial(linear, weights=weights),
    jnp.asarray(X),
    jnp.asarray(Y),
    attack=partial(fgsm, epsilon=EPSILON),
    **settings,
  )


@pytest.mark.parametrize("clean_weight", [0, 0.0, 0.5, 1.0])
def test_loss_is_the_mixture_of_clean_and_attacked(clean_weight):
  attacked = loss_of(fgsm_in_closed_form(Y))
  expected = (1 - clean_weight) * attacked + clean_weight * loss_of(X)
  np.testing.assert_allclose(adversarial(clean_weight=clean_weight), expected, rtol=1e-6)


def test_predicted_labels_are_what_the_attack_leads_away_from():
  predicted = linear(X).argmax(axis=1)
  assert (predicted != Y).any()
  # The loss itself is that of the true classes.
  np.testing.assert_allclose(
    adversarial(attack_labels="predicted"), loss_of(fgsm_in_closed_form(predicted)), rtol=1e-6
  )


@pytest.mark.parametrize("attack_labels", ["true", "predicted"])
def test_attacked_images_are_constants_for_the_parameters(attack_labels):
  labels = Y if attack_labels == "true" else linear(X).argmax(axis=1)
  gradient = jax.grad(
    lambda weights: jnp.sum(adversarial(weights, clean_weight=0.5, attack_labels=attack_labels))
  )(jnp.asarray(WEIGHTS))

  def slope_at(x):
    # Softmax regression at fixed images: x^T (p - y).
    return x.reshape(6, -1).T @ (softmax(linear(x), axis=1) - np.eye(3)[Y])

  expected = (slope_at(fgsm_in_closed_form(labels)) + slope_at(X)) / 2
  np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_the_clean_weight_may_be_traced():
  shares = jnp.array([0.0, 0.25, 1.0])
  curve = jax.jit(jax.vmap(lambda share: adversarial(clean_weight=share)))(shares)
  expected = np.stack([adversarial(clean_weight=float(share)) for share in shares])
  np.testing.assert_allclose(curve, expected, rtol=1e-6)


@pytest.mark.slow
def test_an_example_s_loss_depends_on_its_own_key_alone():
  keys = jax.random.split(jax.random.key(0), 6)
  attack = partial(pgd, epsilon=EPSILON, steps=2)

  def losses(rows):
    return objectives.adversarial(
      keys[rows], linear, jnp.asarray(X)[rows], jnp.asarray(Y)[rows], attack=attack
    )

  everything = losses(np.arange(6))
  np.testing.assert_allclose(losses(np.array([4])), everything[4:5], rtol=1e-6)
  np.testing.assert_allclose(losses(np.arange(6)[::-1]), everything[::-1], rtol=1e-6)


@pytest.mark.parametrize(
  ("setting", "sentence"),
  [
    ({"clean_weight": 1.5}, "clean_weight must be between 0 and 1, got 1.5"),
    ({"clean_weight": -0.5}, "clean_weight must be between 0 and 1, got -0.5"),
    ({"attack_labels": "guessed"}, "attack_labels must be one of true, predicted; got 'guessed'"),
  ],
)
def test_settings_that_make_no_mixture_are_refused(setting, sentence):
  with pytest.raises(ValueError, match=sentence):
    adversarial(**setting)
