"""Dropout that depends on each example's own key alone."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import checks, example_keys


class Dropout(nn.Module):
  """Zeroes units at random and scales up the rest, one key per example.

  `nn.Dropout` draws one mask for the whole batch, so an example's mask changes with its place in
  the batch and with the number of devices. Here it is a function of the example's key.

  Attributes:
    rate: the probability that a unit is zeroed, in [0, 1).
    layer: tells the masks of several dropout layers of a network apart.

  Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from
  overfitting", in its inverted form.

  >>> keys = jax.random.split(jax.random.key(0), 2)
  >>> y = Dropout(0.75).apply({}, jnp.ones((2, 99)), train=True, keys=keys)
  >>> jnp.unique(y).tolist()
  [0.0, 4.0]
  """

  rate: float
  layer: int = 0

  def __call__(self, x: Array, *, train: bool, keys: Array | None = None) -> Array:
    """Drops units of x [B, ...] in training mode; `keys` are B keys."""
    checks.below_one(rate=self.rate)
    if not train or self.rate == 0:
      return x
    if keys is None:
      raise ValueError("dropout_keys must be given in training mode, one key per example; got None")

    def drop(key: Array, units: Array) -> Array:
      kept = jax.random.bernoulli(jax.random.fold_in(key, self.layer), 1 - self.rate, units.shape)
      return jnp.where(kept, units / (1 - self.rate), 0)

    return jax.vmap(drop)(example_keys(keys, len(x)), x)
