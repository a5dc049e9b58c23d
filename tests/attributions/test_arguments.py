"""Every attribution with arguments that it must refuse; a new one is in by itself."""

import functools
import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import attributions
from robust_saliency.attributions import feature_ablation, smoothgrad, smoothgrad_squared, vargrad

KEY = jax.random.key(0)
X = jnp.linspace(0.1, 0.9, 2 * 8 * 8).reshape(2, 8, 8, 1)
Y = jnp.array([0, 1])
# What has no default.
REQUIRED = {"expected_gradients": {"background": X[::-1]}, "infidelity": {"maps": X}}


def network(x):
  return jax.nn.relu(x).sum((1, 2)) * jnp.array([1.0, -2.0])


def traced_network(x):
  assert isinstance(x, jax.core.Tracer), "the network has been run"
  return network(x)


def is_attribution(function):
  if not inspect.isfunction(function):
    return False
  return list(inspect.signature(function).parameters)[:4] == ["key", "logits_fn", "x", "y"]


ALL = {
  name: function
  for name in attributions.__all__
  if is_attribution(function := getattr(attributions, name))
}
BOUNDED = [name for name, one in ALL.items() if "bounds" in inspect.signature(one).parameters]


def test_the_family_is_that_of_all_public_attributions():
  others = {"expected_gradients", "explain_locally", "infidelity", "sensitivity_max"}
  assert set(ALL) == {*attributions.ATTRIBUTIONS, *others}
  assert set(BOUNDED) >= {"smoothgrad", "vargrad", "lime", "explain_locally", "feature_ablation"}


@pytest.mark.parametrize("name", BOUNDED)
def test_images_outside_the_bounds_are_refused(name):
  def explain(**bounds):
    return ALL[name](KEY, traced_network, 255 * X, Y, **REQUIRED.get(name, {}), **bounds)

  with pytest.raises(ValueError, match=r"x must lie within bounds \(0.0, 1.0\), got values from"):
    explain()
  with pytest.raises(ValueError, match=r"x must lie within bounds \(-1, 1\), got values from"):
    explain(bounds=(-1, 1))
  # Constants are checked while a function is traced, too: in these bounds they pass.
  jax.eval_shape(lambda: explain(bounds=(0, 255)))


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("smooth", [smoothgrad, smoothgrad_squared, vargrad])
@pytest.mark.parametrize(
  "inner",
  [
    functools.partial(vargrad, samples=2, noise_level=0.0),
    functools.partial(feature_ablation, segments=np.arange(64).reshape(8, 8) // 32),
  ],
  ids=["vargrad", "feature_ablation"],
)
def test_what_is_smoothed_sees_noisy_copies_that_leave_the_bounds(smooth, inner):
  # All at their lowest, so that half of each copy lies below.
  black, lowest = 0 * X[:1], []

  def spy(key, logits_fn, x, y):
    jax.debug.callback(lambda values: lowest.append(float(values.min())), x)
    return inner(key, logits_fn, x, y)

  maps = smooth(KEY, network, black, Y[:1], samples=2, attribution=spy, unroll=True)
  jax.effects_barrier()
  assert np.isfinite(maps).all()
  assert len(lowest) == 2
  assert max(lowest) < -0.1
  with pytest.raises(ValueError, match="x must lie within bounds"):
    inner(KEY, network, black - 0.1, Y[:1])


NAN = float("nan")
BAD = {
  "a list": [0.1, 0.2],
  "None": None,
  "text": "abc",
  "a number as text": "0.1",
  "True": True,
  "NaN": NAN,
  "infinity": float("inf"),
  "a mapping": {"by": 1},
  "1e30": 1e30,
  "an array": np.array([0.1, 0.2, 0.3]),
}


def means_something(argument, parameter, what):
  """Whether it is one of the alternatives that an argument has."""
  default = parameter.default
  return {
    "None": "None" in str(parameter.annotation),
    "True": isinstance(default, bool) or argument == "unroll",
    "a list": argument == "bounds",
    # Counts and shares cannot be as large.
    "1e30": (isinstance(default, float) and argument != "keep") or argument == "fill",
    # Compared with each name, entry by entry.
    "an array": isinstance(default, str),
  }.get(what, False)


ARGUMENTS = [
  (name, argument)
  for name, function in ALL.items()
  for argument in inspect.signature(function).parameters
  # The key of those that draw nothing is not used.
  if argument != "key" or "samples" in inspect.signature(function).parameters
]


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_nonsense_is_refused_in_a_sentence_that_names_the_argument(name, argument):
  parameter = inspect.signature(ALL[name]).parameters[argument]
  good = {"key": KEY, "logits_fn": traced_network, "x": X, "y": Y, **REQUIRED.get(name, {})}
  for what, bad in BAD.items():
    if means_something(argument, parameter, what):
      continue
    with pytest.raises((ValueError, TypeError)) as caught:
      ALL[name](**{**good, argument: bad})
    sentence = str(caught.value)
    assert type(caught.value) in (ValueError, TypeError), (what, sentence)
    assert re.match(rf"(features_fn and )?{argument} (and head_fn )?(must|needs)", sentence), what
    assert "\n" not in sentence, what


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    ({"attribution": "gradient"}, r"attribution must be a function .* got 'gradient'"),
    ({"attribution": {"name": "gradient"}}, r"such as gradient or what get_attribution\(\{"),
    ({"unroll": "yes"}, "unroll must be True, False, None or a number of steps, got 'yes'"),
    ({"logits_fn": None}, "logits_fn must be a function, got None"),
    ({"logits_fn": "net"}, "logits_fn must be a function, got 'net'"),
    ({"noise_level": [0.1, 0.2]}, r"noise_level must be one number, got shape \(2,\)"),
    ({"noise_level": NAN}, "noise_level must be >= 0, got nan"),
  ],
)
def test_the_sentences_say_what_was_given_and_what_is_allowed(change, sentence):
  with pytest.raises((ValueError, TypeError), match=sentence):
    smoothgrad(**{"key": KEY, "logits_fn": network, "x": X, "y": Y, **change})


def test_baselines_are_finite_numbers_that_fit():
  explain = functools.partial(attributions.integrated_gradients, KEY, traced_network, X, Y)
  with pytest.raises(ValueError, match="baseline must be of finite size, got nan"):
    explain(baseline=jnp.zeros((8, 8, 1)).at[1].set(NAN))
  with pytest.raises(TypeError, match="baseline must be a number of finite size, got 'mean'"):
    explain(baseline="mean")
  with pytest.raises(ValueError, match=r"baseline must broadcast to .* got shape \(3,\)"):
    explain(baseline=np.zeros(3))
