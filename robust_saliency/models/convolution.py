"""A convolution whose gradients stay fast inside loops on CPU.

The gradients of XLA's convolution are themselves convolutions, of a form (swapped kernel axes,
images for kernels) that XLA's CPU compiler runs slowly, and inside a loop body very slowly: there
ten steps of PGD on a small CNN take three times as long as they need, and a step of double
backprop eighty times (jax-ml/jax#12868). Here they are written as ordinary forward convolutions.

With <u, v> the sum of products, <conv(x, w), g> is linear in the image x, the kernel w and the
cotangent g. Its gradients in the three are three bilinear maps,

  output(x, w), in g        input_gradient(g, w), in x        weight_gradient(x, g), in w

and each one's own gradients are the other two. So three short rules make derivatives of every
order from the same three programs.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from robust_saliency.core.tracing import wide_dtype

# Images that share one kernel in `weight_gradient`: a longer contraction no longer fits the cache.
IMAGES_PER_CHUNK = 8

_NHWC = ("NHWC", "HWIO", "NHWC")


def loop_safe_conv(
  lhs: Array,
  rhs: Array,
  window_strides: Sequence[int],
  padding: str | Sequence[tuple[int, int]],
  lhs_dilation: Sequence[int] | None = None,
  rhs_dilation: Sequence[int] | None = None,
  dimension_numbers: Any = None,
  feature_group_count: int = 1,
  batch_group_count: int = 1,
  precision: lax.PrecisionLike = None,
  preferred_element_type: Any = None,
) -> Array:
  """Convolves as `jax.lax.conv_general_dilated` does, with gradients that are fast in CPU loops.

  For odd kernels with stride 1, padding "SAME", no dilation, no groups, images [B, H, W, C] and
  kernels [H, W, C_in, C_out], reverse-mode derivatives of every order take the fast forms (on
  CPU; elsewhere the stock ones), and forward mode (`jax.jvp`) is refused. Every other convolution
  is the stock one.

  Args:
    lhs: images [B, H, W, C_in].
    rhs: kernels [H, W, C_in, C_out].
    window_strides: as in `jax.lax.conv_general_dilated`, like all that follow.
    padding: "SAME", "VALID" or pairs (low, high).
    lhs_dilation: dilation of the images.
    rhs_dilation: dilation of the kernels.
    dimension_numbers: the meaning of the axes.
    feature_group_count: groups of channels.
    batch_group_count: groups of images.
    precision: of the products, for the gradients too.
    preferred_element_type: the type of the sums.

  Returns:
    The convolved images [B, H, W, C_out].

  >>> import flax.linen as nn
  >>> layer = nn.Conv(4, (3, 3), conv_general_dilated=loop_safe_conv)
  >>> layer.init_with_output(jax.random.key(0), jnp.ones((2, 8, 8, 1)))[0].shape
  (2, 8, 8, 4)
  """
  ordinary = (
    lhs.ndim == 4
    and lhs.size > 0
    and lhs.dtype == rhs.dtype
    and preferred_element_type in (None, lhs.dtype)
    and _is_nhwc(lhs, rhs, dimension_numbers)
    and all(size % 2 == 1 for size in rhs.shape[:2])
    and all(step == 1 for step in (*window_strides, *(lhs_dilation or ()), *(rhs_dilation or ())))
    and feature_group_count == batch_group_count == 1
    and _is_same(padding, rhs.shape[:2])
  )
  if ordinary:
    return _output(precision, lhs, rhs)
  return lax.conv_general_dilated(
    lhs,
    rhs,
    window_strides,
    padding,
    lhs_dilation,
    rhs_dilation,
    dimension_numbers,
    feature_group_count,
    batch_group_count,
    precision,
    preferred_element_type,
  )


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _output(precision: lax.PrecisionLike, x: Array, w: Array) -> Array:
  return _stock(precision, x, w)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _input_gradient(precision: lax.PrecisionLike, g: Array, w: Array) -> Array:
  """The gradient in x [B, H, W, C_in], of a cotangent [B, H, W, C_out] and a kernel."""

  def forward_convolution(g: Array, w: Array) -> Array:
    # The kernel's axes are swapped in memory. To swap them by name ("HWOI"), as the stock gradient
    # does, is what XLA's CPU compiler has no fast program for.
    return _stock(precision, g, jnp.flip(w, (0, 1)).swapaxes(2, 3))

  def stock(g: Array, w: Array) -> Array:
    x = jax.ShapeDtypeStruct((*g.shape[:3], w.shape[2]), g.dtype)
    return jax.linear_transpose(lambda x: _stock(precision, x, w), x)(g)[0]

  return lax.platform_dependent(g, w, cpu=forward_convolution, default=stock)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _weight_gradient(
  precision: lax.PrecisionLike, kernel: tuple[int, int], x: Array, g: Array
) -> Array:
  """The gradient in w [H, W, C_in, C_out], of images and a cotangent [B, H, W, C_out]."""

  def images_as_channels(x: Array, g: Array) -> Array:
    chunk = min(IMAGES_PER_CHUNK, len(x))
    padding = ((0, -len(x) % chunk), (0, 0), (0, 0), (0, 0))
    chunks = [jnp.pad(a, padding).reshape(-1, chunk, *a.shape[1:]) for a in (x, g)]

    def gradient_of_chunk(x: Array, g: Array) -> Array:
      return lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0),
        g.transpose(1, 2, 0, 3),
        (1, 1),
        [(size // 2, size // 2) for size in kernel],
        dimension_numbers=_NHWC,
        precision=precision,
        # A sum of many chunks in half precision would stop growing.
        preferred_element_type=wide_dtype(x),
      )

    first = gradient_of_chunk(*(a[0] for a in chunks))
    total, _ = lax.scan(
      lambda total, chunk: (total + gradient_of_chunk(*chunk), None),
      first,
      [a[1:] for a in chunks],
    )
    return total.transpose(1, 2, 0, 3).astype(x.dtype)

  def stock(x: Array, g: Array) -> Array:
    w = jax.ShapeDtypeStruct((*kernel, x.shape[3], g.shape[3]), x.dtype)
    return jax.linear_transpose(lambda w: _stock(precision, x, w), w)(g)[0]

  return lax.platform_dependent(x, g, cpu=images_as_channels, default=stock)


def _stock(precision: lax.PrecisionLike, x: Array, w: Array) -> Array:
  return lax.conv_general_dilated(
    x, w, (1, 1), "SAME", dimension_numbers=_NHWC, precision=precision
  )


_output.defvjp(
  lambda precision, x, w: (_output(precision, x, w), (x, w)),
  lambda precision, saved, g: (
    _input_gradient(precision, g, saved[1]),
    _weight_gradient(precision, saved[1].shape[:2], saved[0], g),
  ),
)
_input_gradient.defvjp(
  lambda precision, g, w: (_input_gradient(precision, g, w), (g, w)),
  lambda precision, saved, x: (
    _output(precision, x, saved[1]),
    _weight_gradient(precision, saved[1].shape[:2], x, saved[0]),
  ),
)
_weight_gradient.defvjp(
  lambda precision, kernel, x, g: (_weight_gradient(precision, kernel, x, g), (x, g)),
  lambda precision, kernel, saved, w: (
    _input_gradient(precision, saved[1], w),
    _output(precision, saved[0], w),
  ),
)


def _is_nhwc(lhs: Array, rhs: Array, dimension_numbers: Any) -> bool:
  given = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
  return given == lax.conv_dimension_numbers(lhs.shape, rhs.shape, _NHWC)


def _is_same(padding: Any, kernel: tuple[int, ...]) -> bool:
  if isinstance(padding, str):
    return padding.upper() == "SAME"
  return [tuple(pair) for pair in padding] == [(size // 2, size // 2) for size in kernel]
