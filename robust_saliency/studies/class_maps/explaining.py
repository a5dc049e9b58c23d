"""Local explanations of images by LIME, for maps of classes."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions import LocalModel, explain_locally
from robust_saliency.attributions.local.lime_neighbourhood import filled
from robust_saliency.core import LogitsFn, checks
from robust_saliency.core.binding import bind, settings_of
from robust_saliency.data import Dataset

# What the study gives itself.
OURS = ("segments", "num_segments", "bounds")
# Of the range of pixels: far below one of 256 levels, far above float32's rounding.
LEAST_CHANGE = 1e-5
_METHODS = {"lime": explain_locally}


class Local(NamedTuple):
  """Local explanations of images.

  Attributes:
    coefficients: float32 [N, d].
    differs: bool [N, d], which parts differ from what stands in their place when they are hidden;
      the coefficient of any other is the regression's noise.
    fit: the linear models' weighted R^2 [N].
  """

  coefficients: Array | np.ndarray
  differs: Array | np.ndarray
  fit: Array | np.ndarray


def local_settings(dataset: Dataset, settings: Mapping[str, Any]) -> dict[str, Any]:
  """LIME's settings, hidden parts as dark as pixels can be where no fill is given.

  Raises:
    ValueError, TypeError: for settings that `explain_locally` has not, or a fill that is neither a
      number nor "mean".
  """
  allowed = [name for name in settings_of(explain_locally) if name not in OURS]
  for name in settings:
    checks.one_of(name, allowed, argument="setting of local")
  found = {"fill": float(dataset.bounds[0]), **settings}
  if not isinstance(found["fill"], str):
    checks.scalar(fill=found["fill"])
  with checks.naming("local"):
    bind(_METHODS, {"name": "lime", **found}, what="local explanation")
  return found


def explainer(
  dataset: Dataset, settings: Mapping[str, Any], *, parts: int, predicted: bool
) -> Callable[[Array, LogitsFn, Array, Any], Local]:
  """A function for an `Evaluator`, whose labels are (true classes [B], parts int [B, H, W]).

  Args:
    dataset: gives the pixel bounds.
    settings: of `local_settings`.
    parts: the most that an image has.
    predicted: whether the predicted class is explained, and not the true one.
  """
  explain: Callable[..., LocalModel] = functools.partial(
    explain_locally, bounds=dataset.bounds, **settings
  )
  low, high = dataset.bounds

  def of_images(keys: Array, logits_fn: LogitsFn, x: Array, y: Any) -> Local:
    classes, labels = y
    if predicted:
      classes = jnp.argmax(logits_fn(x), axis=-1)
    model = explain(keys, logits_fn, x, classes, segments=labels, num_segments=parts)
    fill = settings["fill"]
    hidden = filled(x, labels, parts) if isinstance(fill, str) else jnp.asarray(fill, x.dtype)
    # The mean of equal pixels differs from them by rounding.
    differs = jnp.abs(x - hidden) > LEAST_CHANGE * (high - low)
    changes = jnp.any(differs, axis=-1).reshape(len(x), -1).astype(jnp.int32)
    counts = jax.vmap(lambda of, at: jax.ops.segment_sum(of, at, parts))(
      changes, labels.reshape(len(x), -1)
    )
    return Local(model.coefficients, counts > 0, model.score)

  return of_images
