"""Ganz et al.'s alignment of every class's input gradient with a map: PAG-ROB.

    CE + lambda mean_k [1 - cos(d o_k / dx_n, g(x_n, k))]

g(x, k) points from the image towards class k. Interpretation regularisation asks this of the true
class alone; here all K rows of the Jacobian have a map, by K backward passes. Two forms:

  perceptual_alignment  any g, as maps [B, H, W, C, K] that are made before training
  class_mean_alignment  g(x, k) = m_k - x, with one image m_k for each class, which nobody has to
                        make: no teacher takes part
"""

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import LogitsFn, checks
from robust_saliency.objectives import arguments
from robust_saliency.objectives.batch import Batch
from robust_saliency.objectives.output_gradients import class_gradients, shared_class_gradients
from robust_saliency.objectives.passes import TrainingPasses, forward_pass
from robust_saliency.objectives.safe_norms import cosine
from robust_saliency.objectives.terms import term


def perceptual_alignment(
  logits_fn: LogitsFn, x: Array, class_maps: Array, *, output: str = "logits"
) -> Array:
  """mean_k [1 - cos(d o_k / dx_n, g_nk)], per example, for given maps g.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K], in the mode that is trained.
    x: images [B, H, W, C].
    class_maps: g, a map of each image for each class, [B, H, W, C, K], signed; constants.
    output: o, "logits" as in the paper, "log_probabilities" as in the authors' code (or
      "probabilities", whose gradients have the same directions).

  Returns:
    [B], from 0 to 2. A class whose gradient or map is zero counts 1, without a slope. The authors'
    code has the sum over 10 classes, 10 times the mean.

  Raises:
    ValueError, TypeError: for an unknown output, or images, maps or logits of other shapes or
      dtypes.

  Source: Ganz, Kawar & Elad 2023, "Do perceptually aligned gradients imply robustness?", section
  3; the authors draw some of the classes at each step, this takes all.

  >>> x, class_maps = jnp.zeros((1, 1, 1, 2)), jnp.ones((1, 1, 1, 2, 2))
  >>> perceptual_alignment(lambda x: x[:, 0, 0], x, class_maps).tolist()
  [0.293]
  """
  checks.images(x)
  y = jnp.zeros(x.shape[0], jnp.int32)  # the classes play no part
  once = forward_pass(logits_fn, x, y)
  arguments.maps(class_maps, x, classes=once.logits.shape[1], argument="class_maps")
  return _misalignment(class_gradients(once, output=output), jnp.moveaxis(class_maps, -1, 0))


def class_mean_alignment(
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  class_images: Array | None = None,
  output: str = "logits",
) -> Array:
  """mean_k [1 - cos(d o_k / dx_n, m_k - x_n)], per example, for one image m_k of each class.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K], in the mode that is trained.
    x: images [B, H, W, C].
    y: classes, int [B].
    class_images: m [K, H, W, C], constants: the means of the training set's classes ("CM" in the
      paper), or an image of each ("OI"). None for the means of the images given, as in the term;
      a class of which there is none then has an empty map.
    output: o, "logits", "probabilities" or "log_probabilities".

  Returns:
    [B], as of `perceptual_alignment`.

  Raises:
    ValueError, TypeError: for an unknown output, or images, classes, class images or logits of
      other shapes or dtypes.

  Source: Ganz, Kawar & Elad 2023, section 4, "class mean" and "one image".

  >>> x, y = jnp.array([[[[1.0, 0.0]]], [[[0.0, 1.0]]]]), jnp.array([0, 1])
  >>> class_mean_alignment(lambda x: x[:, 0, 0], x, y).tolist()
  [0.646, 0.646]
  """
  once = forward_pass(logits_fn, x, y)
  classes = once.logits.shape[1]
  if class_images is None:
    batch = Batch(x, y, jnp.ones(x.shape[0], x.dtype), jnp.asarray(x.shape[0]))
    maps = _towards_means(batch, classes, over_devices=False)
  else:
    arguments.class_images(class_images, x, classes=classes)
    maps = class_images[:, None] - x[None]
  return _misalignment(class_gradients(once, output=output), maps)


def _towards_means(batch: Batch, classes: int, *, over_devices: bool) -> Array:
  """m_k - x_n, [K, B, H, W, C], for the means m_k of the batch's classes; 0 where there is none."""
  members = jax.nn.one_hot(batch.y, classes, dtype=batch.x.dtype)
  spread = members.reshape(*members.shape, *[1] * (batch.x.ndim - 1))
  counts, sums = (
    batch.total(values) if over_devices else jnp.sum(values, axis=0)
    for values in (spread, spread * batch.x[:, None])
  )
  means = sums / jnp.maximum(counts, 1)
  return jnp.where(counts[:, None] > 0, means[:, None] - batch.x[None], 0)


def _misalignment(gradients: Array, maps: Array) -> Array:
  """The mean of 1 - cosine over classes, of gradients and maps [K, B, H, W, C]."""
  maps = jax.lax.stop_gradient(maps).astype(gradients.dtype)
  return 1 - jnp.mean(jax.vmap(cosine)(gradients, maps), axis=0)


@term(
  "perceptual_alignment",
  title="Direction of every class’s gradient, against its map",
  needs={"class_maps": "class maps"},
)
def _given(
  passes: TrainingPasses, *, output: str = "logits", penalty_mode: str = "training"
) -> Array:
  class_maps = passes.batch.targets["class_maps"]
  gradients = shared_class_gradients(passes, output=output, penalty_mode=penalty_mode)
  arguments.maps(class_maps, passes.batch.x, classes=gradients.shape[0], argument="class_maps")
  return _misalignment(gradients, jnp.moveaxis(class_maps, -1, 0))


@term("class_mean_alignment", title="Direction of every class’s gradient, against the class means")
def _class_means(
  passes: TrainingPasses, *, output: str = "logits", penalty_mode: str = "training"
) -> Array:
  gradients = shared_class_gradients(passes, output=output, penalty_mode=penalty_mode)
  maps = _towards_means(passes.batch, gradients.shape[0], over_devices=True)
  return _misalignment(gradients, maps)
