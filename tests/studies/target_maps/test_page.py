import dataclasses
import io

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from robust_saliency.drawing.palette import WRONG, model_styles
from robust_saliency.drawing.saliency_panel import SIGNED_MAP
from robust_saliency.results.result import Result
from robust_saliency.studies.target_maps import TargetMaps

TEACHER = "PGD & <script>alert('x')</script> $\\frac$"
STUDY = TargetMaps(teacher=TEACHER, attribution={"name": "smoothgrad"})
STYLES = model_styles([TEACHER])


@pytest.fixture
def result():
  random = np.random.default_rng(0)
  arrays = {
    "images": random.random((3, 8, 8, 1)).astype(np.float32),
    "maps": random.standard_normal((3, 8, 8, 1)).astype(np.float32),
    "labels": np.array([0, 1, 2]),
    "zeros": np.array([0.25, np.nan]),
    "length": np.array([1.5, np.nan]),
  }
  metadata = {
    "maps": {},
    "source": "teacher",
    "teacher": TEACHER,
    "split": "train",
    "images": 60000,
    "method": {"name": "smoothgrad", "label": "SmoothGrad", "signed": True},
    "classes": ["zero", "one", "two"],
  }
  layout = STUDY.layout((TEACHER,), (7, 8), dataset=None)
  return Result("maps", "target_maps", layout, arrays, metadata)


def draw(result, metadata=None, **arrays):
  changed = dataclasses.replace(
    result,
    arrays={**result.arrays, **arrays},
    metadata={**result.metadata, **(metadata or {})},
  )
  return STUDY.page(changed, STYLES)


def colours(picture):
  image = Image.open(io.BytesIO(picture.png)).convert("RGB")
  return {colour: count for count, colour in image.getcolors(1 << 20)}


def test_the_table_has_a_row_for_each_seed_and_says_what_is_missing(result):
  (table,) = draw(result).tables
  (group,) = table.groups
  assert [(row.heading, row.cells) for row in group.rows] == [
    ("seed 7", ["25.0", "1.500"]),
    ("seed 8", ["n/a", "n/a"]),
  ]


def test_no_decision_is_told_of_a_network(result):
  (picture,) = draw(result).pictures
  wrong = tuple(int(WRONG[i : i + 2], 16) for i in (1, 3, 5))
  assert wrong not in colours(picture)
  assert "prediction" not in picture.caption + picture.alt
  assert TEACHER in picture.alt


def test_the_colours_are_those_of_signed_maps(result):
  maps = np.zeros((3, 8, 8, 1), np.float32)
  maps[0], maps[1] = 1.0, -0.5
  drawn = colours(draw(result, maps=maps).pictures[0])
  for position in (1.0, 0.25, 0.5):
    expected = colormaps[SIGNED_MAP](position, bytes=True)[:3]
    tile = sum(
      count for colour, count in drawn.items() if np.abs(np.subtract(colour, expected)).max() <= 2
    )
    assert tile > 2 * 145**2 / 3


def test_the_reader_is_told_what_was_made_of_what_and_by_whom(result):
  reading = draw(result).reading
  assert "60,000 images of the train split" in reading
  assert f"of {TEACHER}: SmoothGrad." in reading
  assert "those of seed 7." in reading
  untrained = draw(result, {"source": "untrained"}).reading
  assert f"of a network like {TEACHER}, untrained: SmoothGrad." in untrained


def test_maps_without_a_network_have_one_row_for_all_seeds(result):
  study = TargetMaps(source="edges")
  plain = {**result.arrays, "zeros": np.array(0.5), "length": np.array(2.0)}
  metadata = {
    **result.metadata,
    "source": "edges",
    "teacher": None,
    "method": {"name": "edges", "label": "the size of the slope", "signed": False},
  }
  layout = study.layout((), (), dataset=None)
  section = study.page(Result("maps", "target_maps", layout, plain, metadata), {})
  assert [row.heading for row in section.tables[0].groups[0].rows] == ["all seeds"]
  assert "of no network: the size of the slope." in section.reading
  assert "symmetric" not in section.pictures[0].caption


def test_maps_that_are_missing_are_drawn_as_such(result):
  caption = draw(result, maps=np.full((3, 8, 8, 1), np.nan)).pictures[0].caption
  assert "192 values were not finite and are grey." in caption


def test_many_examples_make_several_panels(result):
  random = np.random.default_rng(0)
  (first, second) = draw(
    result,
    images=random.random((13, 4, 4, 1)),
    maps=random.standard_normal((13, 4, 4, 1)),
    labels=np.zeros(13, int),
  ).pictures
  assert (first.name, second.name) == ("examples 1 to 10", "examples 11 to 13")
