import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attributions import feature_ablation, occlusion
from robust_saliency.attributions.local.superpixels import grid

KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(1).uniform(size=(3, 7, 5, 2)), jnp.float32)
Y = jnp.array([0, 2, 1])
WEIGHTS = jnp.asarray(np.random.default_rng(2).normal(size=(70, 3)), jnp.float32)


def curved(x):
  return jnp.tanh(x.reshape(len(x), -1) @ WEIGHTS / 4) * 3


def losses(hide, baseline):
  """score(x) - score(hidden x), where `hide` is bool [B, H, W]."""
  hidden = np.where(hide[..., None], np.broadcast_to(baseline, X.shape), X)
  rows = np.arange(3)
  return np.asarray(curved(X))[rows, Y] - np.asarray(curved(hidden))[rows, Y]


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize(
  ("window", "stride"),
  [(1, 1), (2, 2), (3, 2), ((3, 5), (3, 1)), ((7, 5), 1), (4, 3), ((2, 3), (1, 2))],
)
@pytest.mark.parametrize("baseline", [0.0, "image", "each"])
def test_occlusion_is_the_mean_loss_over_the_windows_on_a_pixel(window, stride, baseline):
  baseline = {"image": X[0] * 0.5, "each": X[::-1] * 0.9}.get(baseline, 0.0)
  (height, width), (down, right) = (
    (sides, sides) if isinstance(sides, int) else sides for sides in (window, stride)
  )
  total, count = np.zeros((3, 7, 5)), np.zeros((7, 5))
  tops, lefts = (
    range(0, side - size + step, step)
    for side, size, step in ((7, height, down), (5, width, right))
  )
  for top in tops:
    for left in lefts:
      inside = np.zeros((7, 5), bool)
      inside[top : top + height, left : left + width] = True
      loss = losses(np.broadcast_to(inside, (3, 7, 5)), baseline)
      total += loss[:, None, None] * inside
      count += inside
  assert count.min() >= 1
  maps = occlusion(KEY, curved, X, Y, window=window, stride=stride, baseline=baseline)
  for channel in range(2):
    np.testing.assert_allclose(maps[..., channel], total / count, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("own_segments", [False, True])
def test_feature_ablation_is_the_loss_of_each_segment(own_segments):
  labels = np.random.default_rng(0).integers(0, 6, (3, 7, 5))
  labels = labels if own_segments else np.broadcast_to(labels[:1], labels.shape)
  expected = np.zeros((3, 7, 5))
  for j in range(6):
    expected += losses(labels == j, 0.3)[:, None, None] * (labels == j)
  segments = labels if own_segments else labels[0]
  maps = feature_ablation(KEY, curved, X, Y, segments=segments, baseline=0.3)
  for channel in range(2):
    np.testing.assert_allclose(maps[..., channel], expected, rtol=1e-4, atol=1e-5)


def test_ablating_the_cells_of_a_grid_is_occlusion_by_tiles():
  x = jax.random.uniform(KEY, (2, 6, 6, 1))

  def network(x):
    return jnp.tanh(x.reshape(len(x), -1) @ WEIGHTS[:36])

  by_segments = feature_ablation(KEY, network, x, Y[:2], segments=grid(x, cells=3))
  by_windows = occlusion(KEY, network, x, Y[:2], window=2, stride=2)
  np.testing.assert_allclose(by_segments, by_windows, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("method", [occlusion, feature_ablation])
@pytest.mark.parametrize("chunk_size", [1, 2, 10])
def test_chunks_change_nothing(method, chunk_size):
  settings = {"segments": np.arange(35).reshape(7, 5)} if method is feature_ablation else {}
  whole = method(KEY, curved, X, Y, **settings)
  chunks = jax.jit(lambda x: method(KEY, curved, x, Y, chunk_size=chunk_size, **settings))(X)
  np.testing.assert_allclose(chunks, whole, rtol=1e-4, atol=1e-5)


def test_labels_may_be_traced():
  labels = np.arange(35).reshape(7, 5) % 4

  @jax.jit
  def explain(labels):
    return feature_ablation(KEY, curved, X, Y, segments=labels, num_segments=4)

  expected = feature_ablation(KEY, curved, X, Y, segments=labels)
  np.testing.assert_allclose(explain(labels), expected, rtol=1e-5, atol=1e-6)


def test_pixels_that_do_not_count_get_nothing():
  def upper(x):
    return curved(x.at[:, 4:].set(0))

  assert not occlusion(KEY, upper, X, Y, window=1, stride=1)[:, 4:].any()


@pytest.mark.parametrize(
  ("method", "change", "error", "sentence"),
  [
    (occlusion, {"window": 6}, ValueError, "window must fit into the images of 7 x 5, got 6"),
    (occlusion, {"window": 2, "stride": 3}, ValueError, "stride must be at most window, 2, got 3"),
    (occlusion, {"window": 0}, ValueError, "window must be >= 1, got 0"),
    (occlusion, {"stride": 1.5}, TypeError, "stride must be a pair of whole numbers or one"),
    (occlusion, {"window": (1, 2, 3)}, TypeError, "window must be a pair of whole numbers or one"),
    (occlusion, {"baseline": np.zeros(3)}, ValueError, "baseline must broadcast"),
    (feature_ablation, {"segments": "slik"}, ValueError, "did you mean 'slic'"),
    (feature_ablation, {"segments": np.zeros((2, 2), int)}, ValueError, "segments must have shape"),
  ],
)
def test_bad_arguments_end_in_a_sentence(method, change, error, sentence):
  with pytest.raises(error, match=sentence):
    method(KEY, curved, X, Y, **change)
