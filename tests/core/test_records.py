"""What has a digest that is right may still be anything."""

import io
import json

import numpy as np
import pytest

from robust_saliency.core import files, records
from robust_saliency.core.files import DamagedFileError

FIELDS = {"name": records.TEXT, "seconds": records.NUMBER, "step": records.COUNT,
          "notes": records.FIELDS, "rows": records.LIST, "identity": records.ANYTHING}  # fmt: skip
GOOD = {"name": "a", "seconds": 1.5, "step": 3, "notes": {}, "rows": [], "identity": None}


def written(path, content):
  return files.write_with_digest(path / "record.json", content)


def test_a_record_is_read_as_it_was_written(tmp_path):
  assert records.read_record(written(tmp_path, json.dumps(GOOD).encode()), FIELDS) == GOOD


@pytest.mark.parametrize(
  "content",
  [b"5", b"[]", b"null", b'"text"', b"true", b"", b"{", b"\xff", b"[" * 100_000,
   b'{"step": ' + b"9" * 5000 + b"}"],
)  # fmt: skip
def test_what_is_no_record_is_said_of_its_file_in_our_words(tmp_path, content):
  path = written(tmp_path, content)
  with pytest.raises(DamagedFileError, match=r"record\.json must hold fields in JSON") as refused:
    records.read_record(path)
  assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", GOOD)
def test_a_field_that_is_missing_is_named_with_its_file(tmp_path, name):
  without = {field: value for field, value in GOOD.items() if field != name}
  path = written(tmp_path, json.dumps(without).encode())
  with pytest.raises(DamagedFileError, match=rf"record\.json needs the field {name!r}"):
    records.read_record(path, FIELDS)


@pytest.mark.parametrize(
  ("name", "values"),
  [
    ("name", (5, None, [])),
    ("seconds", (-1, -1e300, None, "1", True, float("nan"), float("inf"))),
    ("step", (-1, 1.5, None, True)),
    ("notes", ([], None, "text")),
    ("rows", ({}, None, "text")),
  ],
)
def test_a_field_of_another_kind_is_named_with_its_file(tmp_path, name, values):
  for value in values:
    path = written(tmp_path, json.dumps({**GOOD, name: value}).encode())
    with pytest.raises(DamagedFileError, match=rf"record\.json: {name} must be {FIELDS[name]}"):
      records.read_record(path, FIELDS)


class Evil:
  """What a pickle may do when it is loaded."""

  def __reduce__(self):
    return (pytest.fail, ("a pickle was loaded",))


def pickled():
  stream = io.BytesIO()
  np.savez(stream, allow_pickle=True, a=np.array([Evil()], dtype=object))
  return stream.getvalue()


def test_arrays_are_read_as_they_were_written(tmp_path):
  arrays = {"a": np.arange(3), "b": np.array(["x", "yz"])}
  read = records.arrays_in(files.npz(arrays), tmp_path)
  assert read.keys() == arrays.keys()
  for name, array in arrays.items():
    np.testing.assert_array_equal(read[name], array)


@pytest.mark.parametrize(
  "content", [b"", b"PK\x03\x04", pickled(), files.npz({"a": np.arange(9)})[:-60]]
)
def test_what_holds_no_arrays_is_said_in_our_words_and_no_pickle_is_loaded(tmp_path, content):
  path = tmp_path / "result.npz"
  with pytest.raises(DamagedFileError, match=r"result\.npz must be a NumPy archive") as refused:
    records.arrays_in(content, path)
  assert "pickle" not in str(refused.value)
