import ast
import inspect
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import robust_saliency
from robust_saliency.attributions import weighted_ridge
from robust_saliency.core.lapack import one_matrix_at_a_time

PACKAGE = Path(inspect.getfile(robust_saliency)).parent


@one_matrix_at_a_time
def _solution(matrix, right):
  return jnp.linalg.solve(matrix, right)


def _systems(*batch):
  rng = np.random.default_rng(0)
  return rng.normal(size=(*batch, 4, 4)) + 4 * np.eye(4), rng.normal(size=(*batch, 4, 2))


@pytest.mark.parametrize("batch", [(), (3,), (3, 5)])
def test_a_batch_is_solved_as_numpy_solves_it(batch):
  function = _solution
  for _ in batch:
    function = jax.vmap(function)
  matrices, rights = _systems(*batch)
  expected = np.linalg.solve(matrices, rights)
  np.testing.assert_allclose(function(matrices, rights), expected, rtol=1e-4, atol=1e-6)


def test_what_a_batch_shares_is_broadcast():
  matrices, rights = _systems(3)
  solutions = jax.vmap(_solution, in_axes=(0, None))(matrices, rights[0])
  np.testing.assert_allclose(solutions, np.linalg.solve(matrices, rights[:1]), rtol=1e-4, atol=1e-6)


def _lapack_arguments(function, *arrays):
  text = jax.jit(function).trace(*arrays).lower(lowering_platforms=("cpu",)).as_text()
  return re.findall(r"custom_call @lapack_\w+\(.*?: \(tensor<([^>]*)>", text)


def test_a_cpu_gets_no_batch():
  def batched(matrix, right):
    return jnp.linalg.solve(matrix, right)

  systems = [array.astype(np.float32) for array in _systems(3)]
  assert "3x4x4xf32" in _lapack_arguments(jax.vmap(batched), *systems)
  assert set(_lapack_arguments(jax.vmap(_solution), *systems)) == {"4x4xf32"}


def _calls_of_lapack(tree):
  """Names of what is called outside of functions that are called for one matrix at a time."""
  if isinstance(tree, ast.FunctionDef):
    decorators = [ast.unparse(one) for one in tree.decorator_list]
    if "one_matrix_at_a_time" in decorators:
      return []
  calls = [call for node in ast.iter_child_nodes(tree) for call in _calls_of_lapack(node)]
  if isinstance(tree, ast.Call):
    name = ast.unparse(tree.func)
    # FFTs on CPUs wait for their own pool, too.
    if re.fullmatch(r"(jnp|jax\.(numpy|scipy|lax))\.(linalg|fft)\.(?!norm$)\w+", name):
      calls.append(name)
  return calls


@pytest.mark.slow
def test_nothing_in_the_package_calls_it_for_a_batch():
  found = {
    str(path.relative_to(PACKAGE)): calls
    for path in PACKAGE.rglob("*.py")
    if (calls := _calls_of_lapack(ast.parse(path.read_text(encoding="utf-8"))))
  }
  assert not found


def test_the_search_finds_calls():
  source = "def f(x):\n  return jax.vmap(lambda m: jnp.linalg.qr(m)[0] + jnp.linalg.norm(m))(x)\n"
  assert _calls_of_lapack(ast.parse(source)) == ["jnp.linalg.qr"]


@pytest.mark.slow
def test_local_models_are_differentiable_in_their_predictions():
  rng = np.random.default_rng(0)
  masks = rng.integers(0, 2, size=(30, 4)).astype(np.float32)
  predictions, weights = rng.normal(size=30).astype(np.float32), np.ones(30, np.float32)

  def coefficient(predictions):
    return weighted_ridge(masks, predictions, weights).coefficients[1]

  # It is linear in them: row 1 of (Z^T Z + I)^-1 Z^T with centred masks Z.
  centred = masks.astype(np.float64) - masks.mean(axis=0, dtype=np.float64)
  row = np.linalg.solve(centred.T @ centred + np.eye(4), centred.T)[1]
  np.testing.assert_allclose(jax.grad(coefficient)(predictions), row, rtol=1e-3, atol=1e-6)
