"""Grad-CAM: where a layer's features speak for a class."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attributions.arguments import check_arguments, check_images, with_a_row
from robust_saliency.attributions.channel_axis import channel_axis as find_channel_axis
from robust_saliency.attributions.channel_axis import could_be_first
from robust_saliency.attributions.registry import attribution
from robust_saliency.attributions.relu_rules import opened_maps, with_opened_relu
from robust_saliency.attributions.scores import Score, get_score
from robust_saliency.attributions.traced_program import trace
from robust_saliency.core import Key, LogitsFn, checks, full_precision, map_batches
from robust_saliency.core.tracing import wide_dtype

_MAPS = "maps"
# The features, or they and whatever else the head needs, by name.
Features = Array | Mapping[str, Array]


@attribution(signed=lambda settings: not settings["relu"])
@full_precision
def grad_cam(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  features_fn: Callable[[Array], Features] | None = None,
  head_fn: Callable[[Any], Array] | None = None,
  channel_axis: int | None = None,
  relu: bool = True,
  score: str | Score = "logit",
  chunk_size: int | None = None,
) -> Array:
  """ReLU(sum_k a_k F_k), where a_k is the mean over places of d score / dF_k.

  Args:
    key: not used; there so that this is an attribution like any other.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C], or signals [B, L, C].
    y: the classes to explain, int [B].
    features_fn: maps images to a layer's features F [B, h, w, D], signals to [B, l, D]; None for
      those of the last ReLU, ReLU6, SiLU or the like that gives such maps, see `with_opened_relu`.
      What else the head needs of each image, such as a class token, goes beside them: {"maps": F,
      and any other arrays [B, ...] by name}.
    head_fn: maps what `features_fn` gives to logits [B, K]: the rest of the network, which then
      takes the place of `logits_fn`, which may be None. Give both or neither.
    channel_axis: which axis of the features is D (static): 3 or -1 in [B, h, w, D], 2 or -1 in
      [B, l, D], 1 in [B, D, h, w] or [B, D, l]. None: the one that the convolution before them
      has, and else the last, with a warning where the features' sides leave that open.
    relu: whether negative places become 0 (static), as in the paper.
    score: as in `gradient`.
    chunk_size: images per model call (static).

  Returns:
    Maps of x's shape, the same in each channel; resized from h x w, or l, linearly.

  Source: Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via
  gradient-based localization", equations 1 and 2.

  >>> network = lambda x: jax.nn.relu(x).sum((1, 2)) * jnp.array([2.0, 1.0])
  >>> x = jnp.full((1, 2, 2, 2), 3.0)
  >>> grad_cam(jax.random.key(0), network, x, jnp.array([0]))[..., 0].tolist()
  [[[6.0, 6.0], [6.0, 6.0]]]
  """
  del key
  x = check_images(x)
  if x.ndim not in (3, 4):
    raise ValueError(
      "x must have shape [batch, height, width, channels] or [batch, length, channels], got "
      f"{x.shape}"
    )
  checks.flag(relu=relu)
  opened = _opened(logits_fn, features_fn, head_fn, x)
  if features_fn is None:
    check_arguments(logits_fn, x, y)
  else:
    check_arguments(lambda x: opened(x, 0.0)[0], x, y, argument="head_fn after features_fn")
  score_function = get_score(score)
  like = jax.eval_shape(lambda images: opened(images, 0.0)[1], with_a_row(x))
  if len(like.shape) != x.ndim:
    wanted = "images [B, H, W, C] to features [B, h, w, D]"
    wanted = wanted if x.ndim == 4 else "signals [B, L, C] to features [B, l, D]"
    raise ValueError(f"features_fn must map {wanted}, got {like.shape}")
  axis = _axis_of_channels(channel_axis, logits_fn, features_fn, x)
  places = tuple(range(1, x.ndim - 1))

  def explain(images: Array, classes: Array) -> Array:
    def total(shift: Array) -> tuple[Array, Array]:
      logits, features = opened(images, shift)
      return jnp.sum(score_function(logits, classes)), features

    zeros = jnp.zeros((len(images), *like.shape[1:]), like.dtype)
    slopes, features = (
      jnp.moveaxis(values, axis, -1) for values in jax.grad(total, has_aux=True)(zeros)
    )
    weights = jnp.mean(slopes, axis=places, keepdims=True, dtype=wide_dtype(slopes))
    maps = jnp.sum(weights * features, axis=-1, keepdims=True)
    if relu:
      maps = jax.nn.relu(maps)
    resized = jax.image.resize(maps, (*images.shape[:-1], 1), "linear")
    return jnp.broadcast_to(resized, images.shape).astype(images.dtype)

  return map_batches(explain, x, y, chunk_size=chunk_size)


def _opened(
  logits_fn: LogitsFn,
  features_fn: Callable[[Array], Features] | None,
  head_fn: Callable[[Any], Array] | None,
  x: Array,
) -> Callable[[Array, Array | float], tuple[Array, Array]]:
  """The network as `(images, shift of its features) -> (logits, features)`."""
  if features_fn is None and head_fn is None:
    checks.number_of_classes(logits_fn, x)
    return with_opened_relu(logits_fn, with_a_row(x))
  if features_fn is None or head_fn is None:
    raise ValueError("features_fn and head_fn must be given both or neither")
  checks.function(features_fn=features_fn, head_fn=head_fn)
  if logits_fn is not None:
    checks.network(logits_fn)
  return _in_two_parts(features_fn, head_fn)


def _axis_of_channels(
  given: int | None, logits_fn: LogitsFn, features_fn: Callable[[Array], Features] | None, x: Array
) -> int:
  if given is None:
    return _found_axis(logits_fn, features_fn, with_a_row(x))
  axes = [*range(1, x.ndim), *range(-1, -x.ndim, -1)]
  if isinstance(given, bool) or not isinstance(given, int) or given not in axes:
    allowed = ", ".join(map(str, axes))
    raise ValueError(f"channel_axis must be {allowed} or None, got {checks.shown(given)}")
  return given % x.ndim


def _found_axis(
  logits_fn: LogitsFn, features_fn: Callable[[Array], Features] | None, x: Array
) -> int:
  if features_fn is None:
    program, number = opened_maps(logits_fn, x)
  else:
    program = trace(lambda images: _maps_of(features_fn(images)), x)
    [number] = program.outputs
  axis, shape = find_channel_axis(program, number), program.types[number].shape
  if axis is None and could_be_first(shape, x.shape):
    warnings.warn(
      f"grad_cam takes the last axis of the features {shape} for their channels, though the others "
      "could be a map's sides as well; give channel_axis=-1, or channel_axis=1 for "
      f"{'[B, D, h, w]' if x.ndim == 4 else '[B, D, l]'}",
      stacklevel=5,
    )
  return x.ndim - 1 if axis in (None, 0) else int(axis)


def _in_two_parts(
  features_fn: Callable[[Array], Features], head_fn: Callable[[Any], Array]
) -> Callable[[Array, Array | float], tuple[Array, Array]]:
  def opened(images: Array, shift: Array | float) -> tuple[Array, Array]:
    features = features_fn(images)
    maps = _maps_of(features) + shift
    return head_fn({**features, _MAPS: maps} if isinstance(features, Mapping) else maps), maps

  return opened


def _maps_of(features: Features) -> Array:
  if not isinstance(features, Mapping):
    return features
  if _MAPS not in features:
    raise ValueError(
      f'features_fn must give the features by the name "{_MAPS}", got {checks.listed(features)}'
    )
  return features[_MAPS]
