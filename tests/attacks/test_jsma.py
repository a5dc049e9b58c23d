import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks import jsma
from robust_saliency.attacks.jsma import most_salient_pairs

KEY = jax.random.key(0)


class Network:
  """tanh(x W) V with its derivatives by hand, in float64."""

  def __init__(self, classes, seed=0):
    random = np.random.default_rng(seed)
    self.inner = random.normal(size=(12, 20)) / 2
    self.outer = random.normal(size=(20, classes))

  def logits(self, x):
    return np.tanh(x @ self.inner) @ self.outer

  def jacobian(self, x):
    """[K, N]."""
    hidden = np.tanh(x @ self.inner)
    return (self.inner @ ((1 - hidden**2)[:, None] * self.outer)).T

  def logits_fn(self, images):
    inner, outer = jnp.float32(self.inner), jnp.float32(self.outer)
    return jnp.tanh(images.reshape(len(images), -1) @ inner) @ outer


def trajectory(network, image, target, theta, gamma, bounds=(0.0, 1.0)):
  """The images after each pair, as Papernot et al. describe it and cleverhans 2.0.0 ran it."""
  low, high = bounds
  x = np.float64(image).ravel()
  domain = {i for i in range(x.size) if (x[i] < high if theta > 0 else x[i] > low)}
  images = [x.copy()]
  for _ in range(int(np.floor(x.size * gamma / 2))):
    if network.logits(x).argmax() == target or len(domain) <= 1:
      break
    jacobian = network.jacobian(x)
    alpha = jacobian[target]
    beta = jacobian.sum(axis=0) - alpha
    best, pair = 0, (0, 0)
    for i in sorted(domain):
      for j in sorted(domain):
        a, b = alpha[i] + alpha[j], beta[i] + beta[j]
        admissible = (a > 0 and b < 0) if theta > 0 else (a < 0 and b > 0)
        if i < j and admissible and -a * b > best:
          best, pair = -a * b, (i, j)
    for i in pair:
      x[i] = np.clip(x[i] + theta, low, high)
      domain.discard(i)
    images.append(x.copy())
  return images


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize(("classes", "theta"), [(10, 1.0), (10, -0.3), (2, 0.3), (2, -1.0)])
def test_every_pair_on_the_way_is_that_of_a_plain_implementation(classes, theta):
  network = Network(classes)
  random = np.random.default_rng(1)
  x = jnp.float32(random.uniform(size=(12, 2, 3, 2)))
  x = x.at[:, 0].set(x[:, 0].round())  # some pixels stand at a bound
  target = jnp.array(random.integers(0, classes, 12))
  # The share of pixels ends a search, so that growing shares show where it passes.
  gammas = jnp.arange(7) / 6
  curve = jax.jit(
    jax.vmap(
      lambda gamma: jsma(KEY, network.logits_fn, x, target, theta=theta, gamma=gamma, targeted=True)
    )
  )(gammas)
  moved = 0
  for n in range(12):
    expected = trajectory(network, x[n], int(target[n]), theta, gamma=1.0)
    expected += [expected[-1]] * (7 - len(expected))
    np.testing.assert_allclose(curve[:, n].reshape(7, 12), expected, atol=1e-5)
    moved += np.any(expected[-1] != expected[0])
  assert moved >= 4


def test_gamma_limits_the_pixels_that_change():
  network = Network(10)
  x = jnp.full((6, 2, 3, 2), 0.4)
  y = jnp.argmin(network.logits_fn(x), axis=1)
  for gamma, allowed in ((0.0, 0), (0.16, 0), (0.34, 4), (0.5, 6)):
    x_adv = jsma(KEY, network.logits_fn, x, y, gamma=gamma, theta=0.05, targeted=True)
    assert (jnp.sum(x_adv != x, axis=(1, 2, 3)) == allowed).all()
    np.testing.assert_allclose(x_adv[x_adv != x], 0.45, atol=1e-6)


def test_without_targets_the_likeliest_other_class_is_sought_until_the_model_errs():
  network = Network(5)
  x = jnp.float32(np.random.default_rng(2).uniform(size=(12, 2, 3, 2)))
  logits = network.logits_fn(x)
  order = jnp.argsort(logits, axis=1)
  y, second = order[:, -1], order[:, -2]
  untargeted = jsma(KEY, network.logits_fn, x, y, gamma=1.0)
  reached = jnp.argmax(network.logits_fn(untargeted), axis=1)
  targeted = jsma(KEY, network.logits_fn, x, second, gamma=1.0, targeted=True)
  direct = reached == second
  assert (reached != y).sum() >= 6
  assert direct.sum() >= 3
  np.testing.assert_array_equal(untargeted[direct], targeted[direct])
  # An image that the model gets wrong already is left as it is.
  np.testing.assert_array_equal(jsma(KEY, network.logits_fn, x, second), x)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("chunk_size", [1, 5])
def test_an_example_s_result_depends_neither_on_its_batch_nor_on_chunks(chunk_size):
  network = Network(10)
  x = jnp.float32(np.random.default_rng(3).uniform(size=(12, 2, 3, 2)))
  y = jnp.arange(12) % 10
  together = jsma(KEY, network.logits_fn, x, y, theta=0.2, gamma=1.0, targeted=True)
  apart = jax.jit(
    lambda x: jsma(
      KEY, network.logits_fn, x, y, theta=0.2, gamma=1.0, targeted=True, chunk_size=chunk_size
    )
  )(x)
  np.testing.assert_allclose(apart, together, atol=1e-6)


def test_pairs_are_never_stored_all_at_once():
  pixels = 32 * 32 * 3
  weights = jax.random.normal(KEY, (pixels, 10))

  def attack(x, y):
    return jsma(KEY, lambda x: jnp.tanh(x.reshape(len(x), -1) @ weights), x, y, targeted=True)

  shapes = jax.ShapeDtypeStruct((4, 32, 32, 3), jnp.float32), jax.ShapeDtypeStruct((4,), jnp.int32)
  memory = jax.jit(attack).lower(*shapes).compile().memory_analysis()
  # One float32 for every pair of one image would take 36 MiB, 144 for the four.
  assert memory.temp_size_in_bytes < 8 * 2**20


def pair_by_brute_force(towards, away, free):
  """Of one image, all pairs in float32, as the derivatives are."""
  a, b = (one[:, None] + one for one in (towards, away))
  admissible = (a > 0) & (b < 0) & free[:, None] & free & ~np.eye(len(free), dtype=bool)
  saliency = np.where(admissible, -a * b, np.float32(0))
  return np.unravel_index(np.argmax(saliency), saliency.shape)


def slopes_of_a_kind(kind, random, shape):
  towards = random.normal(size=shape)
  away = random.normal(size=shape)
  if kind == "opposed":  # what raises the target raises the others, so that few pairs help at all
    away = 9 * towards + 0.1 * away
  elif kind == "aligned":
    away = -towards + 0.1 * away
  elif kind == "few values":  # so that many pairs are equal
    towards, away = towards.round(), away.round()
  elif kind == "near ties":  # sums round to the same number
    towards, away = 1 + 1e-7 * towards, -1 + 1e-7 * away
  elif kind == "mostly zero":
    towards, away = (np.where(random.uniform(size=shape) < 0.9, 0, one) for one in (towards, away))
  elif kind == "broken":
    towards, away = (
      np.where(
        random.uniform(size=shape) < 0.2, random.choice([np.nan, np.inf, -np.inf], shape), one
      )
      for one in (towards, away)
    )
  return np.float32(towards), np.float32(away)


@pytest.mark.parametrize(
  "kind", ["independent", "opposed", "aligned", "few values", "near ties", "mostly zero", "broken"]
)
def test_the_pair_is_exactly_the_one_that_looking_at_all_pairs_finds(kind):
  random = np.random.default_rng(len(kind))
  search = jax.jit(most_salient_pairs)
  for size in (2, 3, 64, 147):
    towards, away = slopes_of_a_kind(kind, random, (20, size))
    free = random.uniform(size=(20, size)) < random.uniform(size=(20, 1)) + 0.2
    p, q = search(towards, away, free)
    with np.errstate(invalid="ignore"):
      expected = [pair_by_brute_force(*one) for one in zip(towards, away, free, strict=True)]
    np.testing.assert_array_equal(np.stack([p, q], axis=1), expected)


def test_an_empty_batch_gives_an_empty_batch():
  network = Network(10)
  inner, outer = jnp.float32(network.inner), jnp.float32(network.outer)
  empty = jsma(
    KEY,
    lambda images: images.reshape(-1, 12) @ inner @ outer,
    jnp.zeros((0, 2, 3, 2)),
    jnp.zeros(0, int),
  )
  assert empty.shape == (0, 2, 3, 2)


def test_among_equal_pairs_the_first_is_chosen_and_none_gives_pixel_0():
  ones = jnp.ones((3, 5))
  free = jnp.array([[True] * 5, [False, True, False, True, True], [True] * 5])
  p, q = most_salient_pairs(ones, ones * jnp.array([[-1], [-1], [1]]), free)
  assert p.tolist() == [0, 1, 0]
  assert q.tolist() == [1, 3, 0]


def test_an_image_on_which_the_model_gives_nan_stays_finite():
  network = Network(10)
  x = jnp.full((2, 2, 3, 2), 0.4)

  def breaks(images):
    return network.logits_fn(images).at[0].set(jnp.nan)

  x_adv = jsma(KEY, breaks, x, jnp.array([3, 3]), targeted=True)
  assert np.isfinite(x_adv).all()
  intact = jsma(KEY, network.logits_fn, x, jnp.array([3, 3]), targeted=True)
  np.testing.assert_array_equal(x_adv[1], intact[1])


@pytest.mark.parametrize(
  ("arguments", "error", "sentence"),
  [
    ({"theta": 0.0}, ValueError, "theta must be != 0, got 0.0"),
    ({"theta": np.nan}, ValueError, "theta must be != 0, got nan"),
    ({"gamma": 1.5}, ValueError, "gamma must be between 0 and 1, got 1.5"),
    ({"gamma": jnp.ones(2)}, ValueError, "gamma must be one number"),
    ({"bounds": (1.0, 0.0)}, ValueError, "bounds must be finite with low < high"),
    ({"chunk_size": 0}, ValueError, "chunk_size must be >= 1, got 0"),
  ],
)
def test_a_bad_argument_is_refused_in_one_sentence(network, arguments, error, sentence):
  with pytest.raises(error, match=sentence):
    jsma(KEY, *network, **arguments)
