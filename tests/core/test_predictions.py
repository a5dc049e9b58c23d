"""Logits that are no numbers are no prediction, wherever accuracy is counted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import attacks
from robust_saliency.core.predictions import is_correct, predicted_class
from robust_saliency.studies import batches

LOGITS = np.array([[0.0, 1.0], [np.nan, 1.0], [1.0, np.nan], [np.inf, 0.0]], np.float32)


def test_no_class_is_predicted_where_a_logit_is_nan():
  assert predicted_class(LOGITS).tolist() == [1, -1, -1, 0]
  assert is_correct(LOGITS, np.array([1, 0, 0, 0])).tolist() == [True, False, False, True]


def without_numbers(x):
  return jnp.full((len(x), 2), jnp.nan) + x.reshape(len(x), -1).sum(axis=1, keepdims=True)


def test_studies_count_it_as_wrong():
  x, y = jnp.zeros((3, 2, 2, 1)), jnp.zeros(3, jnp.int32)
  keys = jax.random.split(jax.random.key(0), 3)
  assert batches.predict(keys, without_numbers, x, y).tolist() == [-1, -1, -1]


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("name", ["cw_l2", "deepfool", "fmn", "jsma"])
def test_an_attack_has_nothing_to_add_to_it(name):
  x, y = jnp.full((2, 2, 2, 1), 0.5), jnp.zeros(2, jnp.int32)
  x_adv = attacks.ATTACKS[name](jax.random.key(0), without_numbers, x, y)
  np.testing.assert_array_equal(x_adv, x)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("name", ["fgsm", "pgd", "apgd", "square"])
def test_an_attack_within_a_radius_stays_there(name):
  x, y = jnp.full((2, 2, 2, 1), 0.5), jnp.zeros(2, jnp.int32)
  x_adv = attacks.ATTACKS[name](jax.random.key(0), without_numbers, x, y, epsilon=0.1)
  assert np.abs(x_adv - x).max() <= 0.1 + 1e-6
