import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import models

CLASSES = 3


class Network(nn.Module):
  """A convolution, batch norm or none, and smooth activations, which finite differences need."""

  batch_norm: bool

  @nn.compact
  def __call__(self, x, train=False, mask=None, dropout_keys=None):
    x = nn.Conv(4, (3, 3), conv_general_dilated=models.loop_safe_conv)(x)
    if self.batch_norm:
      x = models.BatchNorm()(x, train=train, mask=mask)
    return nn.Dense(CLASSES)(jnp.tanh(x).reshape(len(x), -1))


class Problem:
  """A network in float64, five images, and their classes."""

  def __init__(self, batch_norm):
    self.batch_norm = batch_norm
    self.apply_fn = models.apply_fn(Network(batch_norm))
    random = np.random.default_rng(0)
    variables = models.init(Network(batch_norm), jax.random.key(0), (4, 4, 2))
    # Nothing at its initial value: biases and running statistics count.
    self.variables = jax.tree.map(
      lambda leaf: np.asarray(leaf, np.float64) + random.uniform(0, 0.3, leaf.shape), variables
    )
    self.x = random.uniform(size=(5, 4, 4, 2))
    self.y = random.integers(0, CLASSES, 5)
    random = np.random.default_rng(2)
    self.maps = random.normal(size=self.x.shape)
    self.class_maps = random.normal(size=(*self.x.shape, CLASSES))

  def logits_fn(self, params=None, *, train=True):
    variables = {**self.variables, "params": self.variables["params"] if params is None else params}
    variables = jax.tree.map(jnp.asarray, variables)
    return lambda x: self.apply_fn(variables, x, train=train)[0]


@functools.cache
def made(batch_norm):
  """The problem, which no test changes."""
  return Problem(batch_norm)


@pytest.fixture(params=[False, True], ids=["plain", "batch norm"])
def problem(request):
  with jax.enable_x64(True):
    yield made(request.param)
