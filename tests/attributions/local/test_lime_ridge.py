import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from robust_saliency.attributions.local.feature_selection import select_features
from robust_saliency.attributions.local.lime_neighbourhood import (
  filled,
  hide,
  kernel_weights,
  mask_distance,
)
from robust_saliency.attributions.local.lime_ridge import (
  fit,
  merge_moments,
  no_moments,
  sample_moments,
  weighted_ridge,
)


def problem(samples=200, features=9, predictions=3, seed=0, offset=0.0):
  rng = np.random.RandomState(seed)
  masks = rng.randint(0, 2, (samples, features)).astype(np.float64)
  slopes = rng.randn(features, predictions)
  targets = offset + np.tanh(masks @ slopes / 3) + 0.1 * rng.randn(samples, predictions)
  return masks, targets, rng.uniform(0.01, 1, samples)


def scikit_learn(masks, targets, weights, alpha):
  models = [Ridge(alpha=alpha).fit(masks, column, sample_weight=weights) for column in targets.T]
  return (
    np.array([model.coef_ for model in models]),
    np.array([model.intercept_ for model in models]),
    np.array(
      [
        model.score(masks, column, sample_weight=weights)
        for model, column in zip(models, targets.T, strict=True)
      ]
    ),
  )


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("alpha", [0.01, 1.0, 30.0])
@pytest.mark.parametrize(("double", "tolerance"), [(False, 1e-5), (True, 1e-10)])
def test_weighted_ridge_is_scikit_learns(alpha, double, tolerance):
  masks, targets, weights = problem()
  with jax.enable_x64(double):
    model = weighted_ridge(*(jnp.asarray(a, float) for a in (masks, targets, weights)), alpha=alpha)
    assert model.coefficients.dtype == (np.float64 if double else np.float32)
  coefficients, intercept, score = scikit_learn(masks, targets, weights, alpha)
  np.testing.assert_allclose(model.coefficients, coefficients, atol=tolerance)
  np.testing.assert_allclose(model.intercept, intercept, atol=tolerance)
  np.testing.assert_allclose(model.score, score, atol=tolerance)
  np.testing.assert_allclose(
    model.local_prediction, intercept + coefficients.sum(1), atol=10 * tolerance
  )


def test_float32_stays_accurate_where_predictions_vary_little_around_a_large_mean():
  masks, targets, weights = problem(offset=1e3)
  targets = targets.astype(np.float32)
  model = weighted_ridge(*map(jnp.asarray, (masks, targets, weights)))
  coefficients, _, _ = scikit_learn(masks, targets.astype(np.float64), weights, 1.0)
  np.testing.assert_allclose(model.coefficients, coefficients, atol=2e-5)


@pytest.mark.slow
def test_784_features_are_solved_to_1e_5_in_float32():
  masks, targets, weights = problem(1000, 784, 1)
  model = weighted_ridge(*(jnp.asarray(a, jnp.float32) for a in (masks, targets, weights)))
  coefficients, _, _ = scikit_learn(masks, targets, weights, 1.0)
  np.testing.assert_allclose(model.coefficients, coefficients, atol=1e-5)


def test_moments_of_parts_merge_into_those_of_the_whole():
  with jax.enable_x64(True):
    arrays = [jnp.asarray(a) for a in problem(100)]
    whole = sample_moments(*arrays)
    merged = no_moments(9, 3, jnp.float64)
    for part in (slice(0, 1), slice(1, 60), slice(60, 100)):
      merged = merge_moments(merged, sample_moments(*(a[part] for a in arrays)))
    for expected, actual in zip(whole, merged, strict=True):
      np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_a_block_without_weight_changes_nothing():
  masks, targets, weights = (jnp.asarray(a, jnp.float32) for a in problem(20))
  moments = sample_moments(masks, targets, weights)
  empty = sample_moments(masks, targets + 5, 0 * weights)
  for order in (merge_moments(moments, empty), merge_moments(empty, moments)):
    for expected, actual in zip(moments, order, strict=True):
      np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_one_prediction_needs_no_second_axis():
  masks, targets, weights = (jnp.asarray(a, jnp.float32) for a in problem())
  single = weighted_ridge(masks, targets[:, 1], weights)
  many = weighted_ridge(masks, targets, weights)
  assert single.coefficients.shape == (9,)
  np.testing.assert_allclose(single.coefficients, many.coefficients[1], atol=1e-6)


def test_constant_predictions_are_explained_by_the_intercept_alone():
  masks, _, weights = (jnp.asarray(a, jnp.float32) for a in problem())
  model = weighted_ridge(masks, jnp.full(len(masks), 0.3), weights)
  np.testing.assert_allclose(model.coefficients, 0, atol=1e-6)
  np.testing.assert_allclose(model.intercept, 0.3, atol=1e-6)
  assert float(model.score) == 1


def test_a_feature_that_is_never_shown_has_coefficient_zero_without_a_penalty_too():
  masks, targets, weights = (jnp.asarray(a, jnp.float32) for a in problem())
  masks = masks.at[:, 4].set(0)
  model = weighted_ridge(masks, targets, weights, alpha=0.0)
  np.testing.assert_array_equal(model.coefficients[:, 4], 0)
  assert np.isfinite(model.coefficients).all()


def test_unselected_features_leave_the_fit_of_the_others_alone():
  masks, targets, weights = (jnp.asarray(a, jnp.float32) for a in problem())
  kept = np.array([0, 2, 5])
  selected = jnp.zeros(9, bool).at[kept].set(True)
  model = fit(sample_moments(masks, targets, weights), alpha=1.0, selected=selected)
  small = weighted_ridge(masks[:, kept], targets, weights)
  np.testing.assert_allclose(model.coefficients[:, kept], small.coefficients, atol=1e-5)
  np.testing.assert_array_equal(model.coefficients[:, np.array([1, 3, 4, 6, 7, 8])], 0)
  np.testing.assert_allclose(model.score, small.score, atol=1e-5)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"masks": jnp.zeros(3)}, r"masks must have shape \[samples, features\], got \(3,\)"),
    ({"predictions": jnp.zeros((4, 2))}, r"one row per mask \(3\), got shape \(4, 2\)"),
    ({"weights": jnp.ones(4)}, r"weights must have shape \(3,\), got \(4,\)"),
    ({"alpha": -1.0}, "alpha must be >= 0, got -1.0"),
    ({"alpha": [1.0, 2.0]}, r"alpha must be one number, got shape \(2,\)"),
    ({"masks": [[1, 0]]}, "masks must be an array of numbers, got list"),
  ],
)
def test_bad_arguments_are_named(change, message):
  arguments = {"masks": jnp.ones((3, 2)), "predictions": jnp.zeros(3), "weights": jnp.ones(3)}
  alpha = change.pop("alpha", 1.0)
  with pytest.raises((ValueError, TypeError), match=message):
    weighted_ridge(*(arguments | change).values(), alpha=alpha)


class Recorded:
  """An explanation of the package `lime`, with the masks and images that it used."""

  def __init__(self, selection="auto", max_features=100000, hide_color=None):
    lime_image = pytest.importorskip("lime.lime_image", reason="compares with the package lime")
    rng = np.random.RandomState(3)
    self.image = rng.uniform(size=(12, 12, 3))
    self.segments = (np.arange(12)[:, None] // 3 * 4 + np.arange(12) // 3).astype(np.int32)
    slopes = rng.randn(12 * 12 * 3, 4) / 6
    self.images, self.predictions = [], []

    def classify(images):
      logits = np.tanh(np.reshape(images, (len(images), -1)) @ slopes)
      answers = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
      self.images.extend(images)
      self.predictions.extend(answers)
      return answers

    explainer = lime_image.LimeImageExplainer(random_state=0, feature_selection=selection)
    self.explanation = explainer.explain_instance(
      self.image,
      classify,
      top_labels=4,
      hide_color=hide_color,
      num_features=max_features,
      num_samples=150,
      segmentation_fn=lambda image: self.segments,
    )
    self.images, self.predictions = np.array(self.images), np.array(self.predictions)
    # The package draws one number before the masks, and shows everything in the first.
    random = np.random.RandomState(0)
    random.randint(0, 1000)
    self.masks = random.randint(0, 2, 150 * 16).reshape(150, 16)
    self.masks[0] = 1

  def coefficients(self):
    values = np.zeros((4, 16))
    for label, pairs in self.explanation.local_exp.items():
      for feature, weight in pairs:
        values[label, feature] = weight
    return values

  def model(self, **settings):
    masks = jnp.asarray(self.masks, float)
    weights = kernel_weights(mask_distance(masks, features=16))
    moments = sample_moments(masks, jnp.asarray(self.predictions), weights)
    return fit(moments, alpha=1.0, selected=select_features(moments, **settings))


@pytest.mark.peers
@pytest.mark.parametrize(("double", "tolerance"), [(False, 1e-5), (True, 1e-10)])
def test_coefficients_are_those_of_the_package_lime(double, tolerance):
  recorded = Recorded()
  with jax.enable_x64(double):
    model = recorded.model(selection="none")
  np.testing.assert_allclose(model.coefficients, recorded.coefficients(), atol=tolerance)
  intercepts = [recorded.explanation.intercept[label] for label in range(4)]
  np.testing.assert_allclose(model.intercept, intercepts, atol=tolerance)
  # The package keeps the score and prediction of the class that it explained last: the top one.
  top, last = np.argsort(recorded.predictions[0])[-4:], -1
  np.testing.assert_allclose(model.score[top[last]], recorded.explanation.score, atol=tolerance)
  np.testing.assert_allclose(
    model.local_prediction[top[last]], recorded.explanation.local_pred[0], atol=tolerance
  )


@pytest.mark.peers
@pytest.mark.parametrize(
  ("selection", "max_features"),
  [
    ("highest_weights", 5),
    ("forward_selection", 5),
    ("lasso_path", 5),
    ("auto", 3),
    ("auto", 9),
    ("none", 3),
  ],
)
def test_selected_features_are_those_of_the_package_lime(selection, max_features):
  recorded = Recorded(selection, max_features)
  with jax.enable_x64(True):
    model = recorded.model(selection=selection, max_features=max_features)
  np.testing.assert_allclose(model.coefficients, recorded.coefficients(), atol=1e-10)


@pytest.mark.peers
@pytest.mark.parametrize("hide_color", [None, 0.25])
def test_masked_images_are_those_of_the_package_lime(hide_color):
  recorded = Recorded(hide_color=hide_color)
  with jax.enable_x64(True):
    image = jnp.asarray(recorded.image)
    fill = filled(image[None], recorded.segments, 16)[0] if hide_color is None else hide_color
    images = hide(image, fill, jnp.asarray(recorded.masks, bool), recorded.segments)
    np.testing.assert_allclose(images, recorded.images, atol=1e-12)


def test_what_explains_nothing_since_the_model_gives_nan_has_no_score():
  masks, targets, weights = (jnp.asarray(a, jnp.float32) for a in problem(20))
  model = weighted_ridge(masks, targets.at[3, 0].set(jnp.nan), weights)
  assert np.isnan(model.score[0])
  assert np.isfinite(model.score[1:]).all()
