import dataclasses
import io

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from robust_saliency.drawing.palette import WRONG, model_styles
from robust_saliency.report import saliency


def draw(study, **arrays):
  study = dataclasses.replace(study, arrays={**study.arrays, **arrays})
  return saliency.section(study, model_styles(study.facts["models"]))


def colours(picture):
  image = Image.open(io.BytesIO(picture.png)).convert("RGB")
  return {colour: count for count, colour in image.getcolors(1 << 20)}


def rgb(hexadecimal):
  return tuple(int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5))


def test_only_wrong_predictions_are_marked(saliency_study):
  labels = saliency_study.arrays["labels"]
  right = draw(saliency_study, predictions=np.stack([labels, labels])).pictures[0]
  wrong = draw(saliency_study).pictures[0]
  assert rgb(WRONG) not in colours(right)
  assert colours(wrong)[rgb(WRONG)] > 1000
  assert "Wrong predictions: standard 0 of 3;" in wrong.alt


def test_the_colour_scale_is_symmetric_and_common_to_a_row(saliency_study):
  # Channels sum to +2, -1 and 0: the extreme red, half the way to blue, and white.
  maps = np.zeros((2, 3, 8, 8, 2), np.float32)
  maps[:, 0], maps[:, 1] = 1.0, -0.5
  images = np.zeros((3, 8, 8, 2), np.float32)
  drawn = colours(draw(saliency_study, maps=maps, images=images).pictures[0])
  for position in (1.0, 0.25, 0.5):
    expected = colormaps[saliency.SIGNED_MAP](position, bytes=True)[:3]
    tile = sum(
      count for colour, count in drawn.items() if np.abs(np.subtract(colour, expected)).max() <= 2
    )
    assert tile > 2 * 145**2


def test_the_scale_is_the_named_percentile_of_the_rows_sizes():
  maps = np.linspace(-1, 0, 2001).reshape(3, 23, 29)
  assert saliency.scale(maps) == pytest.approx(0.995)


def test_a_row_of_zeros_and_one_of_values_that_are_not_finite_are_drawn(saliency_study):
  maps = np.zeros((2, 3, 8, 8, 1), np.float32)
  maps[1, 0, 0, :4, 0] = np.nan
  caption = draw(saliency_study, maps=maps).pictures[0].caption
  assert "4 values were not finite and are grey." in caption


def test_one_extreme_pixel_does_not_hide_the_rest():
  maps = np.zeros((1, 8, 8))
  maps[0, 0, 0] = 5.0
  assert 0 < saliency.scale(maps) <= 5.0


def test_unsigned_maps_use_a_sequential_scale(saliency_study):
  method = {"name": "g", "label": "Size of the gradient", "signed": False}
  study = dataclasses.replace(saliency_study, facts={**saliency_study.facts, "method": method})
  section = draw(study, maps=np.abs(saliency_study.arrays["maps"]))
  assert "Dark is large" in section.reading
  assert "symmetric" not in section.pictures[0].caption


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (12, 20, 2)])
def test_images_of_any_shape_are_drawn(saliency_study, shape):
  random = np.random.default_rng(0)
  maps = random.standard_normal((2, 3, *shape))
  (picture,) = draw(saliency_study, images=random.random((3, *shape)), maps=maps).pictures
  assert Image.open(io.BytesIO(picture.png)).size[0] > 500


def test_many_examples_make_several_panels(saliency_study):
  random = np.random.default_rng(0)
  (first, second) = draw(
    saliency_study,
    images=random.random((13, 4, 4, 1)),
    maps=random.standard_normal((2, 13, 4, 4, 1)),
    labels=np.zeros(13, int),
    predictions=np.zeros((2, 13), int),
  ).pictures
  assert (first.name, second.name) == ("examples 1 to 10", "examples 11 to 13")


def test_the_sheet_names_labels_and_predictions(saliency_study):
  (sheet,) = draw(saliency_study).sheets
  assert [1, "one", saliency_study.facts["models"][1], "two"] in sheet.rows


def test_the_reader_is_told_which_seeds_networks_are_shown(saliency_study):
  facts = {**saliency_study.facts, "seed": 7}
  section = draw(dataclasses.replace(saliency_study, facts=facts))
  assert section.reading.endswith("The networks are those of seed 7.")
  assert "seed" not in draw(saliency_study).reading


def test_a_label_stands_in_a_sentence_of_its_own(saliency_study):
  method = {"name": "g", "label": "Gradient of H, red: brighter", "signed": True}
  study = dataclasses.replace(saliency_study, facts={**saliency_study.facts, "method": method})
  section = draw(study)
  assert " Shown: Gradient of H, red: brighter. " in section.reading
  assert section.pictures[0].caption.startswith("Shown: Gradient of H, red: brighter. Maps are")
  assert " Shown: Gradient of H, red: brighter. " in section.pictures[0].alt


def test_classes_may_be_a_number(saliency_study):
  facts = {**saliency_study.facts, "classes": 3}
  (sheet,) = draw(dataclasses.replace(saliency_study, facts=facts)).sheets
  assert [1, "1", saliency_study.facts["models"][1], "2"] in sheet.rows


def test_maps_of_another_size_than_the_images_are_refused(saliency_study):
  with pytest.raises(
    ValueError, match=r"array 'maps' of study 'gradients' .* got \[2, 3, 9, 8, 1\]"
  ):
    draw(saliency_study, maps=np.zeros((2, 3, 9, 8, 1)))
