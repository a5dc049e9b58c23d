import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attributions import gradient, sensitivity_max, smoothgrad

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(0.5, 1, size=(3, 2, 3, 1)).astype(np.float32)
Y = jnp.array([2, 0, 1])
WEIGHTS = RANDOM.normal(size=(6, 3)).astype(np.float32)


def linear(x):
  return x.reshape(len(x), -1) @ WEIGHTS


def squares(x):
  return jnp.tile(jnp.sum(x**2, axis=(1, 2, 3))[:, None], 3)


@pytest.mark.parametrize("attribution", [gradient, lambda *model: smoothgrad(*model, samples=3)])
def test_a_map_that_does_not_depend_on_the_image_has_none(attribution):
  found = sensitivity_max(KEY, linear, X, Y, attribution=attribution, radius=0.3)
  np.testing.assert_allclose(found, 0, atol=1e-6)


def test_of_a_quadratic_it_is_the_length_of_the_largest_draw_relative_to_the_image():
  # ||2 (x + d) - 2 x|| / ||2 x||, below the ball's corner and above the mean of one draw.
  lengths = np.sqrt(np.sum(X.astype(np.float64) ** 2, axis=(1, 2, 3)))
  found = sensitivity_max(KEY, squares, X, Y, radius=0.1, samples=500) * lengths
  assert (found < 0.1 * np.sqrt(6)).all()
  assert (found > 0.1 * np.sqrt(6 / 3) * 1.2).all()
  np.testing.assert_allclose(
    sensitivity_max(KEY, squares, X, Y, radius=0.2, samples=500) * lengths, 2 * found, rtol=1e-3
  )


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("chunk_size", [1, 2, 8])
def test_chunks_and_the_other_images_change_nothing(chunk_size):
  keys = jax.random.split(KEY, 3)
  whole = sensitivity_max(keys, squares, X, Y, samples=5)
  chunked = sensitivity_max(keys, squares, X, Y, samples=5, chunk_size=chunk_size)
  np.testing.assert_allclose(chunked, whole, rtol=1e-5)
  alone = sensitivity_max(keys[1:2], squares, X[1:2], Y[1:2], samples=5)
  np.testing.assert_allclose(alone[0], whole[1], rtol=1e-5)


def test_what_gives_no_map_is_refused():
  with pytest.raises(ValueError, match="attribution must give maps of the images' shape"):
    sensitivity_max(KEY, squares, X, Y, attribution=lambda key, f, x, y: x[..., 0])


@pytest.mark.peers
def test_it_is_captum_s_on_the_same_draws():
  torch = pytest.importorskip("torch")
  metrics = pytest.importorskip("captum.metrics")
  index = iter(range(5))
  x = X[:1].reshape(1, 6)
  seen = []

  def noting(key, logits_fn, images, y):
    jax.debug.callback(lambda one: seen.append(np.asarray(one)), images)
    return gradient(key, logits_fn, images, y)

  found = sensitivity_max(
    KEY, lambda x: jnp.sin(x**2 @ WEIGHTS), x, Y[:1], attribution=noting, radius=0.1, samples=5
  )
  jax.effects_barrier()
  moved = [one for one in seen if not np.array_equal(one, x)]
  assert len(moved) == 5

  def network(x):
    return torch.sin(x**2 @ torch.tensor(WEIGHTS))

  def slopes(inputs, target):
    inputs = inputs[0] if isinstance(inputs, tuple) else inputs
    inputs = inputs.detach().clone().requires_grad_(True)
    with torch.enable_grad():
      return torch.autograd.grad(network(inputs)[:, int(Y[0])].sum(), inputs)

  expected = metrics.sensitivity_max(
    slopes,
    torch.tensor(x),
    perturb_func=lambda inputs, perturb_radius: (torch.tensor(moved[next(index)]),),
    n_perturb_samples=5,
    max_examples_per_batch=1,
    target=int(Y[0]),
  )
  np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3)


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_the_size_of_a_network_s_logits_does_not_matter(scale):
  found, other = (
    sensitivity_max(KEY, lambda x, s=s: s * jnp.tanh(linear(x)), X, Y, samples=3)
    for s in (1, np.float32(scale))
  )
  np.testing.assert_allclose(other, found, rtol=1e-4)


def test_where_no_map_changes_its_gradient_is_zero():
  def sensitivity(weights):
    return sensitivity_max(KEY, lambda x: x.reshape(3, 6) @ weights, X, Y, samples=2).sum()

  value, slope = jax.value_and_grad(sensitivity)(WEIGHTS)
  np.testing.assert_allclose(value, 0, atol=1e-6)
  assert np.isfinite(slope).all()
