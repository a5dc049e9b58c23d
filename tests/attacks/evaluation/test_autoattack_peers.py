"""AutoAttack beside torchattacks' attacks, on one trained network with the same weights."""

import jax
import numpy as np
import pytest

from robust_saliency.attacks import autoattack_members, run_attacks
from robust_saliency.data import load
from robust_saliency.training import Network, Recipe

torch = pytest.importorskip("torch", reason="compares with torchattacks")
pytest.importorskip("torchattacks", reason="compares with torchattacks")

pytestmark = pytest.mark.peers

N = 60
RECIPE = {
  "architecture": {"name": "digits"},
  "optimizer": {"name": "adam", "learning_rate": 2e-3},
  "batch_size": 100,
  "steps": 150,
}
OBJECTIVES = {
  "standard": {"cross_entropy": {}},
  "regularised": {
    "cross_entropy": {},
    "input_gradient_penalty": {"weight": 0.3, "scaling": "per_example"},
  },
}


@pytest.mark.parametrize(
  ("objective", "norm", "epsilon"), [("standard", "linf", 0.15), ("regularised", "l2", 1.0)]
)
def test_the_verdicts_are_torchattacks(objective, norm, epsilon, request, monkeypatch, tmp_path):
  monkeypatch.syspath_prepend(str(request.config.rootpath / "benchmarks"))
  import torch_autoattack
  import torch_twin

  torch.set_num_threads(1)
  dataset = load("digits")
  recipe = Recipe.from_config(RECIPE | {"objective": OBJECTIVES[objective]})
  network = Network(objective, recipe, dataset).train(0, tmp_path)
  test = dataset.test.take(slice(N))
  x, y = dataset.to_float(test.x), test.y
  attacks = autoattack_members(10, norm=norm, epsilon=epsilon, queries=1000)
  ours = run_attacks(
    jax.random.key(0), network.logits_fn, x, y, attacks=attacks, norm=norm, epsilon=epsilon
  )
  twin = torch_twin.Twin(network.variables)
  theirs = torch_autoattack.robust(twin, x, y, norm=norm, epsilon=epsilon, seed=0, queries=1000)
  assert 3 < theirs.sum() < N - 15
  assert np.count_nonzero(ours.robust != theirs) <= 1
  assert ours.robust.sum() <= theirs.sum() + 1
  assert not ours.outside.any()
