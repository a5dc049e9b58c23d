import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attributions import area_under_curve, deletion_curve, insertion_curve

RANDOM = np.random.default_rng(0)
B, SHAPE = 3, (4, 5, 2)
X = RANDOM.uniform(size=(B, *SHAPE)).astype(np.float32)
MAPS = RANDOM.normal(size=X.shape).astype(np.float32)
WEIGHTS = RANDOM.normal(size=(40, 3)).astype(np.float32)
Y = jnp.array([2, 0, 1])


def linear(x):
  return x.reshape(len(x), -1) @ WEIGHTS


def curve_by_numpy(x, maps, *, steps, baseline, inserts):
  """The logits of a linear network, one pixel after the other, in float64."""
  curves = []
  for image, values, label in zip(x, maps, Y, strict=True):
    order = np.argsort(-values.sum(-1).ravel(), kind="stable")
    start = np.broadcast_to(np.asarray(baseline, np.float64), image.shape)
    before, after = (start, image) if inserts else (image, start)
    curve = []
    for k in range(steps + 1):
      shown = before.reshape(-1, image.shape[-1]).astype(np.float64)
      taken = order[: k * len(order) // steps]
      shown[taken] = after.reshape(shown.shape)[taken]
      curve.append(shown.ravel() @ WEIGHTS[:, label].astype(np.float64))
    curves.append(curve)
  return np.array(curves)


@pytest.mark.parametrize("inserts", [False, True])
@pytest.mark.parametrize(("steps", "baseline"), [(20, 0.0), (7, 0.25), (1, X[0])])
def test_the_curve_of_a_linear_network_is_numpy_s(inserts, steps, baseline):
  measure = insertion_curve if inserts else deletion_curve
  found = measure(linear, X, Y, MAPS, steps=steps, baseline=baseline, score="logit")
  expected = curve_by_numpy(X, MAPS, steps=steps, baseline=baseline, inserts=inserts)
  np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("chunk_size", [1, 2, 7])
def test_chunks_and_the_other_images_change_nothing(chunk_size):
  whole = deletion_curve(linear, X, Y, MAPS)
  assert whole.shape == (B, 21)
  chunked = deletion_curve(linear, X, Y, MAPS, chunk_size=chunk_size)
  np.testing.assert_allclose(chunked, whole, atol=1e-6)
  alone = deletion_curve(linear, X[1:2], Y[1:2], MAPS[1:2])
  np.testing.assert_allclose(alone[0], whole[1], atol=1e-6)


def test_the_gradient_deletes_a_linear_score_at_least_as_fast_as_any_order():
  x = np.ones_like(X)
  best = np.broadcast_to(WEIGHTS.T[np.asarray(Y)].reshape(X.shape), X.shape)
  areas = area_under_curve(deletion_curve(linear, x, Y, best, score="logit"))
  for _ in range(5):
    other = RANDOM.normal(size=X.shape).astype(np.float32)
    assert (areas <= area_under_curve(deletion_curve(linear, x, Y, other, score="logit"))).all()


def test_areas_are_numpy_s_trapezoids():
  curves = RANDOM.normal(size=(4, 9))
  expected = [(c[0] / 2 + c[1:-1].sum() + c[-1] / 2) / 8 for c in curves]
  np.testing.assert_allclose(area_under_curve(jnp.float32(curves)), expected, rtol=1e-5)


def test_signals_and_rows_are_deleted_by_their_places():
  for shape in ((3, 10, 4), (3, 40)):
    x, maps = X.reshape(shape), MAPS.reshape(shape)
    curve = deletion_curve(linear, x, Y, maps, score="logit", steps=5)
    np.testing.assert_allclose(curve[:, 0], linear(x)[np.arange(3), Y], rtol=1e-5)
    np.testing.assert_allclose(curve[:, -1], 0, atol=1e-5)


def test_a_black_box_has_curves_and_no_image_has_none():
  def black_box(x):
    shape = jax.ShapeDtypeStruct((len(x), 3), jnp.float32)
    return jax.pure_callback(lambda x: linear(np.asarray(x)), shape, x, vmap_method="sequential")

  found = deletion_curve(black_box, X, Y, MAPS, steps=4)
  np.testing.assert_allclose(found, deletion_curve(linear, X, Y, MAPS, steps=4), rtol=1e-5)
  assert deletion_curve(linear, X[:0], Y[:0], MAPS[:0], steps=4).shape == (0, 5)


@pytest.mark.parametrize("measure", [deletion_curve, insertion_curve])
def test_bad_arguments_are_refused_by_name(measure):
  with pytest.raises(ValueError, match=r"steps must be at most 20, got 21"):
    measure(linear, X, Y, MAPS, steps=21)
  with pytest.raises(ValueError, match="maps must have the images' shape"):
    measure(linear, X, Y, MAPS[..., :1])
  with pytest.raises(ValueError, match=r"curve must have shape \[batch, steps \+ 1\]"):
    area_under_curve(jnp.ones(3))
