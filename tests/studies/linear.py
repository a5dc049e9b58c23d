"""Linear networks on pixels far from the bounds: attacks on them have closed forms."""

import dataclasses

import numpy as np

from robust_saliency import models
from robust_saliency.data import Dataset, Split
from robust_saliency.training import TrainedNetwork


def weights(seed):
  """[4, 2], zero-sum over pixels so that both classes occur around grey."""
  matrix = np.random.default_rng(100 + seed).normal(size=(4, 2)).astype(np.float32)
  return matrix - matrix.mean(axis=0)


def network(seed):
  """The network x -> x @ weights(seed)."""
  variables = {
    "params": {"Dense_0": {"kernel": weights(seed), "bias": np.zeros(2, np.float32)}},
    "batch_stats": {},
  }
  return TrainedNetwork(models.build("mlp", hidden=(), num_classes=2), variables, seed)


def direction(seed):
  """w_1 - w_0: what separates the classes."""
  return weights(seed)[:, 1] - weights(seed)[:, 0]


def margins(x, y, seed):
  """y-margin of each image: positive where the network is right."""
  return (x.reshape(len(x), 4) @ direction(seed)) * np.where(y == 1, 1, -1)


def dataset():
  """37 images in the middle of [0, 1], labelled by network 0; 37 divides by no batch size."""
  x = np.random.default_rng(0).uniform(0.4, 0.6, (37, 2, 2, 1)).astype(np.float32)
  y = (x.reshape(37, 4) @ direction(0) > 0).astype(np.int32)
  return Dataset("middling", Split(x, y), None, Split(x, y), ("no", "yes"))


def robust(x, y, seed, epsilons):
  """Closed form: right at epsilon in linf where the margin exceeds epsilon times the dual norm."""
  loss = np.array(epsilons)[:, None] * np.abs(direction(seed)).sum()
  return margins(x, y, seed) > loss


def steep_network():
  """Network 0 with logits of hundreds, so that the misplaced probability underflows in float32.

  Its two rows of weights are opposite: rounding 1 - f_y to 0 does not turn the gradient's signs.
  """
  half = 1500 * direction(0)[:, None]
  variables = {"Dense_0": {"kernel": np.hstack([-half, half]), "bias": np.zeros(2, np.float32)}}
  return dataclasses.replace(network(0), variables={"params": variables, "batch_stats": {}})
