"""A convolution whose largest singular value is at most 1."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax

_NHWC = ("NHWC", "HWIO", "NHWC")
# Below any length that an image of the power iteration has.
_TINY = 1e-12


class SpectralConv(nn.Module):
  """A convolution divided by its largest singular value where that exceeds 1.

  Of the convolution as an operator on whole images, padding included, not of its kernel as a
  matrix: the two differ by a factor of up to the kernel's side. The value is found by power
  iteration, one step a call in training mode, from where the last call ended: an image of the
  input's shape in the collection "spectral", the same on all devices.

  Attributes:
    features: the output's channels.
    kernel: the kernel's side, in pixels.
    stride: in pixels; the padding is "SAME".

  Source: Kim, Seo & Jeon 2019 (their code), after Miyato et al. 2018, "Spectral normalization for
  generative adversarial networks", whose matrix is the kernel's; Gouk et al. 2021,
  "Regularisation of neural networks by enforcing Lipschitz continuity", algorithm 2, has the
  operator's.

  >>> layer = SpectralConv(4, kernel=3)
  >>> variables = layer.init(jax.random.key(0), jnp.ones((1, 8, 8, 2)))
  >>> variables["spectral"]["direction"].shape
  (1, 8, 8, 2)
  """

  features: int
  kernel: int
  stride: int = 1

  @nn.compact
  def __call__(self, x: Array, *, train: bool = False) -> Array:
    """Images [B, H, W, C] -> [B, H', W', features]."""
    shape = (self.kernel, self.kernel, x.shape[-1], self.features)
    kernel = self.param("kernel", nn.initializers.glorot_uniform(), shape)
    bias = self.param("bias", nn.initializers.zeros, (self.features,))
    image = (1, *x.shape[1:])
    direction = self.variable(
      "spectral", "direction", lambda: _unit(jax.random.normal(self.make_rng("params"), image))
    )

    def convolve(images: Array) -> Array:
      return lax.conv_general_dilated(
        images, kernel, (self.stride, self.stride), "SAME", dimension_numbers=_NHWC
      )

    # The value is differentiated with its two singular vectors held fixed, as they are at the end.
    value, vector = _step(lax.stop_gradient(direction.value), convolve)
    if train and self.is_mutable_collection("spectral") and not self.is_initializing():
      direction.value = vector
    return convolve(x) / jnp.maximum(value, 1.0) + bias


def _step(direction: Array, convolve: Any) -> tuple[Array, Array]:
  """One power iteration: the largest singular value from below, and a better input direction."""
  ahead, transposed = jax.vjp(convolve, direction)
  left = lax.stop_gradient(_unit(ahead))
  (back,) = transposed(left)
  right = lax.stop_gradient(_unit(back))
  return jnp.vdot(left, convolve(right)), right


def _unit(image: Array) -> Array:
  return image / jnp.maximum(jnp.linalg.norm(image.ravel()), _TINY)
