"""Max pooling that is fast on CPU and sends the gradient of a tie to the first maximum."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array


# Compiled by itself, it keeps its name in a traced program, by which DeepLIFT finds it.
@partial(jax.jit, static_argnames="window")
def first_max_pool(x: Array, window: tuple[int, int] = (2, 2)) -> Array:
  """The largest value of each tile of `window` pixels.

  Where several pixels of a tile are largest (flat backgrounds), the gradient goes to the first of
  them in reading order, as in `nn.max_pool` and PyTorch, to the bit. `jnp.max` over a reshaped
  array would share it out evenly and turn a quarter of the gradient's signs on MNIST;
  `nn.max_pool` itself has a slow gradient on CPU.

  Args:
    x: images [B, H, W, C].
    window: height and width of a tile, which is also the step from one tile to the next. Rows and
      columns beyond the last whole tile are left out.

  Returns:
    [B, H // window[0], W // window[1], C].

  >>> first_max_pool(jnp.arange(16.0).reshape(1, 4, 4, 1)).squeeze().tolist()
  [[5.0, 7.0], [13.0, 15.0]]
  """
  rows, columns = window
  _, height, width, _ = x.shape
  if height % rows or width % columns:
    return nn.max_pool(x, window, strides=window)
  # Strides, not a reshape to tiles: of that, XLA's CPU backend miscompiles the gradient between two
  # convolutions (jaxlib 0.10.1; tanh(convolution) before it gets another sign).
  largest, *others = (x[:, i::rows, j::columns] for i in range(rows) for j in range(columns))
  for other in others:
    # Strictly greater: the earlier of two equals stays, and alone receives the gradient.
    largest = jnp.where((other > largest) | jnp.isnan(other), other, largest)
  return largest
