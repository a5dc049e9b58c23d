"""Networks and a VAE-GAN of small images, untrained but for what a test needs."""

import jax
import numpy as np
import pytest

from robust_saliency import models
from robust_saliency.data import load
from robust_saliency.training import TrainedNetwork


@pytest.fixture(scope="session")
def digits():
  return load("digits", bounds=(-1.0, 1.0))


@pytest.fixture(scope="session")
def networks(digits):
  """Linear classifiers that know the classes' means, each with noise of its own."""
  x = digits.to_float(digits.train.x).reshape(-1, 64)
  means = np.stack([x[digits.train.y == label].mean(axis=0) for label in range(10)], axis=1)
  found = {}
  for place, name in enumerate(("s1", "s2", "s3", "a1", "a2", "b1", "b2")):
    noise = np.random.default_rng(place).normal(size=means.shape) * (0.3 if place < 3 else 0.1)
    kernel = (means + noise).astype(np.float32)
    bias = -0.5 * (kernel**2).sum(axis=0)
    variables = {"params": {"Dense_0": {"kernel": kernel, "bias": bias}}, "batch_stats": {}}
    found[name] = [TrainedNetwork(models.build("mlp", hidden=()), variables)]
  module = models.VAEGAN((8, 8, 1), latent=2, width=0.125)
  found["g"] = [TrainedNetwork(module, models.init(module, jax.random.key(0), (8, 8, 1)))]
  return found
