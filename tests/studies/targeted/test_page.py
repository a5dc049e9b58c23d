import dataclasses
import io
import types

import numpy as np
import pytest
from PIL import Image

from robust_saliency.drawing.palette import WRONG, model_styles
from robust_saliency.results.result import Result
from robust_saliency.studies.targeted import Targeted, page
from robust_saliency.studies.targeted.reading import target_rate

MODELS = ("plain", "a & b")
LABELS = np.array([0, 0, 1, 1, 2, 2])


def made_result(arrays, *, models=MODELS, classes=("zero", "one", "two"), frames=None):
  """Of six or more originals and one seed; the outsiders' reading, rates and strokes are added."""
  study = Targeted(attack={"name": "tgsm"}, frames=frames)
  layout = study.layout(models, (7,), types.SimpleNamespace(classes=classes))
  of_outsiders = np.broadcast_to(
    arrays["labels"][:, None], (len(models), 2, *arrays["predictions"].shape[2:])
  )
  predictions = np.concatenate([arrays["predictions"], of_outsiders], axis=1)[:, :, None]
  metadata = {"attack": {"name": "tgsm", "label": "Iterated TGSM"}}
  made = {
    "predictions": predictions,
    "target_rate": target_rate(predictions, arrays["labels"]),
    **dict.fromkeys(
      ("stroke_size", "stroke_ratio"), np.ones((len(models), 1, len(arrays["labels"])))
    ),
    "targets": np.arange(len(classes)),
  }
  return Result("led", "targeted", layout, {**arrays, **made}, metadata)


def draw(result):
  return Targeted(attack={"name": "tgsm"}).page(result, model_styles(MODELS))


@pytest.fixture
def arrays():
  """Two networks, three classes of two images; `plain` fails to lead the first to class 2."""
  random = np.random.default_rng(0)
  predictions = np.broadcast_to(np.arange(3), (2, 2, 6, 3)).copy()
  predictions[0, 0, 0, 2] = 1
  predictions[0, 1] = LABELS[:, None]  # the other network reads the labels of plain's images
  return {
    "adversarial": random.integers(0, 256, (2, 6, 3, 8, 8, 1), dtype=np.uint8),
    "images": random.integers(0, 256, (6, 8, 8, 1), dtype=np.uint8),
    "labels": LABELS,
    "positions": np.array([4, 9, 0, 3, 1, 2]),
    "predictions": predictions,
    "frames": random.integers(0, 256, (2, 3, 3, 4, 8, 8, 1), dtype=np.uint8),
    "framed": np.array([0, 2, 4]),
  }


@pytest.fixture
def result(arrays):
  return made_result(arrays, frames=(0, 5, 10, 15))


@pytest.fixture
def section(result):
  return draw(result)


def red(picture):
  image = Image.open(io.BytesIO(picture.png)).convert("RGB")
  wanted = [int(WRONG[i : i + 2], 16) for i in (1, 3, 5)]
  return (np.asarray(image) == wanted).all(axis=-1).sum()


def test_the_table_tells_who_reads_the_targets(section):
  (table,) = section.tables
  plain, other = table.groups[0].rows
  # 11 of 12 images are read by plain itself, none by the other, whose own all are.
  assert plain.cells == ["91.7", "0.0", "0.0", "0.0"]
  assert other.cells == ["100.0", "100.0", "0.0", "0.0"]


def test_there_is_a_grid_and_a_strip_per_network(section):
  assert [picture.name for picture in section.pictures] == [
    "plain grid", "a & b grid", "plain steps", "a & b steps",
  ]  # fmt: skip
  assert "91.7 % are classified as their target by plain itself" in section.pictures[0].alt


def test_only_missed_targets_are_marked(section):
  assert red(section.pictures[0]) > 100
  assert red(section.pictures[1]) == 0


def test_without_frames_there_are_no_strips(arrays):
  without = {name: values for name, values in arrays.items() if "frame" not in name}
  assert len(draw(made_result(without)).pictures) == 2


def test_the_sheets_hold_every_rate_and_every_image(section):
  rates, images = section.sheets
  assert ["tgsm", "plain", "a & b", 0.0, 6] in rates.rows
  assert ["tgsm", "a & b", "nearest neighbour", 0.0, 6] in rates.rows
  assert len(images.rows) == 2 * 6 * 3
  assert ["plain", 4, "zero", "two", "one", *["zero"] * 3] in images.rows


def test_a_small_report_keeps_pictures_in_few_greys_and_changes_them_once(result):
  kept = Targeted.without_derived(result)
  for name in ("adversarial", "frames"):
    exact = page.only_drawn(result).arrays[name].astype(int)
    assert np.unique(kept.arrays[name]).size <= 16
    assert np.abs(kept.arrays[name].astype(int) - exact).max() <= 8
  for name, array in Targeted.without_derived(kept).arrays.items():
    np.testing.assert_array_equal(array, kept.arrays[name])


def test_many_classes_are_cut_to_what_can_be_read():
  shape = (1, 12, 12)
  arrays = {
    "adversarial": np.zeros((*shape, 8, 8, 3), np.uint8), "images": np.zeros((12, 8, 8, 3)),
    "labels": np.arange(12), "positions": np.arange(12),
    "predictions": np.zeros((1, *shape), int),
  }  # fmt: skip
  classes = tuple(f"class {i}" for i in range(12))
  section = draw(made_result(arrays, models=("plain",), classes=classes))
  assert "The first 10 of 12 classes are shown." in section.pictures[0].caption
  assert section.tables[0].columns == [
    "Attacked network",
    "plain",
    "nearest neighbour",
    "linear classifier",
  ]


def test_a_network_without_numbers_has_no_pictures(result):
  struck = {
    name: result.arrays[name].astype(np.float64)
    for name in ("predictions", "adversarial", "frames", "target_rate")
  }
  for values in struck.values():
    values[1] = np.nan
  for name in ("predictions", "target_rate"):
    struck[name][:, 1] = np.nan
  section = draw(dataclasses.replace(result, arrays={**result.arrays, **struck}))
  assert [picture.name for picture in section.pictures] == ["plain grid", "plain steps"]
  assert section.pictures[0].png == draw(result).pictures[0].png
  plain, other = section.tables[0].groups[0].rows
  assert plain.cells[:2] == ["91.7", "n/a"]
  assert set(other.cells) == {"n/a"}
  assert plain.cells[2:] == ["0.0", "0.0"]
  assert ["plain", 4, "zero", "two", "one", "n/a", "zero", "zero"] in section.sheets[1].rows
  assert len(section.sheets[1].rows) == 6 * 3
