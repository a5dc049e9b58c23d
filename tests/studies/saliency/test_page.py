import dataclasses
import io

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from robust_saliency.drawing.palette import WRONG, model_styles
from robust_saliency.drawing.saliency_panel import SIGNED_MAP
from robust_saliency.results.result import Result
from robust_saliency.studies.saliency import Saliency

MODELS = ("standard", "PGD & <script>alert('x')</script> $\\frac$")
STUDY = Saliency(attribution={"name": "gradient"})


@pytest.fixture
def result():
  random = np.random.default_rng(0)
  arrays = {
    "images": random.random((3, 8, 8, 1)).astype(np.float32),
    "maps": random.standard_normal((2, 3, 8, 8, 1)).astype(np.float32),
    "labels": np.array([0, 1, 2]),
    "predictions": np.array([[0, 1, 2], [0, 2, 2]]),
  }
  metadata = {
    "method": {"name": "gradient", "label": "Gradient", "signed": True},
    "classes": ["zero", "one", "two"],
  }
  layout = STUDY.layout(MODELS, (7, 8), dataset=None)
  return Result("gradients", "saliency", layout, arrays, metadata)


def draw(result, method=None, **arrays):
  metadata = {**result.metadata, **({} if method is None else {"method": method})}
  result = dataclasses.replace(result, arrays={**result.arrays, **arrays}, metadata=metadata)
  return STUDY.page(result, model_styles(MODELS))


def colours(picture):
  image = Image.open(io.BytesIO(picture.png)).convert("RGB")
  return {colour: count for count, colour in image.getcolors(1 << 20)}


def rgb(hexadecimal):
  return tuple(int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5))


def test_only_wrong_predictions_are_marked(result):
  labels = result.arrays["labels"]
  right = draw(result, predictions=np.stack([labels, labels])).pictures[0]
  wrong = draw(result).pictures[0]
  assert rgb(WRONG) not in colours(right)
  assert colours(wrong)[rgb(WRONG)] > 1000
  assert "Wrong predictions: standard 0 of 3;" in wrong.alt


def test_the_colour_scale_is_symmetric_and_common_to_a_row(result):
  # Channels sum to +2, -1 and 0: the extreme red, half the way to blue, and white.
  maps = np.zeros((2, 3, 8, 8, 2), np.float32)
  maps[:, 0], maps[:, 1] = 1.0, -0.5
  images = np.zeros((3, 8, 8, 2), np.float32)
  drawn = colours(draw(result, maps=maps, images=images).pictures[0])
  for position in (1.0, 0.25, 0.5):
    expected = colormaps[SIGNED_MAP](position, bytes=True)[:3]
    tile = sum(
      count for colour, count in drawn.items() if np.abs(np.subtract(colour, expected)).max() <= 2
    )
    assert tile > 2 * 145**2


def test_a_row_of_zeros_and_one_of_values_that_are_not_finite_are_drawn(result):
  maps = np.zeros((2, 3, 8, 8, 1), np.float32)
  maps[1, 0, 0, :4, 0] = np.nan
  caption = draw(result, maps=maps).pictures[0].caption
  assert "4 values were not finite and are grey." in caption


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (12, 20, 2)])
def test_images_of_any_shape_are_drawn(result, shape):
  random = np.random.default_rng(0)
  maps = random.standard_normal((2, 3, *shape))
  (picture,) = draw(result, images=random.random((3, *shape)), maps=maps).pictures
  assert Image.open(io.BytesIO(picture.png)).size[0] > 500


def test_many_examples_make_several_panels(result):
  random = np.random.default_rng(0)
  (first, second) = draw(
    result,
    images=random.random((13, 4, 4, 1)),
    maps=random.standard_normal((2, 13, 4, 4, 1)),
    labels=np.zeros(13, int),
    predictions=np.zeros((2, 13), int),
  ).pictures
  assert (first.name, second.name) == ("examples 1 to 10", "examples 11 to 13")


def test_the_sheet_names_labels_and_predictions(result):
  (sheet,) = draw(result).sheets
  assert [1, "one", MODELS[1], "two"] in sheet.rows


def test_unsigned_maps_use_a_sequential_scale(result):
  method = {"name": "g", "label": "Size of the gradient", "signed": False}
  section = draw(result, method, maps=np.abs(result.arrays["maps"]))
  assert "Dark is large" in section.reading
  assert "symmetric" not in section.pictures[0].caption


def test_the_reader_is_told_which_seeds_networks_are_shown(result):
  assert draw(result).reading.endswith("The networks are those of seed 7.")


def test_a_label_stands_in_a_sentence_of_its_own(result):
  section = draw(result, {"name": "g", "label": "Gradient of H, red: brighter", "signed": True})
  assert " Shown: Gradient of H, red: brighter. " in section.reading
  assert section.pictures[0].caption.startswith("Shown: Gradient of H, red: brighter. Maps are")
  assert " Shown: Gradient of H, red: brighter. " in section.pictures[0].alt


def test_a_network_without_numbers_is_left_out(result):
  maps = result.arrays["maps"].astype(np.float64)
  predictions = result.arrays["predictions"].astype(np.float64)
  maps[0] = predictions[0] = np.nan
  section = draw(result, maps=maps, predictions=predictions)
  assert {row[2] for row in section.sheets[0].rows} == {MODELS[1]}
  assert "not finite" not in section.pictures[0].caption
  maps[1] = predictions[1] = np.nan
  assert not draw(result, maps=maps, predictions=predictions).sheets[0].rows


def test_maps_of_another_number_of_networks_are_refused(result):
  with pytest.raises(ValueError, match=r"must have shape \[model = 2, example, height, width, ch"):
    draw(result, maps=np.zeros((3, 3, 8, 8, 1)))
