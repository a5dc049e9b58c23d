"""Features that images share, so that their explanations can be added up.

Pixels and grid cells are shared as they are: segment j lies at the same place in every image, and
the aggregations take no `features`. The superpixels of different images have nothing in common
but what they look like: here they are described by the explained network's own features, and
like ones form one shared feature.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions.local.superpixels import get_segments, image_sides
from robust_saliency.core import checks, full_precision, map_batches
from robust_saliency.core.tracing import widened


class SuperpixelClusters(NamedTuple):
  """Clusters of superpixels, the shared features.

  Attributes:
    centers: the clusters' mean descriptors, float [clusters, D].
    features: the cluster of each superpixel, int32 [B, d]; 0 for those that an image lacks.
  """

  centers: np.ndarray
  features: np.ndarray


@full_precision
def superpixel_descriptors(
  features_fn: Callable[[Array], Array],
  x: Array,
  segments: Array | np.ndarray,
  *,
  num_segments: int | None = None,
  chunk_size: int | None = 128,
) -> Array:
  """Describes each superpixel by the mean of a network's features over it, scaled to norm 1.

  Args:
    features_fn: maps images [B, H, W, C] to feature maps [B, h, w, D] of any size, e.g. an early
      convolution; they are resized to H x W bilinearly.
    x: images [B, H, W, C].
    segments: labels 0 .. d - 1, int [B, H, W] or [H, W].
    num_segments: d (static); needed only where the labels are traced.
    chunk_size: images per model call (static).

  Returns:
    Descriptors [B, d, D]; all 0 for segments that an image lacks.

  Source: the idea, with a mean and a central feature of a fixed ImageNet network, is
  InterpretDL's.

  >>> superpixel_descriptors(lambda x: x, jnp.ones((1, 2, 2, 3)), np.zeros((2, 2), int)).shape
  (1, 1, 3)
  """
  checks.images(x)
  checks.function(features_fn=features_fn)
  image_sides(x)
  labels, count = get_segments(segments, x, num_segments)
  shape = jax.eval_shape(features_fn, jax.ShapeDtypeStruct(x.shape, x.dtype)).shape
  if len(shape) != 4 or shape[0] != x.shape[0]:
    raise ValueError(
      f"features_fn must map images {x.shape} to maps ({x.shape[0]}, h, w, D), got {shape}"
    )

  def describe(images: Array, labels: Array) -> Array:
    maps = widened(features_fn(images))
    maps = jax.image.resize(maps, (*images.shape[:3], maps.shape[-1]), "linear")
    sums = jax.vmap(
      lambda maps, labels: jax.ops.segment_sum(
        maps.reshape(-1, maps.shape[-1]), labels.reshape(-1), count
      )
    )(maps, labels)
    # Of a mean only the direction is left, so the sum will do.
    lengths = jnp.linalg.norm(sums, axis=-1, keepdims=True)
    return sums / jnp.where(lengths > 0, lengths, 1)

  each = jnp.broadcast_to(jnp.asarray(labels), x.shape[:3])
  return map_batches(describe, x, each, chunk_size=chunk_size)


def cluster_superpixels(
  descriptors: Array | np.ndarray, present: Array | np.ndarray, *, clusters: int, seed: int = 0
) -> SuperpixelClusters:
  """Clusters superpixels by k-means, on the host by scikit-learn.

  Args:
    descriptors: [B, d, D] of `superpixel_descriptors`.
    present: bool [B, d], which superpixels an image has; see `superpixels.present_segments`.
    clusters: how many (static), at most the number of superpixels.
    seed: of k-means' start.

  Returns:
    `SuperpixelClusters`, whose `features` go to the aggregations with `num_features=clusters`;
    new images get theirs by `nearest_cluster`.
  """
  descriptors, present = np.asarray(descriptors), np.asarray(present)
  if descriptors.ndim != 3 or present.shape != descriptors.shape[:2]:
    raise ValueError(
      f"descriptors and present must have shapes [B, d, D] and [B, d], "
      f"got {descriptors.shape} and {present.shape}"
    )
  checks.count(clusters=clusters)
  known = descriptors[present.astype(bool)]
  if clusters > len(known):
    raise ValueError(
      f"clusters must be at most the number of superpixels, {len(known)}, got {clusters}"
    )
  # Imported here: scikit-learn takes long to import, and only this needs it.
  from sklearn.cluster import KMeans

  centers = KMeans(clusters, n_init=10, random_state=seed).fit(known).cluster_centers_
  features = np.asarray(nearest_cluster(descriptors, centers))
  return SuperpixelClusters(centers, np.where(present, features, 0).astype(np.int32))


def nearest_cluster(descriptors: Array | np.ndarray, centers: Array | np.ndarray) -> Array:
  """The cluster whose centre is nearest to each descriptor: [B, d, D] -> int32 [B, d].

  >>> nearest_cluster(jnp.array([[[0.1], [0.8]]]), jnp.array([[0.0], [1.0]])).tolist()
  [[0, 1]]
  """
  descriptors, centers = jnp.asarray(descriptors), jnp.asarray(centers)

  def nearest(image: Array) -> Array:
    steps = image[:, None] - centers.astype(image.dtype)
    return jnp.argmin(jnp.sum(steps**2, axis=-1), axis=-1).astype(jnp.int32)

  # One image at a time, since all differences at once would fill the memory.
  return jax.lax.map(nearest, descriptors)
