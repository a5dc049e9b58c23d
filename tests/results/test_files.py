import json

import numpy as np
import pytest

from robust_saliency.core import files
from robust_saliency.results.files import ABOUT, ARRAYS, load_result, save_result
from robust_saliency.results.result import Layout, Result

LAYOUT = Layout(
  {"correct": ("model", "example"), "gap": ("model",)},
  {"model": ("a", "b")},
  images_each={"gap": 9},
  units={"gap": "originals"},
)
ARRAYS_OF_ONE = {"correct": np.array([[True, False], [True, True]]), "gap": np.array([0.5, np.nan])}
RESULT = Result("clean", "accuracy", LAYOUT, ARRAYS_OF_ONE, {"split": "test", "epsilon": 0.1})


def test_a_result_is_read_as_it_was_saved(tmp_path):
  save_result(RESULT, tmp_path, identity="it")
  read = load_result(tmp_path, identity="it")
  assert (read.name, read.kind, read.layout, read.metadata) == (
    RESULT.name,
    RESULT.kind,
    RESULT.layout,
    RESULT.metadata,
  )
  for name, array in ARRAYS_OF_ONE.items():
    np.testing.assert_array_equal(read.arrays[name], array)
    assert read.arrays[name].dtype == array.dtype


def test_a_result_of_another_identity_or_none_is_not_read(tmp_path):
  assert load_result(tmp_path, identity="it") is None
  save_result(RESULT, tmp_path, identity="it")
  assert load_result(tmp_path, identity="another") is None


@pytest.mark.parametrize("name", [ABOUT, ARRAYS])
def test_a_flipped_bit_is_noticed(tmp_path, name):
  save_result(RESULT, tmp_path, identity="it")
  content = bytearray((tmp_path / name).read_bytes())
  content[len(content) // 2] ^= 1
  (tmp_path / name).write_bytes(content)
  assert load_result(tmp_path, identity="it") is None


def test_arrays_of_another_result_with_a_digest_of_their_own_are_not_taken(tmp_path):
  save_result(RESULT, tmp_path, identity="it")
  files.write_with_digest(
    tmp_path / ARRAYS, files.npz({n: 0 * a for n, a in ARRAYS_OF_ONE.items()})
  )
  assert load_result(tmp_path, identity="it") is None


def test_arrays_that_do_not_fit_their_axes_are_not_taken(tmp_path):
  save_result(RESULT, tmp_path, identity="it")
  content = files.npz({**ARRAYS_OF_ONE, "gap": np.zeros(3)})
  files.write_with_digest(tmp_path / ARRAYS, content)
  about = {**json.loads((tmp_path / ABOUT).read_bytes()), "arrays": files.digest(content)}
  files.write_with_digest(tmp_path / ABOUT, json.dumps(about).encode())
  assert load_result(tmp_path, identity="it") is None
