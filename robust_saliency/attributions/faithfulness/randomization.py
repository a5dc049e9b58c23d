"""Parameter randomisation: a map that explains a network changes when its parameters do."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions.arguments import check_arguments, check_inner
from robust_saliency.attributions.gradient import gradient
from robust_saliency.core import Attribution, Key, checks, example_keys, full_precision
from robust_saliency.core.tracing import widened


@full_precision
def parameter_randomization(
  key: Key,
  apply_fn: Callable[[Any, Array], Array],
  params: Any,
  fresh: Any,
  x: Array,
  y: Array,
  *,
  layers: Sequence[str],
  attribution: Attribution = gradient,
  absolute: bool = True,
  cascading: bool = True,
) -> Array:
  """How like the maps stay when layers get parameters that were never trained, top layer first.

  Number l compares the map of the network with that of one whose layers 1 to l are fresh, or with
  `cascading=False` layer l alone. A method whose maps stay alike explains the image, not the
  network.

  Args:
    key: one PRNG key, or one per example [B], for the attribution, which draws alike for all.
    apply_fn: maps parameters and images [B, H, W, C] to logits [B, K].
    params: the trained parameters, a pytree.
    fresh: others of the same structure and shapes, as before training: of another key.
    x: images [B, H, W, C], or other inputs [B, ...] that the attribution takes.
    y: the classes to explain, int [B].
    layers: names of parts of `params`, from the output down (static): "Dense_1", or
      "block/Conv_0" for a part of a part.
    attribution: whose maps are compared, any `(key, logits_fn, x, y) -> map of x's shape`.
    absolute: whether the sizes of the maps' numbers are compared (static), as the paper does beside
      the numbers themselves.
    cascading: whether the layers above stay fresh (static).

  Returns:
    Spearman's rank correlations [B, L] of L layers, from -1 to 1; NaN for a map of equal numbers,
    or with a NaN.

  Raises:
    ValueError, TypeError: for bad arguments, in a sentence that names them.

  Source: Adebayo et al. 2018, "Sanity checks for saliency maps", section 3.

  >>> def network(params, x):
  ...   return x.reshape(len(x), -1) @ params["dense"]
  >>> trained, fresh = ({"dense": w} for w in (jnp.eye(3), jnp.eye(3)[::-1]))
  >>> x, y = jnp.ones((1, 1, 3, 1)), jnp.array([0])
  >>> parameter_randomization(
  ...   jax.random.key(0), network, trained, fresh, x, y, layers=["dense"]).tolist()
  [[-0.5]]
  """
  checks.function(apply_fn=apply_fn)
  check_inner(attribution)
  checks.flag(absolute=absolute, cascading=cascading)
  _check_pair(params, fresh)
  layers = _check_layers(layers, params)
  x = check_arguments(lambda images: apply_fn(params, images), x, y, argument="apply_fn")
  keys = example_keys(key, x.shape[0])

  def explain(parameters: Any) -> Array:
    maps = attribution(keys, lambda images: apply_fn(parameters, images), x, y)
    return jnp.abs(maps) if absolute else maps

  maps = explain(params)
  correlations, mixed = [], params
  for layer in layers:
    mixed = _with_fresh(layer, mixed if cascading else params, fresh)
    correlations.append(rank_correlation(maps, explain(mixed)))
  return jnp.stack(correlations, axis=1)


def rank_correlation(maps: Array, others: Array) -> Array:
  """Spearman's rank correlation of each map with another.

  Args:
    maps: [B, ...].
    others: of the same shape.

  Returns:
    [B], from -1 to 1; equal numbers share the mean of their ranks. NaN for a map of equal numbers,
    or with a NaN.

  Raises:
    ValueError, TypeError: for what are no maps, or not of one shape.

  Source: Spearman 1904, "The proof and measurement of association between two things".

  >>> rank_correlation(jnp.array([[1.0, 2.0, 3.0]]), jnp.array([[1.0, 8.0, 27.0]])).tolist()
  [1.0]
  """
  checks.array(maps=maps, others=others)
  if maps.shape != others.shape or maps.ndim < 2:
    raise ValueError(
      f"maps and others must have one shape [batch, ...], got {maps.shape} and {others.shape}"
    )
  a, b = (
    jax.vmap(_centred_ranks)(one.reshape(one.shape[0], math.prod(one.shape[1:])))
    for one in (maps, others)
  )
  lengths = jnp.sqrt(jnp.sum(a**2, axis=1)) * jnp.sqrt(jnp.sum(b**2, axis=1))
  return jnp.clip(jnp.sum(a * b, axis=1) / lengths, -1, 1)


def _centred_ranks(values: Array) -> Array:
  """Ranks less their mean, divided by their number; equal values share the mean of their ranks."""
  values = widened(jnp.asarray(values))
  in_order = jnp.sort(values)
  below, up_to = (jnp.searchsorted(in_order, values, side=side) for side in ("left", "right"))
  ranks = (below + up_to - values.size).astype(values.dtype) / (2 * values.size)
  return jnp.where(jnp.isnan(values).any(), jnp.nan, ranks)


def _check_pair(params: Any, fresh: Any) -> None:
  shapes = []
  for one in (params, fresh):
    leaves = jax.tree_util.tree_leaves_with_path(one)
    shapes.append([(_name(path), np.shape(leaf)) for path, leaf in leaves])
  if shapes[0] != shapes[1]:
    raise ValueError("fresh must have the structure and the shapes of params")


def _check_layers(layers: Sequence[str], params: Any) -> list[str]:
  if isinstance(layers, str) or not isinstance(layers, (list, tuple)) or not layers:
    raise TypeError(
      f"layers must be a list of names, from the output down, got {checks.shown(layers)}"
    )
  names = [_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
  parts = {name.rsplit("/", n)[0] for name in names for n in range(name.count("/") + 1)}
  for layer in layers:
    checks.one_of(layer, sorted(parts), argument="layers")
  return list(layers)


def _with_fresh(layer: str, params: Any, fresh: Any) -> Any:
  def chosen(path: Any, old: Any, new: Any) -> Any:
    name = _name(path)
    return new if name == layer or name.startswith(f"{layer}/") else old

  return jax.tree_util.tree_map_with_path(chosen, params, fresh)


def _name(path: Any) -> str:
  return jax.tree_util.keystr(path, simple=True, separator="/")
