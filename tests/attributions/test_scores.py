import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from robust_saliency.attributions import SCORES, get_score
from robust_saliency.attributions.scores import NON_NEGATIVE

LOGITS = np.random.default_rng(0).normal(scale=3, size=(50, 4))
Y = np.random.default_rng(1).integers(0, 4, 50)
OF_CLASS = LOGITS[np.arange(50), Y]

EXPECTED = {
  "logit": OF_CLASS,
  "probability": softmax(LOGITS, axis=1)[np.arange(50), Y],
  "log_probability": log_softmax(LOGITS, axis=1)[np.arange(50), Y],
  "cross_entropy": -log_softmax(LOGITS, axis=1)[np.arange(50), Y],
  "uniform_cross_entropy": -log_softmax(LOGITS, axis=1).mean(axis=1),
  "margin": OF_CLASS - np.sort(np.where(np.eye(4)[Y] == 1, -np.inf, LOGITS), axis=1)[:, -1],
}


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_what_their_formulas_say(name):
  score = jax.jit(get_score(name))(jnp.asarray(LOGITS), jnp.asarray(Y))
  np.testing.assert_allclose(score, EXPECTED[name], rtol=1e-5, atol=1e-5)


def test_scores_that_are_never_negative_are_known():
  assert set(NON_NEGATIVE) == {name for name, values in EXPECTED.items() if values.min() >= 0}


def test_a_positive_margin_is_a_correct_prediction():
  margin = get_score("margin")(jnp.asarray(LOGITS), jnp.asarray(Y))
  np.testing.assert_array_equal(margin > 0, LOGITS.argmax(axis=1) == Y)


def test_a_function_of_one_s_own_is_taken_as_it_is():
  def score(logits, y):
    return logits[:, 0]

  logits, y = jnp.array([[3.0, 1.0], [5.0, 2.0]]), jnp.array([1, 1])
  np.testing.assert_array_equal(get_score(score)(logits, y), [3.0, 5.0])


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize(
  ("logits", "y", "sentence"),
  [
    (None, Y, "logits must be an array of numbers, got NoneType"),
    (LOGITS[0], Y, "logits must be floating-point .batch, classes., got float64 .4,."),
    (LOGITS > 0, Y, "logits must be an array of numbers, got bool"),
    (LOGITS, Y[:3], "y must have one class per image"),
    (LOGITS, None, "y must hold integer classes"),
    (LOGITS, Y - 1, "y must hold classes 0 to 3, got -1"),
  ],
)
def test_a_score_is_one_of_logits_and_their_classes(name, logits, y, sentence):
  with pytest.raises((ValueError, TypeError), match=sentence):
    SCORES[name](logits, y)


def test_an_unknown_score_is_refused():
  with pytest.raises(ValueError, match=r"score must be one of .*; got 'marign' \(did you mean"):
    get_score("marign")


@pytest.mark.parametrize(
  "score", [lambda logits, y: logits.mean(), lambda logits, y: logits, lambda logits, y: y[:, None]]
)
def test_a_score_that_is_not_one_number_for_each_example_is_refused(score):
  with pytest.raises(
    ValueError, match=r"score must give one number for each example, shape \(2,\)"
  ):
    get_score(score)(jnp.zeros((2, 3)), jnp.array([0, 1]))
