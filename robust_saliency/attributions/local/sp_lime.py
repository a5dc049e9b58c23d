"""SP-LIME: the few explanations that together show the features that matter most."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attributions.local.normlime import feature_totals
from robust_saliency.attributions.local.normlime_alternatives import root_sum_absolute
from robust_saliency.core import checks, full_precision


class Pick(NamedTuple):
  """What SP-LIME picks.

  Attributes:
    indices: the picked explanations, int [budget], in the order of picking.
    coverage: the share of the total importance that the first 1, 2, ... picks show, [budget].
    importance: the global importance of each feature [F].
  """

  indices: Array
  coverage: Array
  importance: Array


@full_precision
def sp_lime(
  coefficients: Array,
  budget: int,
  *,
  features: Array | None = None,
  num_features: int | None = None,
) -> Pick:
  """Picks explanations one by one, each the one that adds the most importance not yet shown.

  An explanation shows a feature if its coefficient is not 0, so coefficients should be sparse
  (`max_features=` of `explain_locally`): a dense explanation shows everything by itself. Greedy
  picks reach at least 1 - 1/e of the best coverage. Among equals the first is picked (the
  package `lime` picks the last).

  Args:
    coefficients: one explanation per row, float [N, d].
    budget: how many to pick (static), 1 to N.
    features: which shared feature each coefficient belongs to, int [N, d] or [d]; see `normlime`.
    num_features: the number F of shared features (static).

  Returns:
    A `Pick`.

  Source: Ribeiro et al. 2016, ""Why should I trust you?" Explaining the predictions of any
  classifier", section 4, algorithm 2.

  >>> explanations = jnp.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
  >>> sp_lime(explanations, 2).indices.tolist()
  [2, 1]
  """
  checks.array(coefficients=coefficients)
  checks.count(budget=budget)
  if coefficients.ndim == 2 and budget > coefficients.shape[0]:
    raise ValueError(
      f"budget must be at most the number of explanations, {coefficients.shape[0]}, got {budget}"
    )
  count = coefficients.shape[0]
  importance = root_sum_absolute(
    coefficients,
    jnp.zeros(count, int),
    classes=1,
    per_class=False,
    features=features,
    num_features=num_features,
  )
  # Each explanation as a class of its own: which features does it show?
  _, counts = feature_totals(
    coefficients,
    coefficients,
    jnp.arange(count),
    classes=count,
    per_class=True,
    features=features,
    num_features=num_features,
    occurs=None,
  )
  shows = counts > 0

  def pick(state: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    left, shown = state
    gains = (shows & ~shown) @ importance
    best = jnp.argmax(jnp.where(left, gains, -1))
    shown = shown | shows[best]
    return (left.at[best].set(False), shown), (best, shown @ importance)

  initial = (jnp.ones(count, bool), jnp.zeros(importance.shape, bool))
  _, (indices, covered) = jax.lax.scan(pick, initial, length=budget)
  total = jnp.sum(importance)
  return Pick(indices, covered / jnp.where(total > 0, total, 1), importance)
