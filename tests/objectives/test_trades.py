"""TRADES of softmax regression, where attack, divergence and gradients have closed forms."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from robust_saliency import objectives
from robust_saliency.attacks import apgd, fgsm, pgd
from robust_saliency.objectives.trades import divergence as divergence_of_logits
from tests.objectives.numerical import torch_network

RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.normal(size=(4, 3))
X = RANDOM.uniform(0.3, 0.7, size=(6, 2, 2, 1))
Y = RANDOM.integers(0, 3, 6)
EPSILON = 0.1
KEYS = jax.random.split(jax.random.key(0), 6)
ATTACK = partial(pgd, epsilon=EPSILON, step_size=0.07, steps=1, keep="last", start_deviation=0.001)


def linear(x, weights=WEIGHTS):
  return x.reshape(len(x), -1) @ weights


def attacked_in_closed_form():
  """One step from the noisy image: with q there and p here, dKL/dx' = W (q - p)."""
  start = np.asarray(
    pgd(KEYS, linear, jnp.asarray(X), jnp.asarray(Y), **{**ATTACK.keywords, "step_size": 0.0})
  )
  assert 1e-4 < np.std(start - X) < 3e-3
  slope = (softmax(linear(start), axis=1) - softmax(linear(X), axis=1)) @ WEIGHTS.T
  moved = start + 0.07 * np.sign(slope).reshape(X.shape)
  return X + np.clip(moved - X, -EPSILON, EPSILON)


@pytest.fixture
def _double_precision():
  with jax.enable_x64(True):
    yield


def trades(weights=WEIGHTS, **settings):
  model = partial(linear, weights=weights), jnp.asarray(X), jnp.asarray(Y)
  return objectives.trades(KEYS, *model, **{"attack": ATTACK, **settings})


@pytest.mark.usefixtures("_double_precision")
def test_the_attack_leads_away_from_the_clean_prediction_and_both_are_differentiated():
  x_adv = attacked_in_closed_form()
  z, z_adv = linear(X), linear(x_adv)
  p, q = softmax(z, axis=1), softmax(z_adv, axis=1)
  ratio = log_softmax(z, axis=1) - log_softmax(z_adv, axis=1)
  expected = np.sum(p * ratio, axis=1)
  assert expected.min() > 1e-4
  values, gradient = jax.jit(
    lambda weights: (trades(weights), jax.grad(lambda weights: jnp.sum(trades(weights)))(weights))
  )(jnp.asarray(WEIGHTS))
  np.testing.assert_allclose(values, expected, rtol=1e-9)
  # dKL/dz = p (log p - log q - KL), dKL/dz' = q - p.
  clean = X.reshape(6, -1).T @ (p * (ratio - expected[:, None]))
  np.testing.assert_allclose(gradient, clean + x_adv.reshape(6, -1).T @ (q - p), rtol=1e-8)


def divergence(p_logits, q_logits):
  log_ratio = log_softmax(p_logits, axis=1) - log_softmax(q_logits, axis=1)
  return np.sum(softmax(p_logits, axis=1) * log_ratio)


@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize("problem", [True], indirect=True, ids=["batch norm"])
def test_the_term_s_attack_sees_one_mode_and_its_loss_the_training_passes(mode, problem):
  x, y = jnp.asarray(problem.x), jnp.asarray(problem.y)

  @jax.jit
  def value_and_what_the_attack_is_given(variables):
    given = []

    def attack(key, logits_fn, x, y, *, loss, random_start=True):
      """A step that does not depend on what it is given."""
      given[:] = logits_fn(x), loss(logits_fn(x), y)
      return x + 0.05

    batch = objectives.Batch(x, y, jnp.ones(5), jnp.array(5))
    passes = objectives.TrainingPasses(KEYS[:5], problem.apply_fn, variables, batch)
    value = objectives.TERMS["trades"].function(passes, attack=attack, attack_mode=mode)
    return value, *given

  value, seen, at_the_image = value_and_what_the_attack_is_given(
    jax.tree.map(jnp.asarray, problem.variables)
  )
  training, evaluation, attacked = jax.jit(
    lambda x: (
      problem.logits_fn()(x),
      problem.logits_fn(train=False)(x),
      problem.logits_fn()(x + 0.05),
    )
  )(x)
  np.testing.assert_allclose(seen, training if mode == "training" else evaluation, rtol=1e-12)
  np.testing.assert_allclose(at_the_image, 0, atol=1e-14)
  np.testing.assert_allclose(jnp.sum(value), divergence(training, attacked), rtol=1e-9)


@pytest.mark.peers
def test_attack_divergence_and_gradients_agree_with_pytorch_s(problem):
  torch = pytest.importorskip("torch", reason="compares with PyTorch")
  functional = torch.nn.functional
  settings = {"epsilon": EPSILON, "steps": 1, "keep": "last", "start_deviation": 0.001}

  def ours(params, step_size=0.06):
    x, y = jnp.asarray(problem.x), jnp.asarray(problem.y)
    attack = partial(pgd, **settings, step_size=step_size)
    return objectives.trades(KEYS[:5], problem.logits_fn(params), x, y, attack=attack)

  params = problem.variables["params"]
  gradient = jax.jit(jax.grad(lambda params: jnp.sum(ours(params))))(params)
  start = pgd(
    KEYS[:5],
    problem.logits_fn(),
    jnp.asarray(problem.x),
    jnp.asarray(problem.y),
    **settings,
    step_size=0.0,
  )
  network, copies = torch_network(torch, problem)
  x, x_adv = torch.tensor(problem.x), torch.tensor(np.asarray(start), requires_grad=True)
  # As in the authors' code: sums, and images brought back into the ball.
  target = functional.softmax(network(x), dim=1)
  loss = functional.kl_div(
    functional.log_softmax(network(x_adv), dim=1), target.detach(), reduction="sum"
  )
  (slope,) = torch.autograd.grad(loss, x_adv)
  moved = x_adv.detach() + 0.06 * slope.sign()
  moved = torch.min(torch.max(moved, x - EPSILON), x + EPSILON).clamp(0, 1)
  theirs = functional.kl_div(
    functional.log_softmax(network(moved), dim=1), target, reduction="none"
  ).sum(dim=1)
  theirs.sum().backward()
  np.testing.assert_allclose(ours(params), theirs.detach(), rtol=1e-5)
  for mine, their in zip(jax.tree.leaves(gradient), jax.tree.leaves(copies), strict=True):
    np.testing.assert_allclose(mine, their.grad, rtol=1e-5, atol=1e-10)


@pytest.mark.parametrize(
  ("attack", "sentence"),
  [
    (partial(fgsm, epsilon=0.1), "attack must be one with the setting random_start, pgd say"),
    (partial(pgd, epsilon=0.1, random_start=False), "got random_start=False"),
    (partial(pgd, epsilon=0.1, loss="dlr"), "attack must leave its loss open"),
    (partial(apgd, epsilon=0.1, chunk_size=2), "attack must leave chunk_size open.*; got 2"),
    (lambda key, logits_fn, x, y: x, "attack must be one with the setting loss"),
  ],
)
def test_attacks_that_cannot_lead_away_are_refused(attack, sentence):
  with pytest.raises(ValueError, match=sentence):
    trades(attack=attack)


def test_a_masked_class_counts_for_nothing():
  logits, others = jnp.array([[0.0, 1.0, -jnp.inf]]), jnp.array([[0.5, 0.2, -jnp.inf]])

  def total(logits, others):
    return divergence_of_logits(logits, others).sum()

  value, slope = jax.value_and_grad(total)(logits, others)
  exact, its_slope = jax.value_and_grad(total)(logits[:, :2], others[:, :2])
  np.testing.assert_allclose(value, exact, rtol=1e-6)
  np.testing.assert_allclose(slope, jnp.pad(its_slope, ((0, 0), (0, 1))), atol=1e-7)
