"""Attacks and attributions of a study's settings, made ready for its data set."""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array

from robust_saliency.attacks.registry import ATTACKS, bind_attack, norm_of
from robust_saliency.attributions.registry import ATTRIBUTIONS, get_attribution
from robust_saliency.core import Attribution, LogitsFn, checks
from robust_saliency.core.binding import find, settings_of
from robust_saliency.core.settings import Distinct
from robust_saliency.data import Dataset

# Name -> an attack's settings; at least one.
Attacks = Annotated[Mapping[str, Mapping[str, Any]], Distinct()]


def attack_on(
  dataset: Dataset,
  settings: Mapping[str, Any],
  *,
  norm: str | None = None,
  epsilon: float | None = None,
  later: Collection[str] = (),
) -> Callable[..., Array]:
  """An attack of a study, within the data set's pixel bounds, on logits at its temperature.

  Args:
    dataset: gives the bounds.
    settings: an attack's config; "label" is what the report calls it, and "temperature" divides
      the logits that it sees.
    norm: as of `attacks.registry.bind_attack`.
    epsilon: as of `bind_attack`.
    later: as of `bind_attack`; ("epsilon",) where the study gives the radii.

  Raises:
    ValueError, TypeError: for an unknown attack or setting, one that is missing, or one that the
      study gives.
  """
  _check_names(ATTACKS, settings, "attack", own=("label", "temperature"))
  temperature = settings.get("temperature", 1.0)
  checks.scalar(temperature=temperature)
  checks.positive(temperature=temperature)
  checks.text(label=settings.get("label", "none"))
  attack = bind_attack(
    without(settings, "label", "temperature"),
    bounds=dataset.bounds,
    norm=norm,
    epsilon=epsilon,
    later=later,
  )
  if temperature == 1:
    return attack

  def tempered(key: Array, logits_fn: LogitsFn, x: Array, y: Array, **rest: Any) -> Array:
    return attack(key, lambda images: logits_fn(images) / temperature, x, y, **rest)

  return tempered


def attack_at(
  dataset: Dataset, settings: Mapping[str, Any], epsilon: float
) -> Callable[..., Array]:
  """`attack_on` at one radius, in the images' own dtype."""
  attack = attack_on(dataset, settings, later=("epsilon",))

  def at_radius(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> Array:
    return attack(keys, logits_fn, x, y, epsilon=jnp.asarray(epsilon, x.dtype))

  return at_radius


def attribution_on(dataset: Dataset, settings: Mapping[str, Any]) -> Attribution:
  """An attribution of a config, which knows the data set's pixel bounds where it needs them."""
  _check_names(ATTRIBUTIONS, settings, "attribution", own=("label",))
  checks.text(label=settings.get("label", "none"))
  return get_attribution(without(settings, "label"), bounds=dataset.bounds)


def describe_attack(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
  """What a report says of an attack."""
  return {
    "name": name,
    "label": settings.get("label", name),
    "norm": norm_of(settings),
    **{field: settings[field] for field in ("precision", "temperature") if field in settings},
  }


def _check_names(
  registry: Mapping[str, Callable], settings: Mapping[str, Any], what: str, *, own: Collection[str]
) -> None:
  """Raises for settings that neither the function nor the study has, with the nearest of both."""
  checks.mapping(**{f"settings of {what}": settings})
  if (function := find(registry, settings)) is not None:
    known = ("name", *settings_of(function), *own)
    for name in settings:
      checks.one_of(name, known, argument=f"setting of {what} {settings['name']!r}")


def without(settings: Mapping[str, Any], *names: str) -> dict[str, Any]:
  """The other settings."""
  return {name: value for name, value in settings.items() if name not in names}
