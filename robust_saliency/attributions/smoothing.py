"""Smoothing: explain a neighbourhood of the image instead of the image alone.

One loop over noisy copies n_i ~ N(0, sigma^2), three ways to gather the maps A(x + n_i): their
mean (`smoothgrad`), the mean of their squares (`smoothgrad_squared`), their variance (`vargrad`).
For the same key the copies are the same, so that smoothgrad_squared = vargrad + smoothgrad^2.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attributions.arguments import beyond_bounds, check_arguments, check_inner
from robust_saliency.attributions.gradient import gradient
from robust_saliency.attributions.registry import attribution, is_signed
from robust_saliency.core import (
  Attribution,
  Bounds,
  Key,
  LogitsFn,
  checks,
  example_keys,
  fold_samples,
  full_precision,
)
from robust_saliency.core.tracing import wide_dtype
from robust_saliency.core.variants import variant_of

# (initial, combine) -> the last state of `fold_samples` over the maps of the noisy copies.
Fold = Callable[[Any, Callable[[Any, Array, Array | int], Any]], Any]


@full_precision
def _gathered(
  gather: Callable[[Fold, int], Array],
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  attribution: Attribution = gradient,
  samples: int = 50,
  noise_level: float | Array = 0.15,
  include_clean: bool = False,
  clip: bool = False,
  bounds: Bounds = (0.0, 1.0),
  chunk_size: int | None = None,
  unroll: bool | int | None = None,
) -> Array:
  """`gather`s the attribution's maps of `samples` noisy copies of each image."""
  checks.pixel_bounds(bounds)
  checks.flag(include_clean=include_clean, clip=clip)
  checks.count(samples=samples)
  x = check_arguments(logits_fn, x, y, bounds=bounds)
  check_inner(attribution)
  checks.non_negative(noise_level=noise_level)
  checks.scalar(noise_level=noise_level)
  sigma = noise_level * (bounds[1] - bounds[0])

  def explain_noisy(numbers: Array, keys: Array, images: Array, classes: Array) -> Array:
    noise_keys, map_keys = jax.vmap(_two_keys, out_axes=1)(keys, numbers)
    noise = jax.vmap(lambda k: jax.random.normal(k, images.shape[1:], wide_dtype(x)))(noise_keys)
    if include_clean:  # as the last of the copies
      noise *= jnp.expand_dims(numbers < samples, range(1, noise.ndim))
    noisy = images + sigma * noise
    if clip:
      noisy = jnp.clip(noisy, *(jnp.asarray(bound, noisy.dtype) for bound in bounds))
    noisy = noisy.astype(x.dtype)
    with beyond_bounds():
      return attribution(map_keys, logits_fn, noisy, classes)

  def fold(initial: Any, combine: Callable[[Any, Array, Array | int], Any]) -> Any:
    return fold_samples(
      explain_noisy,
      example_keys(key, x.shape[0]),
      x,
      y,
      samples=copies,
      initial=initial,
      combine=combine,
      chunk_size=chunk_size,
      unroll=unroll,
    )

  copies = samples + include_clean
  return gather(fold, copies).astype(x.dtype)


def _two_keys(key: Key, number: Array) -> Array:
  return jax.random.split(jax.random.fold_in(key, number))


def _is_inner_signed(settings: Mapping[str, Any]) -> bool:
  inner = settings["attribution"]
  return is_signed(inner) if isinstance(inner, Mapping) else True


# A mean of maps has their sign.
@attribution(signed=_is_inner_signed)
@variant_of(_gathered)
def smoothgrad(fold: Fold, samples: int) -> Array:  # noqa: D417 - says what the whole takes
  """Averages an attribution over noisy copies of the image.

  E_n[A(x + n)], n ~ N(0, sigma^2), sigma = noise_level * (high - low).

  Args:
    key: one PRNG key, or one per example [B].
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C] within `bounds`.
    y: the classes to explain, int [B].
    attribution: what is averaged, any `(key, logits_fn, x, y) -> map of x's shape`.
    samples: number of noisy copies (static; 50 is the paper's advice).
    noise_level: sigma as a fraction of the bounds' width (traced; 0.1 to 0.2 in the paper).
    include_clean: whether the image itself is one more copy, without noise.
    clip: whether the noisy copies are clipped to `bounds`.
    bounds: (low, high) of the pixels.
    chunk_size: noisy images per call of the attribution (static); None takes one copy of every
      image at a time.
    unroll: how many calls share one pass of the compiled loop; True for stock convolutions on
      CPU.

  Returns:
    Maps [B, H, W, C], signed.

  Raises:
    ValueError, TypeError: for bad arguments, in a sentence that names them.

  Source: Smilkov et al. 2017, "SmoothGrad: removing noise by adding noise", section 3. With
  `include_clean` and `clip`: the code of Noack, Ahern, Dou & Li 2021.

  >>> import jax.numpy as jnp
  >>> smoothgrad(jax.random.key(0), lambda x: 3 * x[:, 0, 0], jnp.ones((1, 1, 1, 2)),
  ...            jnp.array([0]), samples=4).tolist()
  [[[[3.0, 0.0]]]]
  """
  return fold(0.0, lambda total, value, _: total + value) / samples


@attribution(signed=False)
@variant_of(_gathered)
def smoothgrad_squared(fold: Fold, samples: int) -> Array:
  """Averages the square of an attribution over noisy copies of the image.

  E_n[A(x + n)^2], n ~ N(0, sigma^2), sigma = noise_level * (high - low).

  Takes the arguments of `smoothgrad`.

  Returns:
    Maps [B, H, W, C], >= 0.

  Source: Hooker et al. 2019, "A benchmark for interpretability methods in deep neural networks",
  section 4.1 (SG-SQ).

  >>> import jax.numpy as jnp
  >>> smoothgrad_squared(jax.random.key(0), lambda x: -3 * x[:, 0, 0], jnp.ones((1, 1, 1, 2)),
  ...                    jnp.array([0]), samples=4).tolist()
  [[[[9.0, 0.0]]]]
  """
  return fold(0.0, lambda total, value, _: total + value**2) / samples


@attribution(signed=False)
@variant_of(_gathered)
def vargrad(fold: Fold, samples: int) -> Array:
  """The variance of an attribution over noisy copies of the image.

  Var_n[A(x + n)], n ~ N(0, sigma^2), sigma = noise_level * (high - low): the mean of the squared
  deviations from the samples' own mean. It is gathered by Welford's update, which is never
  negative and exactly 0 where the maps do not vary; E[A^2] - E[A]^2 is neither.

  Takes the arguments of `smoothgrad`.

  Returns:
    Maps [B, H, W, C], >= 0.

  Source: Adebayo et al. 2018, "Local explanation methods for deep neural networks lack sensitivity
  to parameter values"; Welford 1962, "Note on a method for calculating corrected sums of squares
  and products".

  >>> import jax.numpy as jnp
  >>> vargrad(jax.random.key(0), lambda x: 3 * x[:, 0, 0], jnp.ones((1, 1, 1, 2)),
  ...         jnp.array([0]), samples=4).tolist()
  [[[[0.0, 0.0]]]]
  """

  def update(state: tuple[Array, Array], value: Array, number: Array | int) -> tuple[Array, Array]:
    mean, squares = state
    deviation = value - mean
    mean = mean + deviation / jnp.asarray(number + 1, deviation.dtype)
    return mean, squares + deviation * (value - mean)

  _, squares = fold((0.0, 0.0), update)
  return squares / samples
