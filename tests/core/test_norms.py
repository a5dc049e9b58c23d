import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from robust_saliency.core import NORMS, get_norm

ORDERS = {"linf": np.inf, "l2": 2, "l1": 1}
DUALS = {"linf": 1, "l2": 2, "l1": np.inf}
SIZE = 12

# Relative to the radius, however large the projected vector: some units in float32's last place.
TOLERANCE = 1e-5

vectors = hnp.arrays(
  np.float32, SIZE, elements=st.floats(-8, 8, width=32, allow_subnormal=False)
) | st.just(np.zeros(SIZE, np.float32))
scales = st.sampled_from([1e-30, 1e-20, 1e-3, 1.0, 1e10, 1e20, 1e30])
radii = st.sampled_from([0.0, 1e-3, 0.5, 1.0, 3.0, 100.0])
each_norm = pytest.mark.parametrize("name", NORMS)
examples = settings(max_examples=60, deadline=None, derandomize=True)

project = {name: jax.jit(norm.project) for name, norm in NORMS.items()}
steepest = {name: jax.jit(norm.steepest) for name, norm in NORMS.items()}
length = {name: jax.jit(norm.length) for name, norm in NORMS.items()}


def scaled(v, scale):
  """v times scale, without the numbers so small that XLA takes them for zero."""
  v = v * np.float32(scale)
  return np.where(np.abs(v) < 1e-36, np.float32(0), v)


def nearest_point(v, radius, name):
  """The projection in float64, by the textbook: clipping, rescaling, or bisecting a threshold."""
  v = v.astype(np.float64)
  if name == "linf":
    return np.clip(v, -radius, radius)
  if name == "l2":
    return v * min(1.0, radius / max(np.linalg.norm(v), 1e-300))
  if np.abs(v).sum() <= radius:
    return v
  low, high = 0.0, np.abs(v).max()
  for _ in range(200):
    threshold = (low + high) / 2
    over = np.maximum(np.abs(v) - threshold, 0).sum() > radius
    low, high = (threshold, high) if over else (low, threshold)
  return np.sign(v) * np.maximum(np.abs(v) - high, 0)


@each_norm
@examples
@given(v=vectors, scale=scales, radius=radii)
def test_projection_is_the_nearest_point_of_the_ball(name, v, scale, radius):
  v, radius = scaled(v, scale), radius * scale
  projected = np.asarray(project[name](v, radius))
  np.testing.assert_allclose(
    projected, nearest_point(v, radius, name), rtol=0, atol=TOLERANCE * radius
  )
  length = np.linalg.norm(projected.astype(np.float64), ORDERS[name])
  assert length <= (1 + TOLERANCE) * radius


@pytest.mark.quick_cases(1)
@each_norm
@examples
@given(v=vectors, scale=scales, radius=radii)
def test_projecting_twice_is_projecting_once(name, v, scale, radius):
  once = project[name](scaled(v, scale), radius * scale)
  twice = project[name](once, radius * scale)
  np.testing.assert_allclose(twice, once, rtol=0, atol=TOLERANCE * radius * scale)


@pytest.mark.quick_cases(1)
@each_norm
def test_projection_leaves_the_inside_of_the_ball_alone(name):
  v = jnp.array([0.1, -0.2, 0.0])
  np.testing.assert_allclose(NORMS[name].project(v, 1.0), v, rtol=1e-6)


@pytest.mark.quick_cases(2)
@each_norm
@pytest.mark.parametrize("size", [64, 28 * 28, 3 * 224 * 224])
def test_projection_holds_the_radius_for_images_of_every_size(name, size):
  v = jax.random.normal(jax.random.key(0), (size,))
  projected = np.asarray(NORMS[name].project(v, 0.5), np.float64)
  np.testing.assert_allclose(np.linalg.norm(projected, ORDERS[name]), 0.5, rtol=3e-6)


@each_norm
@pytest.mark.parametrize("radius", [0.0, 1.0, 10.0])
@pytest.mark.parametrize("value", [0.0, 2.0])
def test_projection_has_finite_gradients_everywhere(name, radius, value):
  v = value * jnp.array([1.0, -1.0, 0.5])
  gradients = jax.grad(lambda v, r: NORMS[name].project(v, r) @ jnp.arange(3.0), (0, 1))(v, radius)
  assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.slow
@each_norm
def test_the_gradient_of_the_projection_is_that_of_finite_differences(name):
  with jax.enable_x64(True):
    v, radius = jnp.array([0.9, -2.0, 0.3, 0.35]), jnp.array(1.3)

    def value(v, radius):
      return NORMS[name].project(v, radius) @ jnp.array([1.0, 2.0, -1.0, 0.5])

    by_v, by_radius = jax.grad(value, (0, 1))(v, radius)
    step = 1e-6
    for i in range(4):
      e = step * jnp.eye(4)[i]
      np.testing.assert_allclose(
        by_v[i], (value(v + e, radius) - value(v - e, radius)) / (2 * step), atol=1e-8
      )
    np.testing.assert_allclose(
      by_radius, (value(v, radius + step) - value(v, radius - step)) / (2 * step), atol=1e-8
    )


@each_norm
def test_projection_keeps_half_precision(name):
  v = jnp.ones((2, 2), jnp.bfloat16)
  projected = NORMS[name].project(v, 0.5)
  assert projected.dtype == jnp.bfloat16
  assert np.linalg.norm(np.asarray(projected, np.float64).ravel(), ORDERS[name]) <= 0.5 * 1.01


@each_norm
@examples
@given(v=vectors, scale=scales)
def test_length_is_numpys_norm(name, v, scale):
  v = scaled(v, scale)
  expected = np.linalg.norm(v.astype(np.float64), ORDERS[name])
  np.testing.assert_allclose(length[name](v), expected, rtol=1e-5, atol=1e-37)


@each_norm
@examples
@given(g=vectors, scale=scales)
def test_the_steepest_direction_has_length_one_and_reaches_the_dual_norm(name, g, scale):
  g = scaled(g, scale)
  direction = np.asarray(steepest[name](g), np.float64)
  if not g.any():
    assert not direction.any()
    return
  np.testing.assert_allclose(np.linalg.norm(direction, ORDERS[name]), 1.0, rtol=1e-5)
  wide = g.astype(np.float64)
  np.testing.assert_allclose(
    wide @ direction, np.linalg.norm(wide, DUALS[name]), rtol=1e-5, atol=1e-36
  )


@each_norm
def test_random_points_lie_in_the_ball_and_fill_it_uniformly(name):
  dimensions, draws, radius = 3, 4000, 0.7
  keys = jax.random.split(jax.random.key(0), draws)
  points = jax.vmap(lambda key: NORMS[name].random(key, (dimensions, 1), radius))(keys)
  points = np.asarray(points, np.float64).reshape(draws, dimensions)
  share_of_radius = np.linalg.norm(points, ORDERS[name], axis=1) / radius
  assert share_of_radius.max() <= 1 + 1e-6
  # In a uniform ball of d dimensions the share of the radius has P(s <= t) = t^d.
  moments = np.array([(share_of_radius**k).mean() for k in (1, 2)])
  np.testing.assert_allclose(moments, [3 / 4, 3 / 5], atol=5 * 0.2 / np.sqrt(draws))
  standard_error = points.std(axis=0) / np.sqrt(draws)
  assert (np.abs(points.mean(axis=0)) < 5 * standard_error).all()


@each_norm
def test_every_operation_maps_over_examples_and_radii(name):
  norm = NORMS[name]
  v = jax.random.normal(jax.random.key(0), (3, 2, 2, 1))
  radii = jnp.array([0.0, 0.5, 2.0])
  together = jax.jit(jax.vmap(jax.vmap(norm.project, (0, None)), (None, 0)))(v, radii)
  for i, radius in enumerate(radii):
    for n in range(3):
      np.testing.assert_allclose(together[i, n], norm.project(v[n], radius), atol=1e-6)
  assert not together[0].any()


def test_a_norm_of_ones_own_is_passed_through():
  assert get_norm(NORMS["l2"]) is NORMS["l2"]


def test_an_unknown_norm_is_refused_with_the_nearest_name():
  with pytest.raises(ValueError, match=r"norm must be one of linf, l2, l1; got 'linff' .*'linf'"):
    get_norm("linff")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("name", "length"), [("linf", 0.5), ("l2", 200.0), ("l1", 80_000.0)])
def test_lengths_of_half_precision_images_neither_overflow_nor_stop_growing(name, length, dtype):
  # 160,000 pixels: in float16 their sum of magnitudes is beyond the largest number.
  v = jnp.full((400, 400), 0.5, dtype)
  measured = get_norm(name).length(v)
  assert measured.dtype == jnp.float32
  assert float(measured) == pytest.approx(length, rel=1e-3)


def test_the_l2_length_is_in_full_precision_wherever_it_is_measured():
  program = str(jax.make_jaxpr(get_norm("l2").length)(jnp.ones((2, 2))))
  assert "precision=(Precision.HIGHEST, Precision.HIGHEST)" in program
