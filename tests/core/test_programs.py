"""Row programs: padding, packing, devices, and weights that are no constants."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robust_saliency.core.programs import RowPrograms, over_examples, pack

ROWS = np.arange(22.0, dtype=np.float32).reshape(11, 2)


@given(st.integers(0, 2000), st.integers(1, 300))
def test_batches_hold_every_example_in_at_most_three_sizes(count, batch_size):
  batches = pack(count, batch_size)
  assert sum(examples for examples, _ in batches) == count
  assert all(1 <= examples <= rows <= batch_size for examples, rows in batches)
  assert len({rows for _, rows in batches}) <= 3
  # Of every batch but the smallest size's, more than half is real.
  smallest = -(-batch_size // 16)
  assert all(2 * examples > rows or rows == smallest for examples, rows in batches)


@pytest.mark.parametrize("devices", [1, 3, 8])
@pytest.mark.parametrize("rows", [11, 16])
def test_any_number_of_devices_and_rows_gives_the_same(monkeypatch, devices, rows):
  monkeypatch.setattr(jax, "local_device_count", lambda: devices)
  programs = RowPrograms(lambda _, x, y: {"sum": x.sum(axis=1) + y, "product": x * y[:, None]})
  y = np.arange(11, dtype=np.float32)
  result = programs(None, ROWS, y, rows=rows)
  np.testing.assert_array_equal(result["sum"], ROWS.sum(axis=1) + y)
  np.testing.assert_array_equal(result["product"], ROWS * y[:, None])


def test_one_compilation_serves_every_batch_of_a_size():
  traced = []

  def function(_, x):
    traced.append(x.shape)
    return x

  programs = RowPrograms(function)
  for examples in (3, 11, 1, 8):
    np.testing.assert_array_equal(programs(None, ROWS[:examples], rows=16), ROWS[:examples])
  assert traced == [(2, 2)]  # 16 rows on 8 devices
  assert programs.compile_seconds > 0


@pytest.mark.parametrize(
  "wrap", [lambda f: f, functools.partial, jax.jit], ids=["", "partial", "jit"]
)
def test_weights_that_a_function_closes_over_are_not_in_its_program(wrap):
  weights = jax.random.normal(jax.random.key(0), (2, 5000))
  programs = RowPrograms(wrap(lambda _, x: jnp.tanh(x @ weights)))
  expected = np.tanh(np.float64(ROWS) @ np.float64(weights))
  np.testing.assert_allclose(programs(None, ROWS, rows=16), expected, rtol=1e-4, atol=1e-5)
  (program,) = programs._programs.values()
  assert len(program.compiled.as_text()) < 20_000


def test_networks_of_one_architecture_share_a_compiled_program():
  def attacked(weights):
    programs = RowPrograms(lambda _, x: jnp.tanh(x @ weights))
    return programs(None, ROWS, rows=11), next(iter(programs._programs.values())).compiled

  weights = jax.random.normal(jax.random.key(0), (2, 2, 7))
  (first, program), (second, same) = map(attacked, weights)
  assert program is same
  np.testing.assert_allclose(first, np.tanh(ROWS @ np.asarray(weights[0])), atol=1e-5)
  np.testing.assert_allclose(second, np.tanh(ROWS @ np.asarray(weights[1])), atol=1e-5)


def test_more_examples_than_rows_are_refused():
  with pytest.raises(ValueError, match="rows must be >= 11, got 8"):
    RowPrograms(lambda _, x: x)(None, ROWS, rows=8)


def test_matrix_products_are_in_full_precision():
  seen = []

  def function(_, x):
    seen.append(jax.config.jax_default_matmul_precision)
    return x

  RowPrograms(function)(None, ROWS, rows=11)
  assert seen == ["float32"]


def test_networks_that_call_the_host_are_not_mixed():
  def network(slope):
    shape = jax.ShapeDtypeStruct((1,), np.float32)
    return lambda _, rows: jax.vmap(
      lambda x: jax.pure_callback(
        lambda a: slope * np.asarray(a), shape, x, vmap_method="sequential"
      )
    )(rows)

  x = np.ones((8, 1), np.float32)
  for slope in (2, 3):
    assert RowPrograms(network(np.float32(slope)))(None, x, rows=8).ravel().tolist() == [slope] * 8


def test_with_one_device_a_function_sees_all_rows():
  less_mean = RowPrograms(lambda _, x: x - x.mean(), devices=1)
  assert less_mean(None, np.arange(3.0), rows=3).tolist() == [-1, 0, 1]


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("devices", [1, 3, 8])
@pytest.mark.parametrize("batch_size", [1, 4, 11, 500])
def test_results_depend_on_neither_batch_size_nor_devices(monkeypatch, devices, batch_size):
  monkeypatch.setattr(jax, "local_device_count", lambda: devices)

  def draw(shared, numbers, x):
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(shared["key"], numbers)
    return shared["scale"] * x[:, 0] + jax.vmap(jax.random.uniform)(keys)

  shared = {"key": jax.random.key(3), "scale": 2.0}
  drawn = over_examples(draw, batch_size=batch_size)(shared, ROWS)
  alone = [jax.random.uniform(jax.random.fold_in(shared["key"], i)) for i in range(11)]
  np.testing.assert_array_equal(drawn, 2 * ROWS[:, 0] + np.array(alone))


def test_what_is_shared_travels_once_for_all_batches(monkeypatch):
  weights, sent = np.ones((2, 3), np.float32), []
  device_put = jax.device_put

  def spy(tree, *args):
    sent.extend(leaf for leaf in jax.tree.leaves(tree) if leaf is weights)
    return device_put(tree, *args)

  monkeypatch.setattr(jax, "device_put", spy)
  of_all = over_examples(lambda w, numbers, x: x @ w, batch_size=2)
  np.testing.assert_array_equal(of_all(weights, ROWS), ROWS @ weights)
  assert len(sent) == 1


def test_two_drivers_of_one_function_share_a_compiled_program():
  def compiled_for(weights):
    programs = RowPrograms(lambda w, x: jnp.cos(x @ w))
    programs(weights, ROWS, rows=11)
    return next(iter(programs._programs.values())).compiled

  first, second = np.ones((2, 5), np.float32), np.zeros((2, 5), np.float32)
  assert compiled_for(first) is compiled_for(second)


def test_a_dtype_a_precision_or_a_kind_of_number_is_a_program_of_its_own():
  programs = RowPrograms(lambda factor, x: factor * (x @ x.T))
  assert programs(2.0, ROWS.astype(np.float16), rows=1 + 10).dtype == np.float16
  assert programs(np.float32(2.0), ROWS.astype(np.float16), rows=11).dtype == np.float32
  with jax.default_matmul_precision("bfloat16"):
    programs(2.0, ROWS, rows=11)
  with jax.enable_x64(True):
    assert programs(2.0, ROWS.astype(np.float64), rows=11).dtype == np.float64
  assert len(programs._programs) == 4


def test_products_and_convolutions_have_the_highest_precision():
  def network(weights, x):
    kernel = weights.reshape(1, 1, 2, 3)
    maps = jax.lax.conv_general_dilated(
      x.reshape(len(x), 1, 1, 2), kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return maps[:, 0, 0] @ weights.T

  seen = []
  programs = RowPrograms(lambda w, x: seen.append(str(jax.make_jaxpr(network)(w, x))) or x)
  programs(np.ones((2, 3), np.float32), ROWS, rows=11)
  assert seen[0].count("precision=(Precision.HIGHEST, Precision.HIGHEST)") == 2


def test_no_examples_are_refused_in_a_sentence():
  with pytest.raises(ValueError, match="examples must be >= 1, got 0"):
    over_examples(lambda shared, numbers, x: x, batch_size=2)(None, np.zeros((0, 3)))
