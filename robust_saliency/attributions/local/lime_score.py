"""How far LIME's linear models can be believed."""

import warnings

import numpy as np
from jax import Array

from robust_saliency.core import checks

# Below this R^2 a linear model says little about the network; a rule of thumb of ours.
LOW_SCORE = 0.3


def warn_of_low_scores(scores: Array, *, threshold: float = LOW_SCORE) -> None:
  """Warns where LIME's linear models do not describe the network.

  Does nothing inside `jit`, where scores are not known: call it on what comes out.

  Args:
    scores: weighted R^2, of any shape.
    threshold: the R^2 that is high enough.

  >>> with warnings.catch_warnings(record=True) as caught:
  ...   warn_of_low_scores(np.array([0.9, 0.05]))
  >>> print(str(caught[0].message)[:77])
  LIME's linear model fits poorly for 1 of 2 explanations (weighted R^2 down to
  """
  if not checks.is_concrete(scores):
    return
  values = np.asarray(scores)
  low = int(np.sum(~(values >= threshold)))
  if low:
    warnings.warn(
      f"LIME's linear model fits poorly for {low} of {values.size} explanations (weighted R^2 "
      f"down to {values.min():.2g}, below {threshold}): their coefficients say little; try fewer "
      "or other segments, another kernel_width, or the logit as score",
      stacklevel=3,
    )
