"""From a study's arrays to what people are shown."""

import io

import numpy as np
import pytest
from PIL import Image

from robust_saliency.drawing.small_images import image_png, map_png
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.votes.pictures import maps_of, pictures_to_compare, pictures_to_label
from tests.studies.votes import run_folder


def opened(png):
  with Image.open(io.BytesIO(png)) as image:
    return np.asarray(image.convert("RGB"))


def test_a_class_has_the_mean_of_its_images_maps_each_by_its_own_sum():
  result = run_folder.saliency(each=3)
  maps = maps_of(result).of_classes()
  sizes = np.abs(np.asarray(result.arrays["maps"], np.float64)[..., 0])
  own = sizes / sizes.sum(axis=(2, 3), keepdims=True)
  for label in range(10):
    np.testing.assert_allclose(
      maps.sizes[:, label], own[:, result.arrays["labels"] == label].mean(axis=1)
    )
  assert maps.of_classes() is maps
  assert [one.group for one in pictures_to_compare(maps)[0]][:2] == ["0", "0"]


def test_methods_are_compared_on_the_first_network_and_seed_of_a_study_that_has_them():
  axes = ("model", "method", "seed", "class", "height", "width")
  layout = Layout(
    {"maps": axes},
    {"model": ("a", "b"), "method": ("lime", "normlime"), "seed": (0, 1), "class": ("x", "y")},
  )
  values = np.random.default_rng(0).standard_normal((2, 2, 2, 2, 3, 4))
  maps = maps_of(Result("classes", "class_maps", layout, {"maps": values}))
  np.testing.assert_array_equal(maps.sizes, np.abs(values[0, :, 0]))
  assert (maps.axis, maps.names, maps.classes) == ("method", ("lime", "normlime"), ("x", "y"))
  assert maps.images is None
  assert maps.of(["normlime"]).names == ("normlime",)
  with pytest.raises(ValueError, match="compare must be one of lime, normlime; got 'nope'"):
    maps.of(["nope"])


def test_every_map_has_its_own_scale_so_that_strength_tells_nothing():
  sizes = np.random.default_rng(0).random((8, 8))
  assert map_png(sizes) == map_png(1000 * sizes)
  drawn = opened(map_png(np.array([[0.0, 1.0], [np.nan, 0.5]])))
  assert (drawn[0, 0] == 255).all()
  assert (drawn[1, 0] == 255).all()
  assert drawn[0, 1].sum() < drawn[1, 1].sum() < 3 * 255


def test_an_image_is_the_same_dot_for_dot():
  image = np.random.default_rng(0).integers(256, size=(5, 4, 3)).astype(np.uint8)
  np.testing.assert_array_equal(opened(image_png(image)), image)
  grey = opened(image_png(image[..., :1] / 255))
  np.testing.assert_array_equal(grey, image[..., :1].repeat(3, axis=-1))


def test_only_images_that_reached_their_target_are_shown_and_as_many_of_each_network():
  names, pictures, left_out = pictures_to_label(run_folder.targeted(each=2, missed=(3,)))
  assert names == run_folder.MODELS
  assert left_out == ["3"]
  assert all(picture.label != 3 and picture.target != picture.label for picture in pictures)
  assert len(pictures) == 3 * 9 * 2 * 9  # networks, classes, images, targets
  assert {picture.group for picture in pictures} == {
    f"{name}, {label}" for name in names for label in range(10) if label != 3
  }
  result = run_folder.targeted(each=2)
  picture = pictures_to_label(result, [names[1]])[1][7]
  adversarial = result.arrays["adversarial"][1, picture.position, picture.target]
  np.testing.assert_array_equal(opened(picture.png)[..., 0], adversarial[..., 0])


def test_studies_without_such_pictures_are_refused():
  with pytest.raises(ValueError, match=r"'gradients' \(saliency\) keeps no targeted images"):
    pictures_to_label(run_folder.saliency())
  with pytest.raises(
    ValueError, match=r"'images for people' .* keeps no maps that can be compared"
  ):
    maps_of(run_folder.targeted())
  with pytest.raises(ValueError, match="of no class does each of"):
    pictures_to_label(run_folder.targeted(missed=range(10)))
  with pytest.raises(ValueError, match="compare must be one of"):
    pictures_to_label(run_folder.targeted(), ["nope"])
