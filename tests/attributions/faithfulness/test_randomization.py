import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from robust_saliency.attributions import gradient, parameter_randomization, rank_correlation

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(size=(3, 2, 3, 1)).astype(np.float32)
Y = jnp.array([2, 0, 1])


def parameters():
  return {
    "block": {"inner": RANDOM.normal(size=(6, 5)).astype(np.float32)},
    "outer": RANDOM.normal(size=(5, 3)).astype(np.float32),
  }


PARAMS, FRESH = parameters(), parameters()


def linear(params, x):
  return x.reshape(len(x), -1) @ params["block"]["inner"] @ params["outer"]


def slopes(inner, outer):
  return (inner.astype(np.float64) @ outer).T[np.asarray(Y)]


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("cascading", [False, True])
def test_of_a_linear_network_it_is_scipy_s_correlation_of_the_products(absolute, cascading):
  found = parameter_randomization(
    KEY, linear, PARAMS, FRESH, X, Y,
    layers=["outer", "block/inner"], absolute=absolute, cascading=cascading,
  )  # fmt: skip
  size = np.abs if absolute else np.asarray
  inner, outer = PARAMS["block"]["inner"], PARAMS["outer"]
  last = FRESH["outer"] if cascading else outer
  others = slopes(inner, FRESH["outer"]), slopes(FRESH["block"]["inner"], last)
  expected = [
    [scipy.stats.spearmanr(size(a), size(b[i])).statistic for b in others]
    for i, a in enumerate(slopes(inner, outer))
  ]
  np.testing.assert_allclose(found, expected, atol=1e-5)


def test_parameters_that_stay_and_maps_of_the_image_alone_are_found_out():
  settings = {"layers": ["outer", "block"]}
  same = parameter_randomization(KEY, linear, PARAMS, PARAMS, X, Y, **settings)
  np.testing.assert_allclose(same, 1, atol=1e-6)
  blind = parameter_randomization(
    KEY, linear, PARAMS, FRESH, X, Y, attribution=lambda key, f, x, y: x, **settings
  )
  np.testing.assert_allclose(blind, 1, atol=1e-6)


def test_an_example_s_numbers_do_not_depend_on_the_others():
  whole = parameter_randomization(KEY, linear, PARAMS, FRESH, X, Y, layers=["outer"])
  alone = parameter_randomization(KEY, linear, PARAMS, FRESH, X[1:2], Y[1:2], layers=["outer"])
  np.testing.assert_allclose(alone[0], whole[1], atol=1e-6)


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_ranks_of_equal_numbers_are_shared_as_scipy_shares_them(levels):
  maps, others = RANDOM.integers(0, levels, (2, 4, 6, 7, 1)).astype(np.float32)
  expected = [
    scipy.stats.spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(maps, others, strict=True)
  ]
  np.testing.assert_allclose(rank_correlation(maps, others), expected, atol=1e-5)


def test_a_map_of_equal_numbers_has_no_correlation():
  assert np.isnan(rank_correlation(jnp.ones((1, 4)), jnp.arange(4.0)[None])).all()


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    ({"layers": ["dense"]}, r"layers must be one of block, block/inner, outer; got 'dense'"),
    ({"layers": []}, "layers must be a list of names, from the output down"),
    ({"layers": "outer"}, "layers must be a list of names"),
    ({"fresh": {"outer": PARAMS["outer"]}}, "fresh must have the structure and the shapes"),
    ({"attribution": "gradient"}, "attribution must be a function"),
  ],
)
def test_bad_arguments_are_refused_by_name(change, sentence):
  given = {"fresh": FRESH, "layers": ["outer"], "attribution": gradient, **change}
  with pytest.raises((ValueError, TypeError), match=sentence):
    parameter_randomization(KEY, linear, PARAMS, given.pop("fresh"), X, Y, **given)


def test_a_map_with_a_nan_has_no_correlation():
  maps = RANDOM.normal(size=(2, 3, 3)).astype(np.float32)
  broken = maps.copy()
  broken[0, 1, 1] = np.nan
  np.testing.assert_array_equal(np.isnan(rank_correlation(broken, maps)), [True, False])
