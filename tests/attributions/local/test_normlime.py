import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attributions.local.normlime import normlime

# {0: .4, 1: .1}, {0: -.4, 2: .4}, {1: .05}
FIXTURE = np.array([[0.4, 0.1, 0.0], [-0.4, 0.0, 0.4], [0.0, 0.05, 0.0]])


def random_problem(explanations=30, features=6, classes=3):
  rng = np.random.RandomState(0)
  coefficients = rng.randn(explanations, features) * (rng.uniform(size=(30, 6)) < 0.6)
  return coefficients, rng.randint(0, classes, explanations)


def by_hand(coefficients, labels, classes, features, num_features, occurs):
  """The equation, occurrence by occurrence."""
  terms = [[[] for _ in range(num_features)] for _ in range(classes)]
  for row, label, names, counted in zip(coefficients, labels, features, occurs, strict=True):
    norm = np.abs(row).sum()
    for w, feature, counts in zip(row, names, counted, strict=True):
      if counts and norm > 0:
        terms[label][feature].append(abs(w) / norm * abs(w))
  return np.array([[np.mean(t) if t else 0.0 for t in row] for row in terms])


def test_the_fixture_is_met_to_1e_12():
  labels = np.zeros(3, int)
  with jax.enable_x64(True):
    explanations = jnp.asarray(FIXTURE)
    scores = normlime(explanations, labels, classes=1)
    np.testing.assert_allclose(scores[0], [0.26, 0.035, 0.20], atol=1e-12)
    positive = normlime(explanations, labels, classes=1, occurs=explanations > 0)
    np.testing.assert_allclose(positive[0], [0.32, 0.035, 0.20], atol=1e-12)
    larger = normlime(explanations.at[0].mul(10), labels, classes=1)
    np.testing.assert_allclose(larger[0], [1.70, 0.125, 0.20], atol=1e-12)


@pytest.mark.parametrize("occurs", [None, np.ones((4, 3), bool)])
def test_an_explanation_of_zeros_is_skipped(occurs):
  explanations = jnp.asarray(np.vstack([FIXTURE, np.zeros(3)]), jnp.float32)
  labels = np.zeros(4, int)
  scores = normlime(explanations, labels, classes=1, occurs=occurs)
  alone = normlime(
    explanations[:3], labels[:3], classes=1, occurs=None if occurs is None else occurs[:3]
  )
  assert np.isfinite(scores).all()
  np.testing.assert_allclose(scores, alone, rtol=1e-6)
  np.testing.assert_array_equal(normlime(0 * explanations, labels, classes=1), 0)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("dense", [False, True])
def test_class_scores_are_the_means_over_each_class_occurrences(shared, dense):
  coefficients, labels = random_problem()
  coefficients[4] = 0
  features = np.tile(np.arange(6), (30, 1))
  if shared:
    features = np.random.RandomState(1).randint(0, 4, (30, 6))
  count = 4 if shared else 6
  occurs = np.ones((30, 6), bool) if dense else coefficients != 0
  expected = by_hand(coefficients, labels, 3, features, count, occurs)
  scores = normlime(
    jnp.asarray(coefficients, jnp.float32),
    labels,
    classes=3,
    features=features if shared else None,
    num_features=count,
    occurs=occurs if dense else None,
  )
  np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_the_class_agnostic_score_pools_all_classes():
  coefficients, labels = random_problem()
  coefficients = jnp.asarray(coefficients, jnp.float32)
  pooled = normlime(coefficients, labels, classes=3, per_class=False)
  assert pooled.shape == (6,)
  np.testing.assert_allclose(pooled, normlime(coefficients, 0 * labels, classes=1)[0], rtol=1e-6)


def test_scaling_all_coefficients_scales_every_score():
  coefficients, labels = random_problem()
  coefficients = jnp.asarray(coefficients, jnp.float32)
  np.testing.assert_allclose(
    normlime(7 * coefficients, labels, classes=3),
    7 * normlime(coefficients, labels, classes=3),
    rtol=1e-5,
  )


def test_a_class_without_explanations_scores_zero_under_jit_too():
  scores = jax.jit(lambda w, labels: normlime(w, labels, classes=3))(
    jnp.asarray(FIXTURE, jnp.float32), jnp.array([0, 2, 2])
  )
  np.testing.assert_array_equal(scores[1], 0)
  np.testing.assert_allclose(scores[2], [0.2, 0.05, 0.2], rtol=1e-6)


@pytest.mark.parametrize(
  ("change", "error", "message"),
  [
    ({"coefficients": jnp.zeros((3, 2, 2))}, ValueError, r"coefficients must have shape \[expl"),
    ({"coefficients": jnp.zeros((3, 3), int)}, TypeError, "coefficients must hold floating"),
    ({"coefficients": jnp.full((3, 3), jnp.nan)}, ValueError, "coefficients must be finite"),
    ({"labels": jnp.array([0, 1, 2])}, ValueError, "labels must hold classes 0 to 1, got 2"),
    ({"labels": jnp.array([0, 1])}, ValueError, r"labels must have one class .* shape \(3,\)"),
    ({"classes": 0}, ValueError, "classes must be >= 1, got 0"),
    ({"occurs": jnp.ones((3, 3))}, ValueError, r"occurs must be bool \(3, 3\), got float32"),
    ({"features": jnp.zeros((3, 3), int)}, ValueError, "num_features must be given with features"),
    ({"num_features": 4}, ValueError, "num_features must be 3, got 4"),
    ({"num_features": "4"}, TypeError, "num_features must be a whole number"),
    ({"per_class": "no"}, TypeError, "per_class must be True or False, got 'no'"),
    ({"coefficients": None}, TypeError, "coefficients must be an array of numbers, got NoneType"),
    ({"occurs": [True]}, TypeError, "occurs must be a bool array, got list"),
    (
      {"features": jnp.zeros(2, int), "num_features": 2},
      ValueError,
      r"features must have shape \(3, 3\) or \(3,\), got \(2,\)",
    ),
    (
      {"features": jnp.array([0, 1, 2]), "num_features": 2},
      ValueError,
      "features must hold classes 0 to 1, got 2",
    ),
  ],
)
def test_bad_arguments_are_named(change, error, message):
  arguments = {"coefficients": jnp.ones((3, 3)), "labels": jnp.zeros(3, int), "classes": 2}
  with pytest.raises(error, match=message):
    normlime(**(arguments | change))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_labels_of_eight_bits_count_for_their_class(dtype):
  coefficients, labels = jnp.eye(10, 49) + 0.1, np.arange(10)
  found = normlime(coefficients, labels.astype(dtype), classes=10)
  np.testing.assert_array_equal(found, normlime(coefficients, labels, classes=10))
