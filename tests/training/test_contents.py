"""Networks and checkpoints that would fill the memory are refused by what their files say."""

import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import data
from robust_saliency.core.files import DamagedFileError
from robust_saliency.training import Network, Recipe, checkpoints
from robust_saliency.training.contents import MOST_PER_BYTE, SMALL, check_contents, nbytes
from robust_saliency.training.divergence import record

# The most that a config may ask for; no machine can address two layers of them.
UNITS = 2**31 - 1


@pytest.fixture(scope="module")
def dataset():
  return data.load("digits")


def network(dataset, units):
  recipe = {
    "architecture": {"name": "mlp", "hidden": (units, units)},
    "objective": {"cross_entropy": {}},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "batch_size": 100,
    "steps": 1,
  }
  return Network("net", Recipe.from_config(recipe), dataset)


def test_a_network_larger_than_its_checkpoint_is_refused_before_it_is_made(
  dataset, tmp_path, caplog
):
  small = network(dataset, 3)
  state = small.trainer.initial_state(0)
  notes = {"rows": [], "scores": {}, "recent": []}
  checkpoints.save(tmp_path / "checkpoints", 1, state, identity="it", notes=notes)
  assert small.read(0, tmp_path, identity="it") is not None
  with caplog.at_level("WARNING", logger="absl"):
    assert network(dataset, UNITS).read(0, tmp_path, identity="it") is None
  assert "too few for the 5534023" in caplog.text


def test_a_network_that_has_diverged_is_not_made_where_it_cannot_be(dataset, tmp_path, caplog):
  record(tmp_path, "loss became nan", step=1, rows=[], identity="it")
  assert network(dataset, 3).read(0, tmp_path, identity="it").diverged == "loss became nan"
  with caplog.at_level("WARNING", logger="absl"):
    assert network(dataset, UNITS).read(0, tmp_path, identity="it") is None
  assert "would not fit into the memory" in caplog.text


def test_a_batch_larger_than_the_memory_is_not_made_to_be_checked(dataset):
  recipe = {**network(dataset, 3).recipe.__dict__, "batch_size": UNITS}
  large = Network("net", Recipe(**recipe), dataset)
  tracemalloc.start()
  try:
    large.check()
    assert tracemalloc.get_traced_memory()[1] < 2**28
  finally:
    tracemalloc.stop()


def test_arrays_whose_files_hold_next_to_nothing_are_refused_before_they_are_listed(tmp_path):
  (tmp_path / "part").write_bytes(b"0123456789")
  most = SMALL + 10 * MOST_PER_BYTE
  like = {"a": jax.ShapeDtypeStruct((most,), jnp.int8), "b": jax.ShapeDtypeStruct((), jnp.int8)}
  with pytest.raises(DamagedFileError, match=f"have 10 bytes, too few for the {most + 1} of the"):
    check_contents(tmp_path, like, None)


def test_bytes_are_counted_as_numpy_counts_them():
  state = {"a": np.ones((3, 4), np.float16), "b": [np.ones(5, np.int32), np.float64(1)]}
  assert nbytes(state) == 24 + 20 + 8
  assert nbytes(jax.eval_shape(lambda: jax.tree.map(jnp.asarray, {"a": state["a"]}))) == 24


SAVED = {"a": np.ones((3, 4), np.float32), "b": [np.arange(5)]}


@pytest.mark.parametrize(
  ("like", "sentence"),
  [
    ({**SAVED, "a": np.ones((3, 5), np.float32)}, r"a has the shape \[3, 4\], not \[3, 5\]"),
    ({**SAVED, "a": np.ones(12, np.float32)}, r"a has the shape \[3, 4\], not \[12\]"),
    ({**SAVED, "b": [np.arange(6)]}, r"b/0 has the shape \[5\], not \[6\]"),
    ({**SAVED, "c": np.ones(2)}, r"c is missing, not \[2\]"),
    ({"a": SAVED["a"]}, r"b/0 has the shape \[5\], which has no place"),
  ],
)
def test_a_checkpoint_of_other_shapes_is_passed_over_by_the_name_of_the_array(
  like, sentence, tmp_path, caplog
):
  checkpoints.save(tmp_path, 1, SAVED)
  with caplog.at_level("WARNING", logger="absl"):
    assert checkpoints.restore(tmp_path, like) is None
  assert "step_000000001: it holds another state: " in caplog.text
  with pytest.raises(ValueError, match=sentence):
    raise ValueError(caplog.text)


def test_a_checkpoint_is_restored_by_its_shapes_alone(tmp_path):
  checkpoints.save(tmp_path, 1, SAVED)
  like = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), SAVED)
  restored = checkpoints.restore(tmp_path, like).state
  for saved, read in zip(jax.tree.leaves(SAVED), jax.tree.leaves(restored), strict=True):
    np.testing.assert_array_equal(read, saved)
    assert read.dtype == saved.dtype
    assert read.flags.writeable
