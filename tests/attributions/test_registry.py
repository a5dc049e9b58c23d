import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import attributions
from robust_saliency.attributions import ATTRIBUTIONS, get_attribution


def logits_fn(x):
  return jnp.tanh(x.reshape(len(x), -1)[:, :3])


X, Y, KEY = jnp.full((2, 2, 2, 1), 0.3), jnp.array([0, 2]), jax.random.key(0)


@pytest.mark.parametrize("name", ["gradient", "gradient_x_input", "integrated_gradients"])
def test_a_config_names_a_function_and_its_settings(name):
  assert ATTRIBUTIONS[name] is getattr(attributions, name)
  maps = get_attribution({"name": name, "score": "margin"})(KEY, logits_fn, X, Y)
  expected = getattr(attributions, name)(KEY, logits_fn, X, Y, score="margin")
  np.testing.assert_array_equal(maps, expected)


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({}, "attribution needs a name, one of gradient"),
    ({"name": "smothgrad"}, r"got 'smothgrad' \(did you mean 'smoothgrad'\?\)"),
    ({"name": "gradient", "scor": "logit"}, r"got 'scor' \(did you mean 'score'\?\)"),
    ({"name": "smoothgrad", "attribution": {"name": "gradien"}}, "did you mean 'gradient'"),
    ({"name": "gradient", "attribution": {"name": "gradient"}}, "setting of attribution"),
  ],
)
def test_what_does_not_exist_is_refused(settings, sentence):
  with pytest.raises(ValueError, match=sentence):
    get_attribution(settings)
