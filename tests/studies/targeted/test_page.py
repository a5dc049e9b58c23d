import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from robust_saliency.drawing.palette import WRONG, model_styles
from robust_saliency.report import targeted
from robust_saliency.studies.result import StudyResult

MODELS = ["plain", "a & b"]
LABELS = np.array([0, 0, 1, 1, 2, 2])


@pytest.fixture
def study():
  """Two networks, three classes of two images; `plain` fails to lead the first to class 2."""
  random = np.random.default_rng(0)
  predictions = np.broadcast_to(np.arange(3), (2, 2, 6, 3)).copy()
  predictions[0, 0, 0, 2] = 1
  predictions[0, 1] = LABELS[:, None]  # the other network reads the labels of plain's images
  return StudyResult(
    "led",
    "targeted",
    {
      "adversarial": random.integers(0, 256, (2, 6, 3, 8, 8, 1), dtype=np.uint8),
      "images": random.integers(0, 256, (6, 8, 8, 1), dtype=np.uint8),
      "labels": LABELS,
      "positions": np.array([4, 9, 0, 3, 1, 2]),
      "targets": np.arange(3),
      "predictions": predictions,
      "frames": random.integers(0, 256, (2, 3, 3, 4, 8, 8, 1), dtype=np.uint8),
      "framed": np.array([0, 2, 4]),
    },
    {
      "models": MODELS,
      "seed": 7,
      "classes": ["zero", "one", "two"],
      "attack": {"name": "tgsm", "label": "Iterated TGSM", "settings": {}},
      "frames": [0, 5, 10, 15],
    },
  )


@pytest.fixture
def section(study):
  return targeted.section(study, model_styles(MODELS))


def red(picture):
  image = Image.open(io.BytesIO(picture.png)).convert("RGB")
  wanted = [int(WRONG[i : i + 2], 16) for i in (1, 3, 5)]
  return (np.asarray(image) == wanted).all(axis=-1).sum()


def test_the_table_tells_who_reads_the_targets(section):
  (table,) = section.tables
  plain, other = table.groups[0].rows
  # 11 of 12 images are read by plain itself, none by the other, whose own all are.
  assert plain.cells == ["91.7", "0.0", "0.0"]
  assert other.cells == ["100.0", "100.0", "100.0"]


def test_there_is_a_grid_and_a_strip_per_network(section):
  assert [picture.name for picture in section.pictures] == [
    "plain grid", "a & b grid", "plain steps", "a & b steps",
  ]  # fmt: skip
  assert "91.7 % are read as their target by plain itself" in section.pictures[0].alt


def test_only_missed_targets_are_marked(section):
  assert red(section.pictures[0]) > 100
  assert red(section.pictures[1]) == 0


def test_without_frames_there_are_no_strips(study):
  arrays = {name: values for name, values in study.arrays.items() if "frame" not in name}
  facts = {**study.facts, "frames": []}
  plain = dataclasses.replace(study, arrays=arrays, facts=facts)
  assert len(targeted.section(plain, model_styles(MODELS)).pictures) == 2


def test_the_sheets_hold_every_rate_and_every_image(section):
  rates, images = section.sheets
  assert ["tgsm", "plain", "a & b", 0.0, 6] in rates.rows
  assert len(images.rows) == 2 * 6 * 3
  assert ["plain", 4, "zero", "two", "one", "zero"] in images.rows


def test_many_classes_are_cut_to_what_can_be_read(study):
  classes = [f"class {i}" for i in range(12)]
  shape = (1, 12, 12)
  arrays = {
    "adversarial": np.zeros((*shape, 8, 8, 3), np.uint8),
    "labels": np.arange(12), "positions": np.arange(12), "targets": np.arange(12),
    "predictions": np.zeros((1, *shape), int),
  }  # fmt: skip
  facts = {**study.facts, "models": ["plain"], "classes": classes, "frames": []}
  section = targeted.section(StudyResult("t", "targeted", arrays, facts), model_styles(MODELS))
  assert "The first 10 of 12 classes are shown." in section.pictures[0].caption
  assert section.tables[0].columns == ["Made for", "plain"]
