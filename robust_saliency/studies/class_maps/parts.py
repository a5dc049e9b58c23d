"""The parts of images that are explained, and the features that the parts of all images share.

Pixels and cells of a grid lie at the same place in every image: each is a feature. Superpixels are
an image's own: the explained network's features describe them, and like ones are a feature.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions.local.global_features import (
  nearest_cluster,
  superpixel_descriptors,
)
from robust_saliency.attributions.local.superpixels import get_segments, present_segments
from robust_saliency.attributions.relu_rules import with_opened_relu
from robust_saliency.core import Bounds, LogitsFn, checks
from robust_saliency.studies.batches import Evaluator
from robust_saliency.training import TrainedNetwork

SHARED = ("grid", "pixels")


class Parts(NamedTuple):
  """The parts of some images.

  Attributes:
    labels: the part of each pixel, int32 [N, H, W].
    number: the most parts that an image has.
  """

  labels: np.ndarray
  number: int

  @property
  def present(self) -> np.ndarray:
    """Which parts an image has, bool [N, number]."""
    return np.asarray(present_segments(self.labels, self.number))

  def means(self, maps: np.ndarray) -> np.ndarray:
    """The mean of each part of maps [N, H, W]: [N, number], 0 for those that an image lacks.

    >>> Parts(np.array([[[0, 0, 1]]]), 2).means(np.array([[[1.0, 3.0, 5.0]]])).tolist()
    [[2.0, 5.0]]
    """
    cells = (self.labels + self.number * np.arange(len(self.labels))[:, None, None]).reshape(-1)
    size = self.number * len(self.labels)
    sums = np.bincount(cells, np.broadcast_to(maps, self.labels.shape).reshape(-1), size)
    sizes = np.bincount(cells, minlength=size)
    return (sums / np.maximum(sizes, 1)).reshape(len(self.labels), self.number).astype(np.float32)


def name_of(segments: Any) -> str:
  """The segmentation that settings name; labels and functions have no place in a config."""
  if isinstance(segments, Mapping):
    segments = segments.get("name")
  checks.text(segments=segments)
  return str(segments)


def parts_of(segments: Any, x: np.ndarray, bounds: Bounds) -> Parts:
  """The parts of images.

  Args:
    segments: a name of `attributions.superpixels.SEGMENTATIONS`, or one with its settings.
    x: images [N, H, W, C] within the bounds.
    bounds: (low, high) of the pixels.
  """
  shared = name_of(segments) in SHARED
  labels, count = get_segments(segments, jnp.asarray(x[:1] if shared else x), bounds=bounds)
  return Parts(np.broadcast_to(np.asarray(labels, np.int32), x.shape[:3]), count)


def describe(
  network: TrainedNetwork, x: np.ndarray, parts: Parts, *, batch_size: int
) -> np.ndarray:
  """Describes superpixels by the features of a network's last ReLU, those that Grad-CAM reads.

  Args:
    network: whose.
    x: images [N, H, W, C].
    parts: theirs.
    batch_size: images per call.

  Returns:
    Float32 [N, number, D], of norm 1.
  """

  def of_images(keys: Array, logits_fn: LogitsFn, x: Array, labels: Array) -> Array:
    del keys
    opened = with_opened_relu(logits_fn, x)
    return superpixel_descriptors(
      lambda images: opened(images, 0.0)[1], x, labels, num_segments=parts.number, chunk_size=None
    )

  evaluate = Evaluator(of_images, batch_size=batch_size)
  return evaluate(network, jax.random.key(0), x, parts.labels)


def clusters_of(descriptors: np.ndarray, present: np.ndarray, centers: np.ndarray) -> np.ndarray:
  """The feature of each superpixel, int32 [N, number]; 0 for those that an image lacks."""
  return np.where(present, np.asarray(nearest_cluster(descriptors, centers)), 0).astype(np.int32)
