"""Every public function of core and objectives in the modes in which JAX lets nothing pass."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.public_functions import CASES, Problem

NAMES = [name for name in CASES if name[0] in ("core", "objectives")]


@contextlib.contextmanager
def strictly():
  with (
    jax.numpy_dtype_promotion("strict"),
    jax.numpy_rank_promotion("raise"),
    jax.checking_leaks(),
  ):
    yield


def make_problem():
  random = np.random.default_rng(5)
  return Problem(
    params={
      "inner": jnp.asarray(random.normal(size=(4, 8)), jnp.float32),
      "outer": jnp.asarray(random.normal(size=(8, 3)), jnp.float32),
    },
    key=jax.random.key(2),
    x=jnp.asarray(random.uniform(0.2, 0.8, (4, 2, 2, 1)), jnp.float32),
    y=jnp.array([0, 1, 2, 0]),
  )


def call_of(name):
  case = CASES[name]
  traced = {number: jnp.float32(values[1]) for number, values in case.traced.items()}

  def call(params, key, x, y, traced):
    return case.call(Problem(params, key, x, y), **traced)

  problem = make_problem()
  return call, (problem.params, problem.key, problem.x, problem.y, traced)


def value_and_gradient(call):
  def total(*arguments):
    return jnp.sum(jnp.sin(call(*arguments).astype(jnp.float32)))

  return jax.value_and_grad(total)


def test_both_folders_are_here():
  assert {folder for folder, _ in NAMES} == {"core", "objectives"}
  assert len(NAMES) >= 15


@pytest.mark.quick_cases(6)
@pytest.mark.parametrize("name", NAMES, ids=".".join)
def test_it_promotes_no_dtype_and_no_rank_and_leaks_no_tracer(name):
  call, arguments = call_of(name)
  with strictly():
    jax.eval_shape(value_and_gradient(call), *arguments)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES, ids=".".join)
def test_nothing_in_it_is_nan_on_the_way(name):
  call, arguments = call_of(name)
  with jax.debug_nans(True):
    value, gradient = jax.jit(value_and_gradient(call))(*arguments)
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((value, gradient)))
