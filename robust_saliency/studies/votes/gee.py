"""Generalised estimating equations, shown beside the tests that decide.

A logistic model of each vote with participants as clusters, exchangeable within them, and Mancl
and DeRouen's covariance, which is less biased where clusters are few. With so few people as a study
has, its own p-values are approximate, so no verdict rests on them.
"""

from typing import Any

import numpy as np

PACKAGE = "statsmodels"
MISSING = f"not computed: {PACKAGE} is not installed (pip install {PACKAGE})"
# Participants: of fewer, the covariance says nothing, however it is corrected.
FEWEST = 4


def compare(votes: np.ndarray, reference: float | None = None) -> dict[str, Any]:
  """The log odds of votes, or how they differ between the first and the second of two.

  Args:
    votes: 0 and 1, [condition, vote, participant], of one condition or two.
    reference: of one condition, the probability that it is compared with.

  Returns:
    "estimate" (a difference of log odds), "low" and "high" (95 %), "p", all numbers; or "missing",
    a sentence that says why there are none.

  Source: Liang & Zeger 1986, "Longitudinal data analysis using generalized linear models"; Mancl &
  DeRouen 2001, "A covariance estimator for GEE with improved small-sample properties".
  """
  try:
    from statsmodels.genmod.cov_struct import Exchangeable
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_estimating_equations import GEE
  except ImportError:
    return {"missing": MISSING}
  conditions, each, people = votes.shape
  if people < FEWEST:
    return {"missing": f"not computed: {people} participants are too few"}
  flat = votes.transpose(2, 0, 1).reshape(people, -1)
  if any(of.min() == of.max() for of in votes):
    return {"missing": "not computed: all votes are equal, so that the log odds are infinite"}
  first = np.tile(np.repeat(np.arange(conditions) == 0, each), people).astype(float)
  design = np.ones((flat.size, 1)) if conditions == 1 else np.stack([np.ones(flat.size), first], 1)
  offset = 0.0 if reference is None else float(np.log(reference / (1 - reference)))
  model = GEE(
    flat.ravel(),
    design,
    groups=np.repeat(np.arange(people), flat.shape[1]),
    offset=np.full(flat.size, offset),
    family=Binomial(),
    cov_struct=Exchangeable(),
  )
  try:
    with np.errstate(all="ignore"):
      fitted = model.fit(cov_type="bias_reduced")
      low, high = fitted.conf_int()[-1]
      found = [float(fitted.params[-1]), float(low), float(high), float(fitted.pvalues[-1])]
  except (ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
    return {"missing": f"not computed: {' '.join(str(error).split())[:100]}"}
  if not np.isfinite(found).all():
    return {"missing": "not computed: it has not converged"}
  return dict(zip(("estimate", "low", "high", "p"), found, strict=True))
