import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attributions import explain_locally
from robust_saliency.attributions.local.lime_warnings import (
  warn_of_few_samples,
  warn_of_low_scores,
  warn_of_nothing_hidden,
)


def test_the_warning_counts_low_scores_and_says_what_to_do():
  with pytest.warns(UserWarning, match=r"2 of 4 .* down to -0.1, below 0.5\).*kernel_width"):
    warn_of_low_scores(np.array([[0.9, -0.1], [0.51, 0.49]]))


def test_scores_that_are_no_number_are_low():
  with pytest.warns(UserWarning, match="1 of 1"):
    warn_of_low_scores(np.array([np.nan]))


def test_what_are_no_scores_is_refused():
  with pytest.raises(TypeError, match="scores must be an array of numbers, got NoneType"):
    warn_of_low_scores(None)
  with pytest.raises(TypeError, match="threshold must be a number of finite size, got 'high'"):
    warn_of_low_scores(np.ones(3), threshold="high")


def test_high_and_unknown_scores_pass_in_silence():
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    warn_of_low_scores(jnp.array([0.5, 1.0]))
    warn_of_low_scores(jnp.array([0.05]), threshold=0.01)
    warn_of_low_scores(jnp.zeros(0))
    jax.jit(lambda scores: warn_of_low_scores(scores))(jnp.zeros(3))


X = jnp.asarray(np.random.default_rng(0).uniform(size=(3, 4, 4, 2)), jnp.float32)
HALVES = np.arange(16).reshape(4, 4) // 8


def messages(function, *args, **kwargs):
  with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    function(*args, **kwargs)
  return [str(one.message) for one in caught]


def test_fewer_than_ten_samples_for_a_feature_are_warned_of():
  assert messages(warn_of_few_samples, X, samples=490, features=49) == []
  [message] = messages(warn_of_few_samples, X, samples=489, features=49)
  assert "fits 49 features to 489 samples" in message
  assert "give samples=490, or fewer segments" in message


@pytest.mark.parametrize(
  ("fill", "labels", "number"),
  [
    (jnp.full((4, 4, 2), 0.5), HALVES, 0),
    (X.at[0].set(0.5), HALVES, 2),
    (X[1], HALVES, 1),
    (None, HALVES, 0),
    (None, np.arange(16).reshape(4, 4), 3),
    (None, np.stack([HALVES, np.arange(16).reshape(4, 4), HALVES]), 1),
  ],
)
def test_images_that_equal_their_fill_are_counted(fill, labels, number):
  found = messages(warn_of_nothing_hidden, X, fill, labels, 16)
  assert len(found) == (number > 0)
  if number:
    assert f"LIME hides nothing in {number} of 3 images" in found[0]
    assert ("larger segments" in found[0]) == (fill is None)


def test_segments_of_one_colour_are_hidden_by_no_mean():
  flat = jnp.asarray(HALVES, jnp.float32)[None, ..., None] * jnp.array([0.3, 0.7])
  assert "in 1 of 1 images" in messages(warn_of_nothing_hidden, flat, None, HALVES, 2)[0]


def test_single_pixels_are_counted_where_a_mean_hides_the_others():
  labels = np.maximum(np.arange(16) - 8, 0).reshape(4, 4)
  [message] = messages(warn_of_nothing_hidden, X, None, labels, 8)
  assert "fill='mean' cannot hide 7 of 8 segments, which are one pixel each" in message
  assert messages(warn_of_nothing_hidden, X, jnp.zeros((4, 4, 2)), labels, 8) == []


def linear(x):
  return x.reshape(len(x), -1) @ jax.random.normal(jax.random.key(1), (32, 3))


def test_lime_warns_outside_of_jit_alone():
  explain = partial(explain_locally, jax.random.key(0), linear, score="logit")
  y = jnp.array([0, 1, 2])
  said = " ".join(messages(explain, X, y, segments="pixels", samples=100))
  assert "hides nothing in 3 of 3 images" in said
  assert "fits 16 features to 100 samples" in said
  assert messages(jax.jit(partial(explain, segments="pixels", samples=100)), X, y) == []
