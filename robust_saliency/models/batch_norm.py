"""Batch normalisation over the real examples of all devices."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core.per_example import per_example
from robust_saliency.core.tracing import widened


class BatchNorm(nn.Module):
  """Normalises each channel by its mean and variance over the batch.

  The statistics are those of the real examples of the whole batch, however it lies on the devices
  and wherever its padding is: sums and counts are reduced, not means. (`nn.BatchNorm` averages
  the devices' means, which misjudges devices that hold fewer real examples, and is NaN where one
  holds none.) Its variables have the names and shapes of `nn.BatchNorm`'s.

  Attributes:
    axis_name: the `jax.pmap` axis over which statistics are synchronised in training mode.
    momentum: the share of the old value in each update of the running statistics.
    epsilon: added to the variance.
    use_bias: whether a trained bias (beta) is added.
    use_scale: whether a trained scale (gamma) multiplies.

  Source: Ioffe & Szegedy 2015, "Batch normalization", Algorithm 1. The running variance is that
  of the batch, without Bessel's correction, as in TensorFlow and Flax; PyTorch corrects it.

  >>> x = jnp.array([[1.0], [3.0], [99.0]])
  >>> layer = BatchNorm(epsilon=0)
  >>> variables = layer.init(jax.random.key(0), x, train=False)
  >>> layer.apply(variables, x, train=True, mask=jnp.array([1, 1, 0]))[:2].tolist()
  [[-1.0], [1.0]]
  """

  axis_name: str | None = None
  momentum: float = 0.9
  epsilon: float = 1e-3
  use_bias: bool = True
  use_scale: bool = False

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None = None) -> Array:
    """Normalises x [B, ..., C].

    Args:
      x: activations, channels last.
      train: normalise by the batch, and update the running statistics where the collection
        "batch_stats" is mutable; otherwise normalise by the running statistics.
      mask: [B], 1 for real examples, 0 for padding.

    Returns:
      [B, ..., C].
    """
    shape = (x.shape[-1],)
    running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
    running_var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)
    if train:
      mean, var = self._statistics(x, mask)
      if self.is_mutable_collection("batch_stats") and not self.is_initializing():
        running_mean.value = self.momentum * running_mean.value + (1 - self.momentum) * mean
        running_var.value = self.momentum * running_var.value + (1 - self.momentum) * var
    else:
      mean, var = running_mean.value, running_var.value
    multiplier = jax.lax.rsqrt(var + self.epsilon)
    if self.use_scale:
      multiplier *= self.param("scale", nn.initializers.ones, shape)
    y = (x - mean) * multiplier
    if self.use_bias:
      y += self.param("bias", nn.initializers.zeros, shape)
    return y.astype(x.dtype)

  def _statistics(self, x: Array, mask: Array | None) -> tuple[Array, Array]:
    """Mean and variance [C] over real examples; in two passes, since E[x^2] - E[x]^2 cancels."""
    axes = tuple(range(x.ndim - 1))
    x = widened(x)  # numbers of half precision do not count so far
    weights = jnp.ones(len(x), x.dtype) if mask is None else mask.astype(x.dtype)
    weights = per_example(weights, x)
    positions = x[0, ..., 0].size
    # A batch of padding alone (while initialising, or on every device) must not divide by zero.
    count = jnp.maximum(self._over_devices(weights.sum() * positions), 1)
    mean = self._over_devices((weights * x).sum(axes)) / count
    var = self._over_devices((weights * jnp.square(x - mean)).sum(axes)) / count
    return mean, var

  def _over_devices(self, sums: Array) -> Array:
    if self.axis_name is None or self.is_initializing():
      return sums
    return jax.lax.psum(sums, self.axis_name)
