"""The two-dimensional mixture of Kim, Seo & Jeon, in which decision boundaries can be drawn."""

import numpy as np

from robust_saliency.data.dataset import Dataset, Split

MEANS = ((1.2, 0.1), (-1.2, -0.1))
COVARIANCE = ((0.1, -0.01), (-0.01, 0.002))
EXAMPLES_PER_CLASS = 3000
SEED = 0


def kim_toy() -> Dataset:
  """Two Gaussians of 3,000 points each, thin strips that a straight line separates.

  A point (a, b) is an "image" [1, 2, 1]. Both coordinates are scaled with one minimum and one
  maximum, over all points, to [-1, 1], so that the strips stay thin. The points were shuffled
  once; training then keeps their order (`shuffle: False`). The paper measures on the points that
  it trains on, so `test` holds the same points as `train`.

  Source: Kim, Seo & Jeon 2019, "Bridging adversarial robustness and gradient interpretability",
  section 2.2; numbers from the authors' notebook 4.1, drawn as there by NumPy with seed 0.

  >>> dataset = kim_toy()
  >>> dataset.image_shape, len(dataset.train), dataset.bounds
  ((1, 2, 1), 6000, (-1.0, 1.0))
  """
  random = np.random.RandomState(SEED)
  clouds = [random.multivariate_normal(mean, COVARIANCE, EXAMPLES_PER_CLASS) for mean in MEANS]
  points = np.concatenate(clouds)
  low, high = points.min(), points.max()
  points = 2 * (points - low) / (high - low) - 1
  order = random.permutation(len(points))
  everything = Split(
    points.astype(np.float32).reshape(-1, 1, 2, 1)[order],
    np.repeat(np.arange(2, dtype=np.int32), EXAMPLES_PER_CLASS)[order],
  )
  return Dataset(
    name="kim_toy",
    train=everything,
    validation=None,
    test=everything,
    classes=("right", "left"),
    bounds=(-1.0, 1.0),
  )
