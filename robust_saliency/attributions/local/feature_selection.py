"""Which features enter a local model: the choices that the reference `lime` offers.

Each takes the moments of an image's samples and gives bool [M, d], one row per prediction.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions.local.lime_ridge import Moments, fit
from robust_saliency.core import checks

SELECTIONS = ("auto", "none", "highest_weights", "forward_selection", "lasso_path")

# As in `lime`: up to this many features, "auto" tries them one after the other.
FEW_FEATURES = 6

# The penalty of the first fit, after which the highest weights are kept; as in `lime`.
SELECTION_ALPHA = 0.01


def select_features(
  moments: Moments, *, selection: str = "auto", max_features: int | None = None
) -> Array | None:
  """Chooses the features of each prediction's model.

  Args:
    moments: of one image's samples, d features and M predictions.
    selection: "none" keeps all; "highest_weights", "forward_selection" and "lasso_path" are the
      functions of this file; "auto" is `lime`'s default: "forward_selection" up to 6 features,
      "highest_weights" beyond.
    max_features: how many to keep (static); None for all.

  Returns:
    Bool [M, d], or None for all features.

  Raises:
    ValueError: for an unknown selection.

  Source: `lime` 0.2.0.1, `lime_base.py`.

  >>> from robust_saliency.attributions.local.lime_ridge import sample_moments
  >>> masks = jnp.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
  >>> moments = sample_moments(masks, masks @ jnp.array([[3.0], [-1.0]]), jnp.ones(4))
  >>> select_features(moments, max_features=1).tolist()
  [[True, False]]
  """
  checks.one_of(selection, SELECTIONS, argument="selection")
  if max_features is not None:
    checks.count(max_features=max_features)
  features = moments.mask_mean.shape[0]
  if selection == "none" or max_features is None or max_features >= features:
    return None
  if selection == "auto":
    selection = "forward_selection" if max_features <= FEW_FEATURES else "highest_weights"
  if selection == "highest_weights":
    return highest_weights(moments, max_features)
  if selection == "forward_selection":
    return forward_selection(moments, max_features)
  return lasso_path(moments, max_features)


def highest_weights(moments: Moments, max_features: int) -> Array:
  """Fits all features with a small penalty and keeps the largest coefficients in magnitude."""
  coefficients = fit(moments, alpha=SELECTION_ALPHA).coefficients
  _, kept = jax.lax.top_k(jnp.abs(coefficients), max_features)
  return jax.vmap(lambda row: jnp.zeros(coefficients.shape[1], bool).at[row].set(True))(kept)


def forward_selection(moments: Moments, max_features: int) -> Array:
  """Adds, one at a time, the feature that raises the weighted R^2 of least squares the most.

  After a feature enters, the others' moments are replaced by those of their residuals on it, so
  every step is one comparison and no new fit.
  """

  def of_one_prediction(cross: Array) -> Array:
    variances = jnp.diag(moments.mask_products)
    # What is left of a feature that others determine is rounding, and no reason to choose it.
    rounding = 100 * jnp.finfo(cross.dtype).eps * variances

    def add_best(_: int, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
      products, cross, selected = state
      left = jnp.diag(products)
      gains = jnp.where(left > rounding, cross**2 / jnp.where(left > rounding, left, 1), 0)
      best = jnp.argmax(jnp.where(selected, -1, gains))
      usable = left[best] > rounding[best]
      row = jnp.where(usable, products[best] / jnp.where(usable, left[best], 1), 0)
      return (
        products - jnp.outer(products[best], row),
        cross - row * cross[best],
        selected.at[best].set(True),
      )

    nothing = jnp.zeros(cross.shape[0], bool)
    initial = (moments.mask_products, cross, nothing)
    return jax.lax.fori_loop(0, max_features, add_best, initial)[2]

  return jax.vmap(of_one_prediction, in_axes=1)(moments.cross_products)


def lasso_path(moments: Moments, max_features: int) -> Array:
  """The features that the lasso keeps at the weakest penalty that keeps no more than allowed.

  Computed on the host by scikit-learn, in float64, since a path's length depends on the data.

  Source: Ribeiro et al. 2016, ""Why should I trust you?"", algorithm 1 (K-LASSO).
  """
  features, predictions = moments.cross_products.shape
  return jax.pure_callback(
    lambda products, cross: _lasso_path(np.asarray(products), np.asarray(cross), max_features),
    jax.ShapeDtypeStruct((predictions, features), np.bool_),
    moments.mask_products,
    moments.cross_products,
    vmap_method="sequential",
  )


def _lasso_path(products: np.ndarray, cross: np.ndarray, max_features: int) -> np.ndarray:
  # Imported here: scikit-learn takes long to import, and only this needs it.
  from sklearn.linear_model import lars_path_gram

  selected = np.zeros(cross.T.shape, bool)
  for row, target in zip(selected, cross.T.astype(np.float64), strict=True):
    _, _, path = lars_path_gram(
      target, Gram=products.astype(np.float64), n_samples=1, method="lasso"
    )
    sizes = np.count_nonzero(path, axis=0)
    # Every path has steps that are small enough: it starts from no feature.
    row[path[:, np.flatnonzero(sizes <= max_features)[-1]] != 0] = True
  return selected
