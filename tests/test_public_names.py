"""Every public array function under `jit`, `vmap`, `pmap` and `grad`; none can be forgotten."""

import dataclasses
import inspect
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from robust_saliency import core
from tests.public_functions import CASES, FOLDERS, NOT_ARRAY_FUNCTIONS, Problem

each_case = pytest.mark.parametrize("name", CASES, ids=".".join)


@pytest.fixture(scope="module")
def problem():
  keys = jax.random.split(jax.random.key(5), 4)
  return Problem(
    params={
      "inner": jax.random.normal(keys[0], (4, 8)),
      "outer": jax.random.normal(keys[1], (8, 3)),
    },
    key=keys[2],
    x=jax.random.uniform(keys[3], (4, 2, 2, 1), minval=0.2, maxval=0.8),
    y=jnp.array([0, 1, 2, 0]),
  )


def first_values(case):
  return {name: jnp.float32(values[1]) for name, values in case.traced.items()}


def test_every_public_name_is_tested_or_has_its_reason():
  public = {(folder, name) for folder, module in FOLDERS.items() for name in module.__all__}
  named = CASES.keys() | NOT_ARRAY_FUNCTIONS.keys()
  assert public - named == set(), "new: say in CASES how it is called"
  assert named - public == set(), "no longer public"
  assert not CASES.keys() & NOT_ARRAY_FUNCTIONS.keys()


@pytest.mark.parametrize("name", [n for n in CASES if n[0] != "core"], ids=".".join)
def test_every_number_that_may_be_traced_is_tried(name):
  function = getattr(FOLDERS[name[0]], name[1])
  hints = typing.get_type_hints(inspect.unwrap(function))
  traceable = {
    parameter
    for parameter, hint in hints.items()
    if parameter != "return" and all(kind in typing.get_args(hint) for kind in (Array, float))
  }
  assert traceable == set(CASES[name].traced)


# Slow, since without `jit` every operation is compiled by itself.
@pytest.mark.slow
@each_case
def test_it_gives_under_jit_what_it_gives_without(problem, name):
  case = CASES[name]

  def call(params, key, x, y, traced):
    return case.call(Problem(params, key, x, y), **traced)

  arguments = (problem.params, problem.key, problem.x, problem.y, first_values(case))
  result = jax.jit(call)(*arguments)
  assert np.isfinite(result).all()
  np.testing.assert_allclose(result, call(*arguments), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n, case in CASES.items() if case.traced], ids=".".join)
def test_vmap_over_its_traced_numbers_equals_separate_calls(problem, name):
  case = CASES[name]
  vectors = {number: jnp.array(values) for number, values in case.traced.items()}
  call = jax.jit(lambda traced: case.call(problem, **traced))
  together = jax.jit(jax.vmap(lambda traced: case.call(problem, **traced)))(vectors)
  for i in range(2):
    alone = call({number: values[i] for number, values in vectors.items()})
    np.testing.assert_allclose(together[i], alone, rtol=1e-4, atol=1e-5)


def on_two_devices(problem, case):
  """The call on one half of the images, pmapped over both halves, and its arguments."""

  def call(whole, keys, x, y):
    params, traced = whole
    return case.call(Problem(params, keys, x, y), **traced)

  whole = (problem.params, first_values(case))
  keys = core.example_keys(problem.key, 4)
  halves = jax.tree.map(lambda a: a.reshape(2, 2, *a.shape[1:]), (keys, problem.x, problem.y))
  mapped = jax.pmap(call, in_axes=(None, 0, 0, 0), devices=jax.devices()[:2])
  return call, mapped, (whole, *halves)


@pytest.mark.quick_cases(20)
@each_case
def test_it_is_traced_inside_pmap_and_vmap(problem, name):
  case = CASES[name]
  call, mapped, (whole, *halves) = on_two_devices(problem, case)
  of_halves = jax.eval_shape(mapped, whole, *halves)
  assert of_halves.shape[0] == 2
  vectors = {number: jnp.array(values) for number, values in case.traced.items()}
  if vectors:
    swept = jax.vmap(lambda traced: call((whole[0], traced), *(half[0] for half in halves)))
    assert jax.eval_shape(swept, vectors).shape == (2, *of_halves.shape[1:])


@pytest.mark.slow
@each_case
def test_it_gives_inside_pmap_what_it_gives_alone(problem, name):
  call, mapped, (whole, *halves) = on_two_devices(problem, CASES[name])
  of_halves, jitted = mapped(whole, *halves), jax.jit(call)
  for i in range(2):
    alone = jitted(whole, *(half[i] for half in halves))
    np.testing.assert_allclose(of_halves[i], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.quick_cases(20)
@each_case
def test_its_result_has_the_gradient_it_should_have(problem, name):
  case = CASES[name]

  def value(params):
    result = case.call(dataclasses.replace(problem, params=params), **first_values(case))
    return jnp.sum(jnp.sin(result))

  slopes = jax.jit(jax.grad(value))(problem.params)
  for slope in jax.tree.leaves(slopes):
    assert np.isfinite(slope).all()
    assert bool(np.any(slope)) == (case.gradient is True)
