import jax
import numpy as np
import optax
import pytest

from robust_saliency.training import get_optimizer

START = np.array([1.0, -2.0, 3.0])
GRADIENTS = np.random.default_rng(0).normal(size=(5, 3))


def descend(settings):
  """Where five given gradients lead from the start."""
  optimizer = get_optimizer(settings)
  with jax.enable_x64(True):
    w = START
    state = optimizer.init(w)
    for gradient in GRADIENTS:
      updates, state = optimizer.update(gradient, state, w)
      w = optax.apply_updates(w, updates)
  return np.asarray(w)


def test_sgd_goes_against_the_sum_of_the_gradients():
  w = descend({"name": "sgd", "learning_rate": 0.1})
  np.testing.assert_allclose(w, START - 0.1 * GRADIENTS.sum(axis=0), rtol=1e-12)


def test_epsilon_hat_is_tensorflow_1_s_adam():
  settings = {"learning_rate": 0.1, "b1": 0.8, "b2": 0.95, "eps": 0.5}
  rate, b1, b2, eps = settings.values()
  w, m, v = START, 0.0, 0.0
  # The update in the documentation of tf.train.AdamOptimizer.
  for t, g in enumerate(GRADIENTS, start=1):
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
    w = w - rate * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + eps)
  hat = descend({"name": "adam", **settings, "epsilon_hat": True})
  np.testing.assert_allclose(hat, w, rtol=1e-10)
  assert np.abs(descend({"name": "adam", **settings}) - w).max() > 0.01


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
    ({"name": "adamw", "learning_rate": 0.1}, "AdamW", {"lr": 0.1, "weight_decay": 1e-4}),
    (
      {"name": "adamw", "learning_rate": 0.1, "b1": 0.5, "eps": 1e-4, "weight_decay": 0.2},
      "AdamW",
      {"lr": 0.1, "betas": (0.5, 0.999), "eps": 1e-4, "weight_decay": 0.2},
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
  w = torch.tensor(START, requires_grad=True)
  optimizer = getattr(torch.optim, peer)([w], **keywords)
  for gradient in GRADIENTS:
    w.grad = torch.tensor(gradient)
    optimizer.step()
  np.testing.assert_allclose(descend(settings), w.detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({"name": "adam"}, "optimizer needs a learning_rate"),
    ({"learning_rate": 0.1}, "optimizer needs a name, one of adam, adamw, sgd"),
    ({"name": "adm", "learning_rate": 0.1}, r"got 'adm' \(did you mean 'adam'\?\)"),
    ({"name": "sgd", "learning_rate": 0.0}, "learning_rate must be > 0, got 0.0"),
    ({"name": "sgd", "learning_rate": [0.1, 0.2]}, "learning_rate must be one number"),
    ({"name": "sgd", "learning_rate": 0.1, "momentun": 0.9}, "did you mean 'momentum'"),
    ({"name": "sgd", "learning_rae": 0.1}, "did you mean 'learning_rate'"),
    ({"name": "sgd", "learning_rate": 0.1, "weight_decy": 0.1}, "did you mean 'weight_decay'"),
    ({"name": "sgd", "learning_rate": 0.1, "momentum": 5}, "momentum must be between 0 and 1, got"),
    ({"name": "sgd", "learning_rate": 0.1, "momentum": 1.0}, "momentum must be < 1, got 1.0"),
    ({"name": "adam", "learning_rate": 0.1, "b1": np.nan}, "b1 must be between 0 and 1, got nan"),
    ({"name": "adam", "learning_rate": 0.1, "b2": 1}, "b2 must be < 1, got 1"),
    ({"name": "adam", "learning_rate": 0.1, "eps": -1}, "eps must be >= 0, got -1"),
    (
      {"name": "adamw", "learning_rate": 0.1, "weight_decay": -1},
      "weight_decay must be >= 0, got -1",
    ),
    ({"name": "adam", "learning_rate": 0.1, "epsilon_hat": 1}, "epsilon_hat must be True or False"),
  ],
)
def test_settings_that_make_no_optimiser_are_refused(settings, sentence):
  with pytest.raises((ValueError, TypeError), match=sentence):
    get_optimizer(settings)


@pytest.mark.peers
@pytest.mark.parametrize("nesterov", [False, True])
def test_coupled_weight_decay_and_cosine_per_epoch_take_pytorch_s_steps(nesterov):
  torch = pytest.importorskip("torch", reason="compares with PyTorch's optimisers")
  w = torch.tensor(START, requires_grad=True)
  optimizer = torch.optim.SGD([w], lr=0.1, momentum=0.9, nesterov=nesterov, weight_decay=0.05)
  schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=3)
  ours = get_optimizer(
    {
      "name": "sgd",
      "learning_rate": 0.1,
      "momentum": 0.9,
      "nesterov": nesterov,
      "weight_decay": 0.05,
      "schedule": {"name": "cosine_per_epoch"},
    },
    steps_per_epoch=2,
    total_steps=6,
  )
  with jax.enable_x64(True):
    v, state = START, ours.init(START)
    for step, gradient in enumerate(np.random.default_rng(0).normal(size=(6, 3))):
      updates, state = ours.update(gradient, state, v)
      v = optax.apply_updates(v, updates)
      w.grad = torch.tensor(gradient)
      optimizer.step()
      if step % 2:
        schedule.step()
      np.testing.assert_allclose(v, w.detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize(
  ("settings", "factors"),
  [
    ({"name": "constant"}, [1, 1, 1, 1, 1, 1]),
    ({"name": "cosine"}, [(1 + np.cos(np.pi * i / 6)) / 2 for i in range(6)]),
    ({"name": "cosine_per_epoch"}, [1, 1, 0.75, 0.75, 0.25, 0.25]),
    ({"name": "step_decay", "epochs": [1, 2], "factor": 0.2}, [1, 1, 0.2, 0.2, 0.04, 0.04]),
  ],
)
def test_schedules_multiply_the_learning_rate(settings, factors):
  optimizer = get_optimizer(
    {"name": "sgd", "learning_rate": 0.5, "schedule": settings}, steps_per_epoch=2, total_steps=6
  )
  state, updates = optimizer.init(np.float32(0)), []
  for _ in range(6):
    update, state = optimizer.update(np.float32(1), state)
    updates.append(float(update))
  np.testing.assert_allclose(updates, [-0.5 * factor for factor in factors], rtol=1e-5)


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    ({"weight_decay": -1.0}, "weight_decay must be >= 0, got -1.0"),
    ({"schedule": {"name": "cosin"}}, r"got 'cosin' \(did you mean 'cosine'\?\)"),
    ({"schedule": {"name": "step_decay", "epochs": [0]}}, "epochs must be >= 1, got 0"),
    ({"schedule": {"name": "cosine", "total_steps": 3}}, "follows from the model's epochs"),
    ({"weight_decay": [0.1, 0.2]}, "weight_decay must be one number"),
    ({"schedule": {"name": "step_decay", "epochs": "12"}}, "epochs must be a list of whole"),
    ({"schedule": {"name": "step_decay", "epochs": 3}}, "epochs must be a list of whole numbers"),
  ],
)
def test_decays_and_schedules_that_do_not_exist_are_refused(change, sentence):
  with pytest.raises((ValueError, TypeError), match=sentence):
    get_optimizer({"name": "sgd", "learning_rate": 0.1, **change})
