"""What the pixels of images are ranked by: the maps of a method."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy import ndimage

from robust_saliency.core import LogitsFn, checks
from robust_saliency.data import Dataset, Split
from robust_saliency.studies.batches import Evaluator
from robust_saliency.studies.methods import attribution_on, without
from robust_saliency.training import TrainedNetwork

LABELS = ("predicted", "true")
OWN = ("absolute", "smoothing")


class Importance:
  """One method of a study: an attribution, and what is done to its maps before pixels are ranked.

  Args:
    dataset: gives the pixel bounds.
    settings: an attribution's config, "label" for the report; "absolute" (True) ranks by |a|, per
      channel, else by a; "smoothing" blurs the ranked map by a Gaussian of so many pixels.
    labels: of which class the maps are, "predicted" or "true".
    batch_size: images per call.

  Raises:
    ValueError, TypeError: for settings that do not exist or are not allowed.
  """

  def __init__(
    self, dataset: Dataset, settings: Mapping[str, Any], *, labels: str, batch_size: int
  ):
    self._absolute = settings.get("absolute", True)
    self._smoothing = settings.get("smoothing", 0.0)
    checks.flag(absolute=self._absolute)
    checks.scalar(smoothing=self._smoothing)
    # A wider blur leaves nothing of a map.
    checks.between(0, max(dataset.image_shape[:2]), smoothing=self._smoothing)
    checks.one_of(labels, LABELS, argument="labels")
    attribute = attribution_on(dataset, without(settings, *OWN))
    absolute = self._absolute

    def ranked(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> Array:
      if labels == "predicted":
        y = jnp.argmax(logits_fn(x), axis=-1)
      maps = attribute(keys, logits_fn, x, y)
      return jnp.sum(jnp.abs(maps) if absolute else maps, axis=-1)

    self.attribution = attribute
    self._evaluate = Evaluator(ranked, batch_size=batch_size)

  def maps(self, network: TrainedNetwork, key: Array, images: Split) -> np.ndarray:
    """What pixels are ranked by, float32 [N, H, W]."""
    maps = self._evaluate(network, key, images.x, images.y)
    smoothing = self._smoothing
    return ndimage.gaussian_filter(maps, (0, smoothing, smoothing)) if smoothing else maps
