"""What LIME warns of: explanations that look like any other and say little."""

import warnings

import numpy as np
from jax import Array

from robust_saliency.core import checks

# Below this R^2 a linear model describes less than half of what the network does; a rule of thumb
# of ours, like the number of samples for each feature.
LOW_SCORE = 0.5
FEW_SAMPLES = 10


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
  checks.array(scores=scores)
  checks.finite(threshold=threshold)
  checks.scalar(threshold=threshold)
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


def warn_of_few_samples(x: Array, *, samples: int, features: int) -> None:
  """Warns where a linear model of so many features fits any samples.

  Args:
    x: the images; inside `jit`, where they are not known, nothing is warned of.
    samples: masked images per example.
    features: segments of an image.
  """
  if checks.is_concrete(x) and samples < FEW_SAMPLES * features:
    warnings.warn(
      f"LIME fits {features} features to {samples} samples, fewer than {FEW_SAMPLES} for each: its "
      f"coefficients are noisy and its R^2 flatters; give samples={FEW_SAMPLES * features}, or "
      "fewer segments",
      stacklevel=4,
    )


def warn_of_nothing_hidden(
  x: Array, fill: Array | None, labels: Array | np.ndarray, features: int
) -> None:
  """Warns where an image stays what it is, whatever is hidden, and where single segments must.

  Args:
    x: images [B, H, W, C]; inside `jit`, where they are not known, nothing is warned of.
    fill: what is seen in place of a hidden segment, [B, H, W, C] or [H, W, C]; None for means.
    labels: of the segments, int [B, H, W] or [H, W].
    features: how many labels there are.
  """
  if not all(map(checks.is_concrete, (x, fill, labels))) or not x.size:
    return
  rows = np.asarray(labels).reshape(-1, x.shape[1] * x.shape[2])
  images = np.asarray(x).reshape(x.shape[0], rows.shape[1], -1)
  shown = _first_colours(images, rows) if fill is None else np.broadcast_to(fill, x.shape)
  same = np.all(images == shown.reshape(images.shape), axis=(1, 2))
  if same.any():
    warnings.warn(
      f"LIME hides nothing in {same.sum()} of {same.size} images, which equal their fill: their "
      "coefficients are 0; give another fill, a number or an image that differs from them"
      + (", or larger segments" if fill is None else ""),
      stacklevel=4,
    )
  elif fill is None and len(rows) == 1:
    _warn_of_single_pixels(rows[0], features)


def _first_colours(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """The colour of the first pixel of each pixel's segment: the mean's, where all are the same."""
  firsts = []
  for row in labels:
    _, first, inverse = np.unique(row, return_index=True, return_inverse=True)
    firsts.append(first[inverse.reshape(-1)])
  return np.take_along_axis(images, np.stack(firsts)[..., None], axis=1)


def _warn_of_single_pixels(labels: np.ndarray, features: int) -> None:
  single = int(np.sum(np.bincount(labels, minlength=features) == 1))
  if single:
    warnings.warn(
      f"LIME's fill='mean' cannot hide {single} of {features} segments, which are one pixel each: "
      "their coefficients are noise around 0; give fill a number or an image, or fewer cells",
      stacklevel=5,
    )
