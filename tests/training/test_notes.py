"""What a checkpoint notes is read as it was written, or the checkpoint is passed over."""

import json
import math

import numpy as np
import pytest

from robust_saliency.core import files
from robust_saliency.core.files import DamagedFileError
from robust_saliency.training import checkpoints
from robust_saliency.training.notes import check_notes, notes_of, numbers_of

ROWS = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": math.nan}]
GOOD = notes_of(ROWS, [{"loss": np.float32(0.25)}], {2: 0.5}, {"a": ("loss became nan", 3)})
STATE = {"w": np.ones(3)}


def test_notes_are_read_as_they_were_written(tmp_path):
  checkpoints.save(tmp_path, 2, STATE, notes=GOOD)
  notes = checkpoints.restore(tmp_path, STATE, check_notes=check_notes).notes
  np.testing.assert_equal(numbers_of(notes["rows"]), ROWS)
  assert notes["recent"] == [{"loss": 0.25}]
  assert notes["scores"] == {"2": 0.5}
  assert notes["diverged"] == {"a": ["loss became nan", 3]}


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    ({"rows": 5}, "notes: rows must be a list"),
    ({"rows": [{"loss": 1}]}, r"rows\.0 needs the field 'step'"),
    ({"rows": [{"step": 1, "loss": "low"}]}, "rows: loss must be a number or null"),
    ({"recent": None}, "recent must be a list"),
    ({"scores": []}, "scores must be fields"),
    ({"scores": {"last": 1}}, "scores must be those of whole numbers of steps"),
    ({"diverged": {"a": ["x"]}}, "diverged must be a reason and a step"),
    ({"diverged": {"a": 5}}, r"diverged\.a must be a list"),
  ],
)
def test_strange_notes_are_refused_by_name_and_their_checkpoint_passed_over(
  change, sentence, tmp_path, caplog
):
  notes = {**GOOD, **change}
  with pytest.raises(DamagedFileError, match=sentence):
    check_notes(json.loads(files.json_text(notes)), "step.json, notes")
  checkpoints.save(tmp_path, 2, STATE, notes=notes)
  with caplog.at_level("WARNING", logger="absl"):
    assert checkpoints.restore(tmp_path, STATE, check_notes=check_notes) is None
  assert "Skipping checkpoint" in caplog.text
  assert "step_000000002.json, notes" in caplog.text


@pytest.mark.parametrize("name", ["rows", "recent", "scores"])
def test_notes_that_are_missing_are_named(name):
  with pytest.raises(DamagedFileError, match=f"needs the field {name!r}"):
    check_notes({one: of for one, of in GOOD.items() if one != name}, "step.json")
