"""Weighted ridge regression of predictions on masks, from sums that any number of samples share.

LIME's local model needs nothing of its samples but their weighted covariances. They are added up
block after block, so that 10,000 samples take the memory of one block, and every quantity is
centred before it is summed, so that float32 suffices (Chan et al. 1983).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import checks, full_precision
from robust_saliency.core.lapack import one_matrix_at_a_time
from robust_saliency.core.tracing import widened


class Moments(NamedTuple):
  """What a regression needs of its samples, for d features and M predictions.

  Attributes:
    weight: the sum of the samples' weights, a number.
    mask_mean: weighted mean of the masks [d].
    prediction_mean: weighted mean of the predictions [M].
    mask_products: weighted sums of products of the centred masks [d, d].
    cross_products: the same of masks with predictions [d, M].
    prediction_squares: weighted sums of squares of the centred predictions [M].
  """

  weight: Array
  mask_mean: Array
  prediction_mean: Array
  mask_products: Array
  cross_products: Array
  prediction_squares: Array


class LocalModel(NamedTuple):
  """A linear model of each of M predictions in d features.

  Attributes:
    coefficients: [M, d]; 0 for features that were not selected.
    intercept: [M].
    score: weighted R^2 [M] on the samples of the fit; 1 is a perfect fit.
    local_prediction: [M], the model's value where no feature is hidden.
  """

  coefficients: Array
  intercept: Array
  score: Array
  local_prediction: Array


def no_moments(features: int, predictions: int, dtype: jnp.dtype) -> Moments:
  """The moments of no samples."""
  return Moments(
    jnp.zeros((), dtype),
    jnp.zeros(features, dtype),
    jnp.zeros(predictions, dtype),
    jnp.zeros((features, features), dtype),
    jnp.zeros((features, predictions), dtype),
    jnp.zeros(predictions, dtype),
  )


def sample_moments(masks: Array, predictions: Array, weights: Array) -> Moments:
  """The moments of these samples.

  Args:
    masks: [N, d].
    predictions: [N, M].
    weights: [N], not negative.

  Returns:
    `Moments`.

  >>> sample_moments(jnp.eye(2), jnp.array([[1.0], [3.0]]), jnp.ones(2)).prediction_mean.tolist()
  [2.0]
  """
  weight = jnp.sum(weights)
  share = weights / _positive(weight)
  mask_mean, prediction_mean = share @ masks, share @ predictions
  masks, predictions = masks - mask_mean[None], predictions - prediction_mean[None]
  weighted = weights[:, None] * masks
  return Moments(
    weight,
    mask_mean,
    prediction_mean,
    weighted.T @ masks,
    weighted.T @ predictions,
    weights @ predictions**2,
  )


def merge_moments(a: Moments, b: Moments) -> Moments:
  """The moments of two sets of samples together.

  Source: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance", eq. 2.1.
  """
  total = a.weight + b.weight
  share = b.weight / _positive(total)
  mask_step = b.mask_mean - a.mask_mean
  prediction_step = b.prediction_mean - a.prediction_mean
  between = a.weight * share
  return Moments(
    total,
    a.mask_mean + share * mask_step,
    a.prediction_mean + share * prediction_step,
    a.mask_products + b.mask_products + between * jnp.outer(mask_step, mask_step),
    a.cross_products + b.cross_products + between * jnp.outer(mask_step, prediction_step),
    a.prediction_squares + b.prediction_squares + between * prediction_step**2,
  )


def fit(moments: Moments, *, alpha: float | Array, selected: Array | None = None) -> LocalModel:
  """Ridge regression with an unpenalised intercept, one per prediction.

  Args:
    moments: of the samples.
    alpha: the penalty, in units of the sum of the weights (traced). It is not scaled by the number
      of samples: more samples shrink the coefficients less.
    selected: bool [M, d], the features of each prediction's model, or [d] the same for all; None
      for all features.

  Returns:
    A `LocalModel`. With alpha = 0 it is least squares, which is NaN where the masks do not
    determine the coefficients.
  """
  features = moments.mask_mean.shape[0]
  if selected is None:
    selected = jnp.ones(features, bool)

  def solve(selected: Array, right: Array) -> Array:
    kept = selected[:, None] & selected[None]
    # A feature that never varies has no coefficient, and must not leave the system singular.
    varies = jnp.diag(moments.mask_products) > 0
    penalty = jnp.where(selected & varies, alpha, 1).astype(right.dtype)
    system = jnp.where(kept, moments.mask_products, 0) + jnp.diag(penalty)
    right = jnp.where(selected[:, None], right, 0)
    # Its derivative is another solution, so that what solves it needs none.
    return jax.lax.custom_linear_solve(
      lambda solution: system @ solution,
      right,
      lambda _, right: _solved(system, right),
      symmetric=True,
    )

  if selected.ndim == 1:
    coefficients = solve(selected, moments.cross_products).T
  else:
    coefficients = jax.vmap(solve)(selected, moments.cross_products.T[..., None])[..., 0]
  intercept = moments.prediction_mean - coefficients @ moments.mask_mean
  explained = jnp.sum(
    coefficients * (2 * moments.cross_products.T - coefficients @ moments.mask_products), axis=1
  )
  return LocalModel(
    coefficients,
    intercept,
    _share_explained(explained, moments),
    intercept + jnp.sum(coefficients, axis=1),
  )


@one_matrix_at_a_time
def _solved(system: Array, right: Array) -> Array:
  return jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(system, lower=True), right)


@full_precision
def weighted_ridge(
  masks: Array, predictions: Array, weights: Array, *, alpha: float | Array = 1.0
) -> LocalModel:
  """The local models of samples that are given, as `lime` computes them with scikit-learn.

  Minimises sum_n weights_n (predictions_n - b - masks_n . w)^2 + alpha ||w||^2.

  Args:
    masks: [N, d]; 1 where a feature is kept, 0 where it is hidden.
    predictions: [N, M], or [N] for one.
    weights: [N], not negative.
    alpha: the penalty, >= 0 (traced); `lime` uses 1.

  Returns:
    A `LocalModel` of M models, or of one without the axis M, in float32 at least.

  Raises:
    ValueError: for shapes that do not match, or a negative alpha.

  Source: Ribeiro et al. 2016, ""Why should I trust you?"", equation 2; `lime` 0.2.0.1.

  >>> masks = jnp.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
  >>> model = weighted_ridge(masks, masks @ jnp.array([3.0, -1.0]), jnp.ones(4), alpha=0.0)
  >>> model.coefficients.tolist(), float(model.score)
  ([3.0, -1.0], 1.0)
  """
  checks.array(masks=masks, predictions=predictions, weights=weights)
  checks.non_negative(alpha=alpha)
  checks.scalar(alpha=alpha)
  if masks.ndim != 2:
    raise ValueError(f"masks must have shape [samples, features], got {masks.shape}")
  if predictions.ndim not in (1, 2) or predictions.shape[0] != masks.shape[0]:
    raise ValueError(
      f"predictions must have one row per mask ({masks.shape[0]}), got shape {predictions.shape}"
    )
  if weights.shape != masks.shape[:1]:
    raise ValueError(f"weights must have shape ({masks.shape[0]},), got {weights.shape}")
  columns = predictions if predictions.ndim == 2 else predictions[:, None]
  columns = widened(columns)
  moments = sample_moments(masks.astype(columns.dtype), columns, weights.astype(columns.dtype))
  model = fit(moments, alpha=alpha)
  return model if predictions.ndim == 2 else jax.tree.map(lambda leaf: leaf[0], model)


def _share_explained(explained: Array, moments: Moments) -> Array:
  # Squares no larger than rounding leaves of constant predictions count as none: like
  # scikit-learn's, the score of a constant that is predicted exactly is 1.
  rounding = 4 * jnp.finfo(explained.dtype).eps * jnp.abs(moments.prediction_mean)
  squares = moments.prediction_squares
  # NaN, of a model that breaks, is no constant.
  is_constant = squares <= moments.weight * rounding**2
  return jnp.where(is_constant, 1, explained / jnp.where(is_constant, 1, squares))


def _positive(weight: Array) -> Array:
  # Weights may all underflow to 0 in a block; its moments are then 0 and not NaN.
  return jnp.maximum(weight, jnp.finfo(weight.dtype).tiny)
