import shutil

import numpy as np
import pytest

from robust_saliency.data import check, load
from robust_saliency.data.svhn import global_contrast_normalization, ross_split, svhn

SIZES = {"train_per_class": 2, "extra_per_class": 3, "training_examples": 110}


@pytest.fixture
def tiny(tiny_svhn_data_dir, tmp_path):
  return svhn(tiny_svhn_data_dir, tmp_path / "cache", **SIZES)


def normalised_gray(image):
  """One image, by the formulas as they are printed."""
  red, green, blue = (image[..., i].astype(np.float64) for i in range(3))
  gray = 0.2989 * red + 0.5870 * green + 0.1140 * blue
  n = gray.size
  mean = gray.sum() / n
  deviation = np.sqrt(((gray - mean) ** 2).sum() / (n - 1))
  return ((gray - mean) / deviation).astype(np.float32)[..., None]


def test_images_are_gray_of_mean_zero_and_unit_deviation(tiny, tiny_svhn_builder):
  check(tiny)
  assert tiny.image_shape == (32, 32, 1)
  for split in tiny.splits.values():
    assert split.x.dtype == np.float32
    np.testing.assert_allclose(split.x.mean((1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(split.x.std((1, 2, 3), ddof=1), 1, rtol=1e-6)
  lowest = min(split.x.min() for split in tiny.splits.values())
  highest = max(split.x.max() for split in tiny.splits.values())
  assert tiny.bounds == (lowest, highest)
  np.testing.assert_array_equal(tiny.to_float(tiny.test.x), tiny.test.x)


def test_every_image_of_the_test_part_is_there_with_its_label(tiny, tiny_svhn_builder):
  images = tiny_svhn_builder.images["test"]
  assert len(tiny.test) == len(images)
  for image in images:
    distance = np.abs(tiny.test.x - normalised_gray(image)).max((1, 2, 3))
    assert distance.min() < 1e-5
    assert tiny.test.y[distance.argmin()] == image.sum() % 10


def test_validation_has_the_first_of_each_class_and_training_prefers_the_extra_part(
  tiny, tiny_svhn_builder
):
  # 240 images outside the test part, of which 2 and 3 of each class validate; 120 of the extra
  # part remain, so that no image of the train part trains.
  assert np.bincount(tiny.validation.y).tolist() == [5] * 10
  assert len(tiny.train) == 110
  extra = np.stack([normalised_gray(image) for image in tiny_svhn_builder.images["extra"]])
  for x in tiny.train.x:
    assert np.abs(extra - x).max((1, 2, 3)).min() < 1e-5


def test_positions_are_split_as_the_authors_code_splits_them():
  random = np.random.RandomState(1)
  train_y, extra_y = random.randint(0, 10, 300), random.randint(0, 10, 500)
  training, validation = ross_split(
    train_y, extra_y, train_per_class=4, extra_per_class=7, training_examples=600
  )
  expected = set()
  for label in range(10):
    expected |= {i for i, y in enumerate(extra_y) if y == label and sum(extra_y[:i] == label) < 7}
    expected |= {
      500 + i for i, y in enumerate(train_y) if y == label and sum(train_y[:i] == label) < 4
    }
  assert set(validation.tolist()) == expected
  assert len(validation) == len(expected) == 110
  # The extra part's remainder comes first, whole and shuffled; the train part's fills up.
  assert len(training) == len(set(training.tolist())) == 600
  assert not set(training.tolist()) & expected
  assert sorted(training[:430]) == sorted(set(range(500)) - expected)
  assert training[430:].min() >= 500
  assert (np.diff(training[:430]) < 0).any()


def test_a_flat_image_is_only_centred():
  flat = np.full((1, 4, 4, 1), 7.0)
  assert not global_contrast_normalization(flat).any()
  faint = flat.copy()
  faint[0, 0, 0, 0] += 1e-5
  assert np.abs(global_contrast_normalization(faint)).max() < 1e-5


def test_the_second_load_comes_from_the_cache(tiny, tiny_svhn_data_dir, tmp_path, monkeypatch):
  def refuse(*args):
    raise AssertionError("decoded again")

  monkeypatch.setattr("robust_saliency.data.svhn.decode", refuse)
  again = svhn(tiny_svhn_data_dir, tmp_path / "cache", **SIZES)
  for name, split in tiny.splits.items():
    np.testing.assert_array_equal(split.x, again.splits[name].x)
    np.testing.assert_array_equal(split.y, again.splits[name].y)
  with pytest.raises(AssertionError, match="decoded again"):  # another split is another entry
    svhn(tiny_svhn_data_dir, tmp_path / "cache", **{**SIZES, "training_examples": 50})


def test_the_colour_images_load_under_tfds_s_name(tiny_svhn_data_dir, tmp_path):
  colour = load("svhn_cropped", data_dir=tiny_svhn_data_dir, cache_dir=tmp_path)
  assert colour.image_shape == (32, 32, 3)
  assert (len(colour.train), len(colour.test), colour.bounds) == (90, 20, (0.0, 1.0))


def test_a_set_too_small_to_train_on_is_refused_in_one_sentence(tiny_svhn_data_dir, tmp_path):
  with pytest.raises(ValueError, match=r"^svhn has 240 images .*train_per_class=400 .*ask for few"):
    load("svhn", data_dir=tiny_svhn_data_dir, cache_dir=tmp_path)


def test_damaged_and_missing_files_are_said_in_one_sentence(tiny_svhn_data_dir, tmp_path):
  data_dir = shutil.copytree(tiny_svhn_data_dir, tmp_path / "data")
  (records,) = data_dir.glob("svhn_cropped/3.1.0/*extra.array_record*")
  content = bytearray(records.read_bytes())
  content[len(content) // 3] ^= 1
  records.write_bytes(content)
  with pytest.raises(ValueError, match=r"^svhn_cropped in .*3\.1\.0 cannot be decoded, .*damaged"):
    svhn(data_dir, tmp_path / "cache", **SIZES)
  (labels,) = data_dir.glob("svhn_cropped/3.1.0/label.labels.txt")
  labels.write_text(labels.read_text().replace("7", "G"))
  with pytest.raises(ValueError, match=r"^svhn_cropped in .* is damaged, its classes are .*, G, 8"):
    load("svhn_cropped", data_dir=data_dir, cache_dir=tmp_path / "cache")
  with pytest.raises(FileNotFoundError, match=r"svhn_cropped is not prepared .* prepare svhn_crop"):
    load("svhn", data_dir=tmp_path / "nothing")
