"""Noack et al.'s interpretation regularisation: input gradients that are like given maps.

    CE + lambda_cs * direction + lambda_gm * magnitude

g_n = d o_y / dx_n is the input gradient of the true class's output at x_n, and T_n its map.

    direction_n = 1 - cos(g_n, T_n)
    magnitude   = sqrt(sum_n ||g_n||^2)     over the whole batch: no square, no mean
    distance    = sqrt(sum_n || |g_n| - T_n ||^2)     of their first version, instead of the two

The two norms grow with the root of the batch, sqrt(B) times the root mean square of ||g_n||, so
that a weight belongs to a batch size: with another one multiply it by sqrt(B_old / B_new).

The authors' network for MNIST gives logits. Theirs for CIFAR-10 gives probabilities, so that there
g_n = -p_y times the cross-entropy's gradient: its direction is the loss gradient's, and its
magnitude vanishes where the network is certain. `output` chooses.
"""

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import LogitsFn, checks
from robust_saliency.core.tracing import widened
from robust_saliency.objectives import arguments
from robust_saliency.objectives.output_gradients import (
  shared_true_class_gradient,
  true_class_gradient,
)
from robust_saliency.objectives.passes import TrainingPasses, forward_pass
from robust_saliency.objectives.safe_norms import cosine, root, squared_lengths
from robust_saliency.objectives.terms import term


def thresholded(maps: Array, threshold: float | Array | None) -> Array:
  """Each map's values outside mean +- t standard deviations, and zero elsewhere.

  Args:
    maps: [B, H, W, C]; mean and (unbiased) deviation are of all numbers of one map.
    threshold: t >= 0 (traced), 1 in the authors' scripts; None keeps all values.

  Returns:
    Maps [B, H, W, C], constants for differentiation, in float32 at least.

  Raises:
    ValueError, TypeError: for a threshold that is no number >= 0.

  Source: Noack et al. 2021, the authors' code.

  >>> thresholded(jnp.array([0.0, 1.0, -9.0, 0.0]).reshape(1, 4, 1, 1), 1.0).ravel().tolist()
  [0.0, 0.0, -9.0, 0.0]
  """
  maps = widened(jax.lax.stop_gradient(maps))
  if threshold is None:
    return maps
  checks.scalar(threshold=threshold)
  checks.non_negative(threshold=threshold)
  axes = tuple(range(1, maps.ndim))
  # A power of two changes no digit, and squares of small or large maps stay in float32's range.
  exponent = jnp.frexp(jnp.max(jnp.abs(maps), axis=axes, keepdims=True, initial=0))[1]
  scaled = jnp.ldexp(maps, -exponent)
  distances = scaled - jnp.mean(scaled, axis=axes, keepdims=True)
  variance = jnp.sum(distances**2, axis=axes, keepdims=True) / max(1, maps[0].size - 1)
  return jnp.where(jnp.abs(distances) > threshold * jnp.sqrt(variance), maps, 0)


def interpretation_direction(
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  maps: Array,
  *,
  output: str = "logits",
  absolute: bool = False,
  threshold: float | Array | None = None,
) -> Array:
  """1 - cos(g_n, T_n), per example: which way the true class's input gradient points.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K], in the mode that is trained.
    x: images [B, H, W, C].
    y: classes, int [B].
    maps: T, what the gradients should be like, [B, H, W, C], signed; constants.
    output: whose gradient, "logits", "probabilities" or "log_probabilities".
    absolute: compares |g| with T.
    threshold: t of `thresholded` (traced): only what stands out of a map counts; None for all.

  Returns:
    [B], from 0 to 2; 1, without a slope, where the gradient or the map is zero.

  Raises:
    ValueError, TypeError: for images, classes, maps or logits of other shapes or dtypes, an output
      that is none, or a threshold that is no number >= 0.

  Source: Noack et al. 2021, "An empirical study on the relation between network interpretability
  and adversarial robustness", by the authors' code (`cs`).

  >>> x = jnp.zeros((1, 1, 1, 2))
  >>> interpretation_direction(
  ...   lambda x: x[:, 0, 0], x, jnp.array([0]), jnp.array([[[[3.0, 4.0]]]])).tolist()
  [0.4]
  """
  once = forward_pass(logits_fn, x, y)
  arguments.maps(maps, x)
  gradient = true_class_gradient(once, output=output)
  return _direction(gradient, maps, absolute=absolute, threshold=threshold)


def interpretation_magnitude(
  logits_fn: LogitsFn, x: Array, y: Array, *, output: str = "logits"
) -> Array:
  """sqrt(sum_n ||g_n||^2): the Frobenius norm of the true class's gradients over the batch.

  Over the images that it is given: in a step that several devices share, use the term, which sums
  over all of them.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K], in the mode that is trained.
    x: images [B, H, W, C].
    y: classes, int [B].
    output: whose gradient, "logits", "probabilities" or "log_probabilities".

  Returns:
    One number, []; the mean loss plus lambda times it is what is minimised.

  Raises:
    ValueError, TypeError: as of `interpretation_direction`.

  Source: Noack et al. 2021, by the authors' code, which follows Jakubovitz & Giryes 2018 in taking
  the norm over the batch.

  >>> interpretation_magnitude(
  ...   lambda x: 3 * x[:, 0, 0], jnp.zeros((4, 1, 1, 2)), jnp.zeros(4, int)).tolist()
  6.0
  """
  gradient = true_class_gradient(forward_pass(logits_fn, x, y), output=output)
  return root(jnp.sum(squared_lengths(gradient)))


def interpretation_distance(
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  maps: Array,
  *,
  output: str = "logits",
  absolute: bool = True,
  threshold: float | Array | None = None,
) -> Array:
  """sqrt(sum_n || |g_n| - T_n ||^2) over the batch: direction and magnitude in one.

  Arguments and errors are those of `interpretation_direction`. The sizes of the gradient are
  compared by default, as the authors did; the maps should then be sizes, too.

  Returns:
    One number, [], as of `interpretation_magnitude`.

  Source: the first version of Noack et al., 2019, "Does interpretability of neural networks imply
  adversarial robustness?", by the authors' code (`ir`).

  >>> x = jnp.zeros((1, 1, 1, 2))
  >>> interpretation_distance(
  ...   lambda x: -x[:, 0, 0], x, jnp.array([0]), jnp.array([[[[4.0, 4.0]]]])).tolist()
  5.0
  """
  once = forward_pass(logits_fn, x, y)
  arguments.maps(maps, x)
  gradient = true_class_gradient(once, output=output)
  distances = _squared_distances(gradient, maps, absolute=absolute, threshold=threshold)
  return root(jnp.sum(distances))


def _direction(
  gradient: Array, maps: Array, *, absolute: bool, threshold: float | Array | None
) -> Array:
  return 1 - cosine(*_compared(gradient, maps, absolute=absolute, threshold=threshold))


def _squared_distances(
  gradient: Array, maps: Array, *, absolute: bool, threshold: float | Array | None
) -> Array:
  ours, theirs = _compared(gradient, maps, absolute=absolute, threshold=threshold)
  return squared_lengths(ours - theirs)


def _compared(
  gradient: Array, maps: Array, *, absolute: bool, threshold: float | Array | None
) -> tuple[Array, Array]:
  """The gradients and their maps as they are compared, of one dtype."""
  checks.flag(absolute=absolute)
  ours = widened(jnp.abs(gradient) if absolute else gradient)
  return ours, thresholded(maps, threshold).astype(ours.dtype)


def _gradient_and_maps(
  passes: TrainingPasses, *, output: str, penalty_mode: str
) -> tuple[Array, Array]:
  maps = passes.batch.targets["maps"]
  arguments.maps(maps, passes.batch.x)
  return shared_true_class_gradient(passes, output=output, penalty_mode=penalty_mode), maps


@term(
  "interpretation_direction",
  title="Direction of the input gradient, against the map",
  needs={"maps": "map"},
)
def _direction_term(
  passes: TrainingPasses,
  *,
  output: str = "logits",
  absolute: bool = False,
  threshold: float | None = None,
  penalty_mode: str = "training",
) -> Array:
  gradient, maps = _gradient_and_maps(passes, output=output, penalty_mode=penalty_mode)
  return _direction(gradient, maps, absolute=absolute, threshold=threshold)


@term("interpretation_magnitude", title="Norm of the true class’s input gradients")
def _magnitude_term(
  passes: TrainingPasses, *, output: str = "logits", penalty_mode: str = "training"
) -> Array:
  gradient = shared_true_class_gradient(passes, output=output, penalty_mode=penalty_mode)
  return root(passes.batch.total(squared_lengths(gradient)))


@term(
  "interpretation_distance",
  title="Distance of the input gradients from the maps",
  needs={"maps": "map"},
)
def _distance_term(
  passes: TrainingPasses,
  *,
  output: str = "logits",
  absolute: bool = True,
  threshold: float | None = None,
  penalty_mode: str = "training",
) -> Array:
  gradient, maps = _gradient_and_maps(passes, output=output, penalty_mode=penalty_mode)
  distances = _squared_distances(gradient, maps, absolute=absolute, threshold=threshold)
  return root(passes.batch.total(distances))
