import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import core
from robust_saliency.attributions import gradient, infidelity

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(size=(3, 2, 3, 1)).astype(np.float32)
Y = jnp.array([2, 0, 1])
WEIGHTS = RANDOM.normal(size=(6, 3)).astype(np.float32)
SLOPES = jnp.asarray(WEIGHTS.T[np.asarray(Y)].reshape(X.shape))


def linear(x):
  return x.reshape(len(x), -1) @ WEIGHTS


def quadratic(x):
  return linear(x**2)


@pytest.mark.parametrize("noise_level", [0.5])
@pytest.mark.parametrize("scaled", [False, True])
def test_the_gradient_of_a_linear_network_has_none(scaled, noise_level):
  maps = gradient(KEY, linear, X, Y)
  found = infidelity(KEY, linear, X, Y, maps, noise_level=noise_level, scaled=scaled)
  np.testing.assert_allclose(found, 0, atol=1e-5)


def test_that_of_another_map_of_a_linear_network_is_the_distance_of_their_numbers():
  maps = RANDOM.normal(size=X.shape).astype(np.float32)
  # E<I, a - w>^2 = sigma^2 ||a - w||^2, with a standard deviation of sqrt(2 / N) of itself.
  expected = 0.3**2 * np.sum((maps - SLOPES) ** 2, axis=(1, 2, 3))
  found = infidelity(KEY, linear, X, Y, maps, noise_level=0.3, samples=20_000)
  np.testing.assert_allclose(found, expected, rtol=4.5 * np.sqrt(2 / 20_000))


def test_of_one_perturbation_it_is_its_definition():
  def half(key, image):
    return image / 2

  maps = gradient(KEY, quadratic, X, Y)
  said = np.sum(np.asarray(maps, np.float64) * X / 2, axis=(1, 2, 3))
  of = np.asarray(Y), np.arange(3)
  logits = [np.asarray(quadratic(x), np.float64)[of[1], of[0]] for x in (X, X / 2)]
  expected = (said - (logits[0] - logits[1])) ** 2
  found = infidelity(KEY, quadratic, X, Y, maps, perturbation=half, samples=2)
  np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [-3.0, 0.01, 50.0, 1e-22, 1e22])
def test_scaled_by_least_squares_the_size_of_a_map_does_not_matter(factor):
  maps = gradient(KEY, quadratic, X, Y)
  found, other = (
    infidelity(KEY, quadratic, X, Y, one, scaled=True) for one in (maps, factor * maps)
  )
  np.testing.assert_allclose(other, found, rtol=1e-3, atol=1e-5)
  best = min(
    float(infidelity(KEY, quadratic, X, Y, beta * maps)[0]) for beta in np.linspace(0.5, 1.5, 21)
  )
  assert found[0] <= best + 1e-6


def test_a_map_of_zeros_explains_nothing_of_the_change():
  zero = jnp.zeros_like(X)
  plain, scaled = (infidelity(KEY, linear, X, Y, zero, scaled=one) for one in (False, True))
  np.testing.assert_allclose(plain, scaled, rtol=1e-5)
  assert (plain > 0).all()


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("chunk_size", [1, 2, 8])
def test_chunks_and_the_other_images_change_nothing(chunk_size):
  keys = jax.random.split(KEY, 3)
  maps = gradient(KEY, quadratic, X, Y)
  whole = infidelity(keys, quadratic, X, Y, maps, samples=5)
  chunked = infidelity(keys, quadratic, X, Y, maps, samples=5, chunk_size=chunk_size)
  np.testing.assert_allclose(chunked, whole, rtol=1e-4)
  alone = infidelity(keys[1:2], quadratic, X[1:2], Y[1:2], maps[1:2], samples=5)
  np.testing.assert_allclose(alone[0], whole[1], rtol=1e-4)


def test_a_perturbation_of_another_shape_is_refused():
  with pytest.raises(ValueError, match="perturbation must map an image"):
    infidelity(KEY, linear, X, Y, SLOPES, perturbation=lambda key, image: image[..., 0])


@pytest.mark.peers
@pytest.mark.parametrize("scaled", [False, True])
def test_it_is_captum_s_on_the_same_perturbations(scaled):
  torch = pytest.importorskip("torch")
  metrics = pytest.importorskip("captum.metrics")
  keys = core.example_keys(KEY, 3)
  draws = np.array(
    [[0.2 * jax.random.normal(jax.random.fold_in(k, n), (6,)) for k in keys] for n in range(8)]
  )
  index = iter(range(8))

  def perturb(inputs):
    taken = torch.tensor(draws[next(index)])
    return taken, inputs - taken

  x = X.reshape(3, 6)
  maps = gradient(KEY, lambda x: jnp.sin(0.3 * x**2 @ WEIGHTS), x, Y)
  expected = metrics.infidelity(
    lambda x: torch.sin(0.3 * x**2 @ torch.tensor(WEIGHTS)),
    perturb,
    torch.tensor(x),
    torch.tensor(np.asarray(maps)),
    target=torch.tensor(np.asarray(Y)),
    n_perturb_samples=8,
    max_examples_per_batch=3,
    normalize=scaled,
  )
  found = infidelity(
    KEY, lambda x: jnp.sin(0.3 * x**2 @ WEIGHTS), x, Y, maps, samples=8, scaled=scaled
  )
  np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-6)
