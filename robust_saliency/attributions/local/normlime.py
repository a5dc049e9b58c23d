"""NormLIME: from many local explanations to the importance of a feature for a class, or for all."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import checks
from robust_saliency.core.tracing import widened

# (coefficients, labels, *, classes, per_class, features, num_features, occurs) -> importance.
Aggregation = Callable[..., Array]


def normlime(
  coefficients: Array,
  labels: Array,
  *,
  classes: int,
  per_class: bool = True,
  features: Array | None = None,
  num_features: int | None = None,
  occurs: Array | None = None,
) -> Array:
  """Averages |w| weighted by its share of its explanation: mean of w^2 / ||w||_1.

  The mean runs over the occurrences of a feature in explanations of the class. The sign of the
  coefficients is lost; an explanation that is all zero counts for nothing.

  Args:
    coefficients: one explanation per row, float [N, d], e.g. those of `explain_locally`.
    labels: the classes that were explained, int [N]; by custom the predicted ones.
    classes: the number K of classes (static).
    per_class: whether each class has an importance of its own; otherwise the same mean runs over
      the explanations of all classes.
    features: which shared feature each coefficient belongs to, int [N, d] or [d] (clusters of
      superpixels, say); None where feature j is the same in all explanations (pixels, grid cells).
      A feature may occur several times in an explanation.
    num_features: the number F of shared features (static); d where `features` is None.
    occurs: bool [N, d], which coefficients count as occurrences; None for those that are not 0.
      `occurs=coefficients > 0` keeps the evidence for a class, as InterpretDL does for text. The
      norm runs over all coefficients in any case.

  Returns:
    Importance [K, F], or [F] for all classes together; >= 0, and 0 for what never occurs.

  Raises:
    ValueError, TypeError: for bad arguments, in a sentence that names them.

  Source: Ahern et al. 2019, "NormLIME: a new feature importance metric for explaining deep neural
  networks"; the equation as InterpretDL and PaddleX have it.

  >>> explanations = jnp.array([[0.4, 0.1, 0.0], [-0.4, 0.0, 0.4], [0.0, 0.05, 0.0]])
  >>> normlime(explanations, jnp.zeros(3, int), classes=1).tolist()
  [[0.260, 0.035, 0.200]]
  """
  checks.array(coefficients=coefficients)
  wide = widened(coefficients)
  norms = jnp.sum(jnp.abs(wide), axis=1, keepdims=True)
  terms = wide**2 / jnp.where(norms > 0, norms, 1)
  totals, counts = feature_totals(
    terms,
    coefficients,
    labels,
    classes=classes,
    per_class=per_class,
    features=features,
    num_features=num_features,
    occurs=occurs,
  )
  return totals / jnp.maximum(counts, 1)


def feature_totals(
  terms: Array,
  coefficients: Array,
  labels: Array,
  *,
  classes: int,
  per_class: bool,
  features: Array | None,
  num_features: int | None,
  occurs: Array | None,
) -> tuple[Array, Array]:
  """Sums terms [N, d] per class and shared feature, and counts what was summed.

  Args:
    terms: what is summed, [N, d].
    coefficients: see `normlime`, as for all that follow.
    labels: int [N].
    classes: K.
    per_class: whether classes are kept apart.
    features: int [N, d] or [d], or None.
    num_features: F.
    occurs: bool [N, d], or None.

  Returns:
    Sums and counts, each [K, F] or [F].
  """
  checks.flag(per_class=per_class)
  features, num_features = _check_arguments(
    coefficients, labels, classes, features, num_features, occurs
  )
  counted = coefficients != 0 if occurs is None else occurs
  counted = counted & jnp.any(coefficients != 0, axis=1, keepdims=True)
  # Labels of 8 bits, as data sets have them, hold no number of a cell.
  labels, features = (jnp.asarray(one).astype(jnp.int32) for one in (labels, features))
  groups, rows = (classes, labels[:, None]) if per_class else (1, 0)
  cells = (rows * num_features + jnp.broadcast_to(features, coefficients.shape)).reshape(-1)

  terms = widened(terms)

  def total(values: Array) -> Array:
    values = jnp.where(counted, values, 0).reshape(-1)
    sums = jax.ops.segment_sum(values, cells, groups * num_features)
    return sums.reshape((classes, num_features) if per_class else num_features)

  return total(terms), total(jnp.ones_like(terms))


def _check_arguments(
  coefficients: Array,
  labels: Array,
  classes: int,
  features: Array | None,
  num_features: int | None,
  occurs: Array | None,
) -> tuple[Array, int]:
  checks.images(coefficients, argument="coefficients")
  if coefficients.ndim != 2:
    raise ValueError(
      f"coefficients must have shape [explanations, features], got {coefficients.shape}"
    )
  checks.count(classes=classes)
  checks.labels(labels, batch=coefficients.shape[0], classes=classes, argument="labels")
  if occurs is not None and not hasattr(occurs, "dtype"):
    raise TypeError(f"occurs must be a bool array, got {type(occurs).__name__}")
  if occurs is not None and (occurs.shape != coefficients.shape or occurs.dtype != bool):
    raise ValueError(f"occurs must be bool {coefficients.shape}, got {occurs.dtype} {occurs.shape}")
  if num_features is not None:
    checks.count(num_features=num_features)
  if features is None:
    if num_features not in (None, coefficients.shape[1]):
      raise ValueError(f"num_features must be {coefficients.shape[1]}, got {num_features}")
    return jnp.arange(coefficients.shape[1]), coefficients.shape[1]
  if num_features is None:
    raise ValueError("num_features must be given with features")
  if not hasattr(features, "shape"):
    raise TypeError(f"features must be an array of whole numbers, got {type(features).__name__}")
  if features.shape not in (coefficients.shape, coefficients.shape[1:]):
    raise ValueError(
      f"features must have shape {coefficients.shape} or {coefficients.shape[1:]}, "
      f"got {features.shape}"
    )
  checks.labels(jnp.ravel(features), batch=features.size, classes=num_features, argument="features")
  return jnp.asarray(features), num_features
