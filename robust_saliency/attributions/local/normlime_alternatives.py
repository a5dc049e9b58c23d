"""Other ways from local explanations to global importance, with the signature of `normlime`.

They answer the question whether NormLIME's weighting by share matters.
"""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from jax import Array

from robust_saliency.attributions.local.normlime import Aggregation, feature_totals, normlime
from robust_saliency.core import checks
from robust_saliency.core.tracing import widened
from robust_saliency.core.variants import variant_of

# (terms [N, d]) -> their sums and counts per class and feature, as of `feature_totals`.
Totals = Callable[..., tuple[Array, Array]]


def _aggregated(
  formula: Callable[[Array, Totals], Array],
  coefficients: Array,
  labels: Array,
  *,
  classes: int,
  per_class: bool = True,
  features: Array | None = None,
  num_features: int | None = None,
  occurs: Array | None = None,
) -> Array:
  checks.array(coefficients=coefficients)
  totals = partial(
    feature_totals,
    coefficients=coefficients,
    labels=labels,
    classes=classes,
    per_class=per_class,
    features=features,
    num_features=num_features,
    occurs=occurs,
  )
  return formula(coefficients, totals)


def _mean(totals: tuple[Array, Array]) -> Array:
  sums, counts = totals
  return sums / jnp.maximum(counts, 1)


def _root_of_sum(totals: tuple[Array, Array]) -> Array:
  sums, _ = totals
  return jnp.sqrt(sums)


@variant_of(_aggregated)
def mean_absolute(w: Array, totals: Totals) -> Array:
  """The mean of |w| over a feature's occurrences.

  Takes the arguments of `normlime`.

  Returns:
    Importance [K, F], or [F] for all classes together.

  Source: "avg" in InterpretDL's global interpreters.

  >>> explanations = jnp.array([[1.0, -4.0], [3.0, 0.0]])
  >>> mean_absolute(explanations, jnp.zeros(2, int), classes=1).tolist()
  [[2.0, 4.0]]
  """
  return _mean(totals(jnp.abs(w)))


@variant_of(_aggregated)
def mean_square(w: Array, totals: Totals) -> Array:
  """The mean of w^2 over a feature's occurrences: NormLIME without the norm.

  Takes the arguments of `normlime`.

  Returns:
    Importance [K, F], or [F] for all classes together.

  >>> explanations = jnp.array([[1.0, -4.0], [3.0, 0.0]])
  >>> mean_square(explanations, jnp.zeros(2, int), classes=1).tolist()
  [[5.0, 16.0]]
  """
  return _mean(totals(widened(w) ** 2))


@variant_of(_aggregated)
def root_sum_absolute(w: Array, totals: Totals) -> Array:
  """The root of the sum of |w|, the importance that SP-LIME covers.

  A sum, so that it grows with the number of a feature's occurrences.

  Takes the arguments of `normlime`.

  Returns:
    Importance [K, F], or [F] for all classes together.

  Source: Ribeiro et al. 2016, ""Why should I trust you?"", section 4; per class van der Linden et
  al. 2019, "Global aggregations of local explanations for black box models".

  >>> explanations = jnp.array([[1.0, -4.0], [3.0, 0.0]])
  >>> root_sum_absolute(explanations, jnp.zeros(2, int), classes=1).tolist()
  [[2.0, 2.0]]
  """
  return _root_of_sum(totals(jnp.abs(w)))


@variant_of(_aggregated)
def homogeneity_weighted(w: Array, totals: Totals) -> Array:
  """`root_sum_absolute` times (1 - H), where H says how evenly a feature matters to all classes.

  H is the Shannon entropy of the feature's importance over the classes, scaled over the features
  that occur from 0 (the least even) to 1 (the most even). Features that speak for one class count
  fully, those that speak for all of them not at all.

  Takes the arguments of `normlime`.

  Returns:
    Importance [K, F], or [F] for all classes together.

  Source: van der Linden et al. 2019, "Global aggregations of local explanations for black box
  models".

  >>> explanations = jnp.array([[1.0, 1.0], [0.0, 1.0]])
  >>> homogeneity_weighted(explanations, jnp.array([0, 1]), classes=2).tolist()
  [[1.0, 0.0], [0.0, 0.0]]
  """
  of_classes = _root_of_sum(totals(jnp.abs(w), per_class=True))
  sums = jnp.sum(of_classes, axis=0)
  occurring = sums > 0
  shares = of_classes / jnp.where(occurring, sums, 1)
  logarithms = jnp.log(jnp.where(shares > 0, shares, 1))
  entropy = -jnp.sum(shares * logarithms, axis=0)
  lowest = jnp.min(jnp.where(occurring, entropy, jnp.inf))
  spread = jnp.max(jnp.where(occurring, entropy, -jnp.inf)) - lowest
  # Where all features are equally even, up to rounding, there is nothing to weight.
  differ = spread > 100 * jnp.finfo(entropy.dtype).eps
  evenness = jnp.where(differ, (entropy - lowest) / jnp.where(differ, spread, 1), 0)
  return (1 - jnp.where(occurring, evenness, 0)) * _root_of_sum(totals(jnp.abs(w)))


AGGREGATIONS: dict[str, Aggregation] = {
  "normlime": normlime,
  "mean_absolute": mean_absolute,
  "mean_square": mean_square,
  "root_sum_absolute": root_sum_absolute,
  "homogeneity_weighted": homogeneity_weighted,
}
