"""From a config to an objective: terms, each with its weight, over passes that they share."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attacks.registry import bind_attack
from robust_saliency.core import ApplyFn, Attack, Bounds, checks
from robust_saliency.core.binding import bind, settings_of
from robust_saliency.objectives.batch import Batch, LossSum, Objective
from robust_saliency.objectives.passes import TrainingPasses
from robust_saliency.objectives.terms import KINDS, TERMS


def weighted_sum(
  terms: Mapping[str, Mapping[str, Any]], *, bounds: Bounds = (0.0, 1.0)
) -> Objective:
  """The objective sum_i weight_i term_i that a config describes.

  Terms share passes: the clean one is run once for the cross-entropy and all penalties, and not
  at all if no term needs it (adversarial training on attacked images alone); an attacked one once
  for all terms with equal settings of their attack.

  Args:
    terms: name of a term -> its settings; "weight" (default 1) multiplies it, the others are its
      hyper-parameters. The mixture of clean and adversarial loss is their two weights.
    bounds: (low, high) of the pixels, within which attacks stay unless they say otherwise.

  Returns:
    `(keys, apply_fn, variables, batch) -> LossSum`, pure and differentiable in
    `variables["params"]`.

  Raises:
    ValueError, TypeError: if there is no term, or a name, setting or weight is missing or not
      allowed.

  >>> objective = weighted_sum({"cross_entropy": {}, "input_gradient_penalty": {"weight": 0.1}})
  >>> apply_fn = lambda variables, x, **_: (variables["params"] * x[:, 0, 0], {})
  >>> batch = Batch(jnp.zeros((1, 1, 1, 2)), jnp.array([0]), jnp.ones(1),
  ...               jnp.array(1))
  >>> keys = jax.random.split(jax.random.key(0), 1)
  >>> objective(keys, apply_fn, {"params": jnp.array(1.0)}, batch).sum.item()
  0.743
  """
  checks.pixel_bounds(bounds)
  checks.mapping(objective=terms)
  if not terms:
    raise ValueError(f"objective needs at least one term of {checks.listed(TERMS)}; got none")
  functions = {name: one.function for name, one in TERMS.items()}
  attacks = _Attacks(bounds)
  weights, bound = {}, {}
  for name, settings in terms.items():
    checks.mapping(**{f"objective term {name!r}": settings})
    weights[name] = settings.get("weight", 1.0)
    with checks.naming(f"objective term {name!r}"):
      checks.scalar(weight=weights[name])
      checks.non_negative(weight=weights[name])
    named = {"name": name, **{k: v for k, v in settings.items() if k != "weight"}}
    if "attack" in named and name in functions and "attack" in settings_of(functions[name]):
      named["attack"] = attacks.bind(named["attack"])
    bound[name] = bind(functions, named, what="objective term", also=("weight",))
  in_order = sorted(bound, key=lambda name: TERMS[name].order)

  def objective(keys: Array, apply_fn: ApplyFn, variables: Any, batch: Batch) -> LossSum:
    for name in in_order:
      _check_targets(name, batch)
    passes = TrainingPasses(keys, apply_fn, variables, batch)
    values = {name: _per_example(name, bound[name](passes), batch) for name in in_order}
    loss = sum(weights[name] * value for name, value in values.items())
    weight = jnp.sum(batch.mask)
    metrics = {"loss": loss, **values, **passes.metrics}
    return LossSum(
      jnp.sum(batch.mask * loss),
      weight,
      passes.collections,
      {name: (jnp.sum(batch.mask * value), weight) for name, value in metrics.items()},
    )

  return objective


class _Attacks:
  """Attacks by their settings: equal settings give the same function, whose pass is shared."""

  def __init__(self, bounds: Bounds):
    self._bounds = bounds
    self._bound: list[tuple[Mapping[str, Any], Callable]] = []

  def bind(self, settings: Mapping[str, Any]) -> Attack:
    for known, attack in self._bound:
      if _equal(settings, known):
        return attack
    attack = bind_attack(settings, bounds=self._bounds)
    self._bound.append((settings, attack))
    return attack


def _equal(a: Any, b: Any) -> bool:
  try:
    return a is b or bool(a == b)
  except (ValueError, jax.errors.TracerBoolConversionError):  # arrays equal themselves only
    return False


def _check_targets(name: str, batch: Batch) -> None:
  for target, kind in TERMS[name].needs.items():
    if target not in batch.targets:
      raise ValueError(
        f"the term {name!r} needs {KINDS[kind]}: {target!r} is not among the batch's targets"
      )
    shape = batch.targets[target].shape
    if kind == "labels" and (len(shape) != 2 or shape[0] != batch.x.shape[0]):
      raise ValueError(
        f"the labels {target!r} of the term {name!r} must be probabilities "
        f"[{batch.x.shape[0]}, K], got shape {shape}"
      )
    if kind == "class maps" and shape[:-1] != batch.x.shape:
      size = ", ".join(map(str, batch.x.shape))
      raise ValueError(
        f"the class maps {target!r} of the term {name!r} must be of the images' shape and one more "
        f"axis of classes, [{size}, K], got shape {shape}"
      )
    if kind == "map" and shape[:3] != batch.x.shape[:3]:
      size = ", ".join(map(str, batch.x.shape[:3]))
      raise ValueError(
        f"the map {target!r} of the term {name!r} must be of the images' size [{size}, ...], got "
        f"shape {shape}"
      )


def _per_example(name: str, value: Array, batch: Batch) -> Array:
  if value.shape == batch.y.shape:
    return value
  if value.shape != ():
    raise ValueError(
      f"the term {name!r} must return one number per example, [{len(batch.y)}], or one for the "
      f"whole batch, [], got shape {value.shape}"
    )
  return jnp.broadcast_to(value, batch.y.shape)
