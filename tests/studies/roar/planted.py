"""A data set whose truth is planted, and networks that know it."""

import jax
import jax.numpy as jnp
import numpy as np

from robust_saliency.data import Split
from robust_saliency.models import build
from robust_saliency.models import init as init_model
from robust_saliency.training import TrainedNetwork

MLP = {"name": "mlp", "hidden": ()}
RECIPE = {
  "architecture": MLP,
  "objective": {"cross_entropy": {}},
  "optimizer": {"name": "adam", "learning_rate": 0.05},
  "batch_size": 64,
  "steps": 60,
}
INFORMATIVE = 4  # of 16 pixels


def planted(examples, seed):
  """Images whose class is the sign of the sum of the first 4 of 16 pixels around grey."""
  x = np.random.default_rng(seed).uniform(0, 1, (examples, 4, 4, 1)).astype(np.float32)
  y = (x.reshape(examples, 16)[:, :INFORMATIVE].mean(axis=1) > 0.5).astype(np.int32)
  return Split(x, y)


def truth(split):
  return np.broadcast_to(np.arange(16) < INFORMATIVE, (len(split), 16)).reshape(-1, 4, 4, 1) * 1.0


def network(seed=0, weights=1.0):
  """Linear, and right but for a scale."""
  module = build("mlp", hidden=(), num_classes=2)
  variables = jax.tree.map(jnp.zeros_like, dict(init_model(module, jax.random.key(0), (4, 4, 1))))
  kernel = np.zeros((16, 2), np.float32)
  kernel[:INFORMATIVE, 1] = weights
  variables["params"]["Dense_0"]["kernel"] = jnp.asarray(kernel)
  variables["params"]["Dense_0"]["bias"] = jnp.array([0.5 * INFORMATIVE * weights, 0.0])
  return TrainedNetwork(module, variables, seed)


NETWORKS = {"first": [network()], "second": [network(weights=-1.0)]}
