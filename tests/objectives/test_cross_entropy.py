import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from robust_saliency import objectives
from robust_saliency.objectives.cross_entropy import cross_entropy_of_logits

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(scale=3, size=(6, 4))
Y = RANDOM.integers(0, 4, 6)
X = np.zeros((6, 2, 2, 1))


def given_logits(x):
  del x
  return jnp.asarray(LOGITS, jnp.float32)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 50.0])
def test_cross_entropy_is_minus_the_log_probability_at_the_temperature(temperature):
  loss = objectives.cross_entropy(
    given_logits, jnp.asarray(X), jnp.asarray(Y), temperature=temperature
  )
  expected = -log_softmax(LOGITS / temperature, axis=1)[np.arange(6), Y]
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 50.0])
def test_distillation_is_the_cross_entropy_with_the_teacher_s_probabilities(temperature):
  targets = softmax(RANDOM.normal(size=(6, 4)), axis=1)
  loss = objectives.distillation(
    given_logits, jnp.asarray(X), jnp.asarray(targets), temperature=temperature
  )
  expected = -np.sum(targets * log_softmax(LOGITS / temperature, axis=1), axis=1)
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_a_large_logit_does_not_overflow():
  loss = objectives.cross_entropy(
    lambda x: jnp.array([[1e4, -1e4]]), jnp.zeros((1, 1, 1, 1)), jnp.array([1])
  )
  assert float(loss[0]) == 2e4


@pytest.mark.peers
@pytest.mark.parametrize("temperature", [1.0, 50.0])
def test_distillation_and_its_gradient_agree_with_pytorch_s(temperature):
  torch = pytest.importorskip("torch", reason="compares with PyTorch's losses")
  targets = softmax(RANDOM.normal(size=(6, 4)), axis=1)
  with jax.enable_x64(True):
    logits = jnp.asarray(LOGITS)

    def total(z):
      return objectives.distillation(lambda x: z, X, jnp.asarray(targets), temperature=temperature)

    loss, gradient = total(logits), jax.grad(lambda z: total(z).sum())(logits)

  z = torch.tensor(LOGITS, requires_grad=True)
  functional, soft = torch.nn.functional, torch.tensor(targets)
  cross_entropy = functional.cross_entropy(z / temperature, soft, reduction="none")
  # The KL divergence differs from it by the teacher's entropy alone, which has no gradient.
  divergence = functional.kl_div(
    functional.log_softmax(z / temperature, dim=1), soft, reduction="none"
  ).sum(dim=1)
  entropy = -(soft * soft.log()).sum(dim=1)
  divergence.sum().backward()
  np.testing.assert_allclose(loss, cross_entropy.detach(), rtol=1e-5)
  np.testing.assert_allclose(loss, (divergence + entropy).detach(), rtol=1e-5)
  np.testing.assert_allclose(gradient, z.grad, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("function", [objectives.cross_entropy, objectives.distillation])
def test_the_temperature_may_be_traced(function):
  labels = jnp.asarray(Y if function is objectives.cross_entropy else softmax(LOGITS, axis=1))
  temperatures = jnp.array([1.0, 3.0, 9.0])
  curve = jax.jit(jax.vmap(lambda t: function(given_logits, X, labels, temperature=t)))
  each = [function(given_logits, X, labels, temperature=float(t)) for t in temperatures]
  np.testing.assert_allclose(curve(temperatures), np.stack(each), rtol=1e-6)


@pytest.mark.parametrize("function", [objectives.cross_entropy, objectives.distillation])
@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_must_be_positive(function, temperature):
  with pytest.raises(ValueError, match="temperature must be > 0, got"):
    function(given_logits, X, jnp.asarray(Y), temperature=temperature)


def test_a_masked_class_without_a_share_counts_for_nothing():
  logits, shares = jnp.array([[0.0, 1.0, -jnp.inf]]), jnp.array([[0.25, 0.75, 0.0]])
  value, slope = jax.value_and_grad(lambda z: cross_entropy_of_logits(z, shares).sum())(logits)
  np.testing.assert_allclose(value, cross_entropy_of_logits(logits[:, :2], shares[:, :2])[0])
  np.testing.assert_allclose(slope, jax.nn.softmax(logits) - shares, atol=1e-7)
