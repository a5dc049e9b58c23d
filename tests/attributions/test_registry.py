import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import attributions
from robust_saliency.attributions import ATTRIBUTIONS, get_attribution
from robust_saliency.attributions.registry import attribution, is_signed


def logits_fn(x):
  return jnp.tanh(x.reshape(len(x), -1)[:, :3])


X, Y, KEY = jnp.full((2, 2, 2, 1), 0.3), jnp.array([0, 2]), jax.random.key(0)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("name", ["gradient", "gradient_x_input", "integrated_gradients"])
def test_a_config_names_a_function_and_its_settings(name):
  assert ATTRIBUTIONS[name] is getattr(attributions, name)
  maps = get_attribution({"name": name, "score": "margin"})(KEY, logits_fn, X, Y)
  expected = getattr(attributions, name)(KEY, logits_fn, X, Y, score="margin")
  np.testing.assert_array_equal(maps, expected)


def test_what_the_table_of_contents_imports_is_what_configs_can_name():
  assert len(ATTRIBUTIONS) >= 15
  for name, function in ATTRIBUTIONS.items():
    assert name in attributions.__all__
    assert getattr(attributions, name) is function
    assert function.__name__ == name
    assert pickle.loads(pickle.dumps(function)) is function


@pytest.fixture
def _tables_of_one_test(monkeypatch):
  monkeypatch.setattr("robust_saliency.attributions.registry.ATTRIBUTIONS", dict(ATTRIBUTIONS))
  monkeypatch.setattr("robust_saliency.attributions.registry._SIGNED", {})


@pytest.mark.usefixtures("_tables_of_one_test")
def test_an_attribution_declares_itself_and_stays_the_function_that_it_is():
  def mine(key, logits_fn, x, y, *, power=2.0):
    return x**power

  declared = attribution(signed=lambda settings: settings["power"] % 2 == 1)(mine)
  assert declared is mine
  assert get_attribution({"name": "mine"}).func is mine
  # The signs that settings decide are asked with the defaults in them.
  assert not is_signed({"name": "mine"})
  assert is_signed({"name": "mine", "power": 3})
  with pytest.raises(ValueError, match="an attribution named 'mine' is registered already"):
    attribution(signed=True)(mine)
  with pytest.raises(TypeError, match="signed must be True or False, got 'no'"):
    attributions.register("other", mine, signed="no")
  with pytest.raises(TypeError, match="attribution must be a function, got None"):
    attributions.register("other", None)


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({}, "attribution needs a name, one of .*gradient"),
    ({"name": "smothgrad"}, r"got 'smothgrad' \(did you mean 'smoothgrad'\?\)"),
    ({"name": "gradient", "scor": "logit"}, r"got 'scor' \(did you mean 'score'\?\)"),
    ({"name": "smoothgrad", "attribution": {"name": "gradien"}}, "did you mean 'gradient'"),
    ({"name": "gradient", "attribution": {"name": "gradient"}}, "setting of attribution"),
  ],
)
def test_what_does_not_exist_is_refused(settings, sentence):
  with pytest.raises(ValueError, match=sentence):
    get_attribution(settings)


def sharp(x):
  """A network with a ReLU of maps, whose first logit falls where the pixels rise."""
  return jax.nn.relu(1 - x).sum((1, 2)) * jnp.array([1.0, -2.0])


# As their equations say: means of squares, variances, ReLUs, probabilities times masks.
NON_NEGATIVE = {"smoothgrad_squared", "vargrad", "grad_cam", "rise"}


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_maps_without_a_sign_are_known_and_have_none(name):
  assert is_signed({"name": name}) is (name not in NON_NEGATIVE)
  few = {"samples": 3} if name in ("smoothgrad_squared", "vargrad", "rise") else {}
  if name in NON_NEGATIVE:
    x = jnp.linspace(0, 1, 2 * 8 * 8).reshape(2, 8, 8, 1)
    maps = get_attribution({"name": name, **few})(KEY, sharp, x, jnp.array([0, 1]))
    assert maps.min() >= 0


@pytest.mark.parametrize(
  ("settings", "signed"),
  [
    ({"name": "smoothgrad", "attribution": {"name": "grad_cam"}}, False),
    ({"name": "smoothgrad", "attribution": {"name": "gradient"}}, True),
    ({"name": "vargrad", "attribution": {"name": "gradient"}}, False),
    ({"name": "grad_cam", "relu": False}, True),
    ({"name": "rise", "score": "logit"}, True),
  ],
)
def test_what_wraps_a_map_has_its_sign_and_settings_may_give_one(settings, signed):
  assert is_signed(settings) is signed


def test_bounds_reach_every_level_that_takes_them_and_none_that_has_its_own():
  inner = {"name": "smoothgrad", "attribution": {"name": "vargrad", "bounds": (0, 3)}}
  outer = get_attribution({"name": "vargrad", "attribution": inner}, bounds=(-1, 1))
  middle = outer.keywords["attribution"]
  assert outer.keywords["bounds"] == middle.keywords["bounds"] == (-1, 1)
  assert middle.keywords["attribution"].keywords["bounds"] == (0, 3)
  with pytest.raises(TypeError, match="the attribution inside another must be a mapping"):
    get_attribution({"name": "vargrad", "attribution": "gradient"})
  with pytest.raises(ValueError, match=r"bounds must be a pair \(low, high\), got 255"):
    get_attribution({"name": "vargrad"}, bounds=255)
