import jax
import numpy as np
import optax
import pytest

from robust_saliency.training import get_optimizer

GRADIENTS = np.random.default_rng(0).normal(size=(5, 3))


def descend(settings):
  """Where five given gradients lead from the origin."""
  optimizer = get_optimizer(settings)
  with jax.enable_x64(True):
    w = np.zeros(3)
    state = optimizer.init(w)
    for gradient in GRADIENTS:
      updates, state = optimizer.update(gradient, state, w)
      w = optax.apply_updates(w, updates)
  return np.asarray(w)


def test_sgd_goes_against_the_sum_of_the_gradients():
  w = descend({"name": "sgd", "learning_rate": 0.1})
  np.testing.assert_allclose(w, -0.1 * GRADIENTS.sum(axis=0), rtol=1e-12)


@pytest.mark.peers
@pytest.mark.parametrize(
  ("settings", "peer", "keywords"),
  [
    ({"name": "adam", "learning_rate": 0.1}, "Adam", {"lr": 0.1}),
    (
      {"name": "adam", "learning_rate": 0.1, "b1": 0.5, "b2": 0.9, "eps": 1e-4},
      "Adam",
      {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-4},
    ),
    (
      {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9},
      "SGD",
      {"lr": 0.1, "momentum": 0.9},
    ),
    (
      {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
      "SGD",
      {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    ),
  ],
)
def test_optimisers_take_pytorch_s_steps(settings, peer, keywords):
  torch = pytest.importorskip("torch", reason="compares with PyTorch's optimisers")
  w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
  optimizer = getattr(torch.optim, peer)([w], **keywords)
  for gradient in GRADIENTS:
    w.grad = torch.tensor(gradient)
    optimizer.step()
  np.testing.assert_allclose(descend(settings), w.detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({"name": "adam"}, "optimizer needs a learning_rate"),
    ({"learning_rate": 0.1}, "optimizer needs a name, one of adam, sgd"),
    ({"name": "adm", "learning_rate": 0.1}, r"got 'adm' \(did you mean 'adam'\?\)"),
    ({"name": "sgd", "learning_rate": 0.0}, "learning_rate must be > 0, got 0.0"),
    ({"name": "sgd", "learning_rate": 0.1, "momentun": 0.9}, "did you mean 'momentum'"),
  ],
)
def test_settings_that_make_no_optimiser_are_refused(settings, sentence):
  with pytest.raises(ValueError, match=sentence):
    get_optimizer(settings)
