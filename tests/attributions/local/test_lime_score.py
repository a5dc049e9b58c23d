import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attributions.local.lime_score import warn_of_low_scores


def test_the_warning_counts_low_scores_and_says_what_to_do():
  with pytest.warns(UserWarning, match=r"2 of 4 .* down to -0.1, below 0.3\).*kernel_width"):
    warn_of_low_scores(np.array([[0.9, -0.1], [0.31, 0.29]]))


def test_scores_that_are_no_number_are_low():
  with pytest.warns(UserWarning, match="1 of 1"):
    warn_of_low_scores(np.array([np.nan]))


def test_high_and_unknown_scores_pass_in_silence():
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    warn_of_low_scores(jnp.array([0.3, 1.0]))
    warn_of_low_scores(jnp.array([0.05]), threshold=0.01)
    warn_of_low_scores(jnp.zeros(0))
    jax.jit(lambda scores: warn_of_low_scores(scores))(jnp.zeros(3))
