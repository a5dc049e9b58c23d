import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks.square_updates import pair_of_pyramids, share_of_pixels, updates_of
from robust_saliency.core import L1, L2, LINF

IMAGE = jnp.asarray(np.random.default_rng(1).uniform(0.4, 0.6, (7, 6, 3)), jnp.float32)


def pyramid_of_the_paper(h1, h2):
  """Equation 2, with its own indices, which start at 1."""
  n = max(h1, h2) // 2
  eta = np.zeros((h1, h2))
  for r in range(1, h1 + 1):
    for s in range(1, h2 + 1):
      m = n - max(abs(r - h1 // 2 - 1), abs(s - h2 // 2 - 1))
      eta[r - 1, s - 1] = sum(1 / (n + 1 - k) ** 2 for k in range(m + 1))
  return eta


@pytest.mark.parametrize("side", [2, 3, 5, 8, 9])
def test_pyramids_are_those_of_equation_2(side):
  i, j = jnp.mgrid[:11, :12]
  ours = pair_of_pyramids(i - 1, j - 2, side)
  upper, lower = pyramid_of_the_paper(side // 2, side), pyramid_of_the_paper(-(-side // 2), side)
  expected = np.zeros((11, 12))
  expected[1 : 1 + side, 2 : 2 + side] = np.concatenate(
    [upper / np.linalg.norm(upper), -lower / np.linalg.norm(lower)]
  )
  np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_the_share_of_pixels_is_halved_when_the_paper_says():
  # With 10,000 queries: after the first 10, 50, 200, ..., each time counted from 0.
  halved = np.array([11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001])
  shares = jax.vmap(lambda i: share_of_pixels(i, 10_000, 0.8))(jnp.arange(10_000))
  expected = [0.8 / 2 ** np.sum(i >= halved) for i in range(10_000)]
  np.testing.assert_allclose(shares, expected, rtol=1e-6)
  # A tenth of the queries passes through the same stages ten times as fast.
  tenth = jax.vmap(lambda i: share_of_pixels(i, 1_000, 0.8))(jnp.arange(1_000))
  np.testing.assert_allclose(tenth, shares[::10], rtol=1e-6)


def changed(norm, side, epsilon=0.1):
  moves = updates_of(norm, epsilon, (0.0, 1.0))
  numbers = jax.random.uniform(jax.random.key(0), (200, moves.count(IMAGE.shape)))
  start = moves.start(numbers[0], IMAGE)
  updates = jax.jit(jax.vmap(lambda numbers: moves.update(numbers, IMAGE, start, side)))(numbers)
  return np.asarray(start - IMAGE), np.asarray(updates - IMAGE)


def test_flat_squares_have_one_sign_per_channel_and_reach_every_place():
  start, updates = changed(LINF, side=3)
  np.testing.assert_allclose(np.abs(start), 0.1, atol=1e-6)
  np.testing.assert_array_equal(np.sign(start), np.sign(start[:1]).repeat(7, axis=0))
  np.testing.assert_allclose(np.abs(updates), 0.1, atol=1e-6)
  differs = np.abs(updates - start) > 0.1
  rows, columns = differs.any((2, 3)).sum(axis=1), differs.any((1, 3)).sum(axis=1)
  assert rows.max() == 3
  assert columns.max() == 3
  # The rarest pixel, a corner, lies in 1 of the 20 places.
  assert differs.any((0, 3)).all()


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "order"), [(L2, 2), (L1, 1)])
def test_pyramids_fill_the_ball(norm, order):
  start, updates = changed(norm, side=3)
  for delta in (start, *updates):
    np.testing.assert_allclose(np.linalg.norm(delta.ravel(), order), 0.1, rtol=1e-4)
  differs = np.abs(updates - start) > 1e-4
  # l2 is scaled back to the ball as a whole, so that pixels far away may change a little.
  assert (differs.sum((1, 2, 3)) > 0).all()


@pytest.mark.parametrize("norm", [LINF, L2, L1])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 9), (28, 28)])
def test_sides_fit_the_image(norm, size):
  side = updates_of(norm, 0.1, (0.0, 1.0)).side
  sides = [int(side(jnp.float32(share), size)) for share in (0.0, 0.01, 0.5, 1.0)]
  assert min(sides) >= 1
  assert max(sides) <= min(size)
  if size == (28, 28):
    assert sides == {"linf": [1, 3, 20, 28]}.get(norm.name, [3, 3, 21, 27])
