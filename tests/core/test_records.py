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
    ("step", (-1, 1.5, None, True, 10**400)),
    ("notes", ([], None, "text")),
    ("rows", ({}, None, "text")),
  ],
)
def test_a_field_of_another_kind_is_named_with_its_file(tmp_path, name, values):
  for value in values:
    path = written(tmp_path, json.dumps({**GOOD, name: value}).encode())
    with pytest.raises(DamagedFileError, match=rf"record\.json: {name} must be {FIELDS[name]}"):
      records.read_record(path, FIELDS)


EACH = {
  "axes": records.Each(records.FIELDS, records.Each(records.LIST, records.TEXT)),
  "rows": records.Each(records.LIST, {"step": records.COUNT}),
  "of": {"seeds": records.Each(records.LIST, records.VALUE), "best": records.MEASURED},
}
WHOLE = {"axes": {"a": ["b"]}, "rows": [{"step": 1}], "of": {"seeds": [0, None, "x"], "best": 0.5}}


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    ({"axes": [["b"]]}, "axes must be fields"),
    ({"axes": {"a": "b"}}, r"axes\.a must be a list"),
    ({"axes": {"a": [0]}}, r"axes\.a\.0 must be text"),
    ({"rows": [{"step": 1}, {}]}, r"rows\.1 needs the field 'step'"),
    ({"rows": [{"step": 10**400}]}, r"rows\.0\.step must be a whole number"),
    ({"of": {"best": None}}, "of needs the field 'seeds'"),
    ({"of": {"seeds": [[]], "best": None}}, r"of\.seeds\.0 must be text, a number"),
    ({"of": {"seeds": [-(10**400)], "best": None}}, r"of\.seeds\.0 must be text, a number"),
    ({"of": {"seeds": [], "best": True}}, r"of\.best must be a number or null"),
  ],
)
def test_fields_within_fields_are_named_with_their_place(change, sentence):
  assert records.check_fields(WHOLE, EACH, "r.json") == WHOLE
  with pytest.raises(DamagedFileError, match=f"^r.json: {sentence}"):
    records.check_fields({**WHOLE, **change}, EACH, "r.json")


@pytest.mark.parametrize(
  ("mistake", "sentence"),
  [
    (lambda: {}["attack"], "^r.json cannot be drawn: KeyError of 'attack'$"),
    (lambda: None.label, "AttributeError of 'NoneType'"),
    (lambda: float(10**400), "OverflowError of"),
    (lambda: [][0], "IndexError of"),
    (lambda: len(5), "TypeError of"),
    (lambda: np.zeros(3).reshape(2), "^r.json cannot be drawn: cannot reshape"),
  ],
)
def test_values_that_are_mistaken_for_others_end_in_a_sentence_that_names_the_file(
  mistake, sentence
):
  with (
    pytest.raises(DamagedFileError, match=sentence) as refused,
    records.understanding("r.json cannot be drawn"),
  ):
    mistake()
  assert refused.value.__cause__ is not None
  with pytest.raises(KeyboardInterrupt), records.understanding("r.json cannot be drawn"):
    raise KeyboardInterrupt


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


def test_arrays_that_unpack_to_more_than_the_memory_should_hold_are_refused(tmp_path, monkeypatch):
  content = files.npz({"a": np.zeros(10_000), "b": np.zeros(10_000)})
  monkeypatch.setattr(records, "_LARGEST_ARRAYS", 100_000)
  with pytest.raises(DamagedFileError, match="must hold at most 100000 bytes of arrays, got more"):
    records.arrays_in(content, tmp_path / "result.npz")
  assert len(records.arrays_in(files.npz({"a": np.zeros(10_000)}), tmp_path)["a"]) == 10_000
