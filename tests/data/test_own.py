"""Data sets of one's own, written by NumPy and Pillow."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from robust_saliency import data

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), np.uint8)
CLASSES = np.arange(40) % 4


def archive(path, **arrays):
  np.savez(path, **arrays)
  return path


def test_an_archive_s_bytes_become_floats_between_the_bounds(tmp_path):
  path = archive(
    tmp_path / "mine.npz",
    **{"x_train": IMAGES[:30], "y_train": CLASSES[:30], "x_test": IMAGES[30:]},
    **{"y_test": CLASSES[30:, None], "classes": np.array(["a", "b", "c", "d"])},
  )
  dataset = data.load("npz", path=path)
  assert (dataset.name, dataset.classes) == ("mine", ("a", "b", "c", "d"))
  np.testing.assert_allclose(dataset.to_float(dataset.test.x), IMAGES[30:] / 255, atol=1e-6)
  np.testing.assert_array_equal(dataset.test.y, CLASSES[30:])
  centred = data.load("npz", path=path, bounds=(-1, 1))
  np.testing.assert_allclose(centred.to_float(centred.test.x), IMAGES[30:] / 127.5 - 1, atol=1e-6)


def test_without_test_images_a_fifth_of_each_class_becomes_so_always_the_same(tmp_path):
  path = archive(tmp_path / "mine.npz", x_train=IMAGES[..., 0], y_train=CLASSES)
  one, other = data.load("npz", path=path), data.load("npz", path=path)
  assert one.image_shape == (6, 5, 1)
  assert np.bincount(one.test.y).tolist() == [2, 2, 2, 2]
  np.testing.assert_array_equal(one.test.x, other.test.x)
  together = np.concatenate([one.train.x, one.test.x])
  assert sorted(map(bytes, together)) == sorted(map(bytes, IMAGES[..., :1]))


def test_floats_are_taken_as_they_are_and_must_lie_within_the_bounds(tmp_path):
  x = IMAGES.astype(np.float64) / 127.5 - 1
  path = archive(tmp_path / "mine.npz", x_train=x, y_train=CLASSES)
  dataset = data.load("npz", path=path, bounds=(-1, 1))
  assert dataset.train.x.dtype == np.float32
  assert dataset.to_float(dataset.train.x).min() >= -1
  with pytest.raises(ValueError, match=r"pixels must lie within bounds \(0.0, 1.0\)"):
    data.load("npz", path=path)


def test_an_archive_s_own_bounds_are_those_of_its_pixels_unless_others_are_given(tmp_path):
  arrays = {"x_train": IMAGES, "y_train": CLASSES, "bounds": np.array([-0.5, 0.5])}
  path = archive(tmp_path / "mine.npz", **arrays)
  dataset = data.load("npz", path=path)
  assert dataset.bounds == (-0.5, 0.5)
  together = np.concatenate([dataset.train.x, dataset.test.x])
  np.testing.assert_allclose(
    np.sort(dataset.to_float(together), axis=None), np.sort(IMAGES, axis=None) / 255 - 0.5,
    atol=1e-6,
  )  # fmt: skip
  assert data.load("npz", path=path, bounds=(0, 1)).bounds == (0.0, 1.0)
  floats = archive(tmp_path / "floats.npz", **{**arrays, "x_train": IMAGES / 255 - 0.5})
  for stored in (path, floats):
    moved = data.load("npz", path=stored, bounds=(-1, 1))
    pixels = moved.to_float(np.concatenate([moved.train.x, moved.test.x]))
    assert (pixels.min(), pixels.max()) == pytest.approx((-1, 1), abs=1e-6)
  for wrong in ([0.5], [1.0, 0.0], ["a", "b"], 3.0):
    bad = archive(tmp_path / "bad.npz", **{**arrays, "bounds": np.array(wrong)})
    with pytest.raises((ValueError, TypeError), match=r"bad\.npz: bounds must be"):
      data.load("npz", path=bad)


@pytest.mark.parametrize(
  ("arrays", "sentence"),
  [
    ({"x_train": IMAGES}, "must have both x_train and y_train"),
    ({"images": IMAGES}, "must have x_train and y_train, got images"),
    ({"x_train": IMAGES[0, 0], "y_train": CLASSES}, "x_train must be images"),
    ({"x_train": IMAGES.astype(int), "y_train": CLASSES}, "x_train must be images"),
    ({"x_train": IMAGES, "y_train": CLASSES[:9]}, "y_train must have one whole number for each"),
    ({"x_train": IMAGES, "y_train": CLASSES / 2}, "y_train must have one whole number for each"),
    ({"x_train": IMAGES, "y_train": CLASSES - 1}, "classes from 0 on, got -1 to 2"),
    ({"x_train": IMAGES[:3], "y_train": CLASSES[:3]}, "must have at least 5 images, got 3"),
    ({"x_train": np.array([None]), "y_train": CLASSES}, "without pickled objects"),
  ],
)
def test_archives_that_are_no_data_set_are_refused_by_what_is_wrong(tmp_path, arrays, sentence):
  path = archive(tmp_path / "mine.npz", **arrays)
  with pytest.raises(ValueError, match=sentence):
    data.load("npz", path=path)


def write(folder, images, mode=None):
  folder.mkdir(parents=True)
  for i, image in enumerate(images):
    (Image.fromarray(image) if mode is None else Image.fromarray(image).convert(mode)).save(
      folder / f"{i:03}.png"
    )


def test_a_folder_for_each_class_and_split_is_a_data_set(tmp_path):
  for split, part in (("train", slice(30)), ("test", slice(30, 40))):
    for label, name in enumerate(("ant", "bee", "cat", "dog")):
      write(tmp_path / split / name, IMAGES[part][CLASSES[part] == label])
  dataset = data.load("folder", path=tmp_path)
  assert dataset.classes == ("ant", "bee", "cat", "dog")
  assert (len(dataset.train), len(dataset.test)) == (30, 10)
  bees = dataset.test.x[dataset.test.y == 1]
  assert sorted(map(bytes, bees)) == sorted(map(bytes, IMAGES[30:][CLASSES[30:] == 1]))
  # Whoever looks at the first images sees several classes.
  assert len(set(dataset.train.y[:8].tolist())) > 1
  again = data.load("folder", path=tmp_path)
  np.testing.assert_array_equal(again.train.x, dataset.train.x)


def test_an_archive_that_is_sorted_by_class_is_mixed_and_any_other_left(tmp_path):
  order = np.argsort(CLASSES, kind="stable")
  path = archive(tmp_path / "sorted.npz", x_train=IMAGES[order], y_train=CLASSES[order])
  dataset = data.load("npz", path=path)
  for split in (dataset.train, dataset.test):
    assert np.count_nonzero(np.diff(split.y)) > 3
  pairs = {bytes(x): y for x, y in zip(IMAGES, CLASSES, strict=True)}
  assert all(pairs[bytes(x)] == y for x, y in zip(dataset.train.x, dataset.train.y, strict=True))


def test_two_classes_of_one_name_are_refused(tmp_path):
  names = np.array(["cat", "dog", "cat", "ant"])
  path = archive(tmp_path / "mine.npz", x_train=IMAGES, y_train=CLASSES, classes=names)
  with pytest.raises(ValueError, match="classes must have names that differ, two are 'cat'"):
    data.load("npz", path=path)


def test_grey_images_have_one_channel_and_one_fifth_is_for_testing(tmp_path):
  write(tmp_path / "a", IMAGES[:10], "L")
  write(tmp_path / "b", IMAGES[10:20], "L")
  dataset = data.load("folder", path=tmp_path)
  assert dataset.image_shape == (6, 5, 1)
  assert np.bincount(dataset.test.y).tolist() == [2, 2]


def test_a_table_of_labels_says_class_and_split(tmp_path):
  write(tmp_path / "images", IMAGES)
  splits = ["train"] * 30 + ["test"] * 10
  rows = [f"images/{i:03}.png,c{CLASSES[i]},{splits[i]}" for i in range(40)]
  (tmp_path / "labels.csv").write_text("\n".join(["file,label,split", *rows]))
  dataset = data.load("folder", path=tmp_path)
  np.testing.assert_array_equal(dataset.train.x, IMAGES[:30])
  np.testing.assert_array_equal(dataset.test.y, CLASSES[30:])
  # As spreadsheets write it, with a mark of the encoding before the first heading.
  (tmp_path / "labels.csv").write_text("\n".join(["file,label,split", *rows]), "utf-8-sig")
  np.testing.assert_array_equal(data.load("folder", path=tmp_path).test.y, CLASSES[30:])
  (tmp_path / "labels.csv").write_text("file,label\nimages/000.png,a\nimages/001.png,\n")
  with pytest.raises(ValueError, match=r"labels.csv, line 3: 'images/001.png' has no label"):
    data.load("folder", path=tmp_path)
  (tmp_path / "labels.csv").write_text("file,label\nimages/999.png,c")
  with pytest.raises(FileNotFoundError, match=r"line 2: there is no file 'images/999.png'"):
    data.load("folder", path=tmp_path)


def test_folders_that_are_no_data_set_are_refused_by_what_is_wrong(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"dataset.path names no folder"):
    data.load("folder", path=tmp_path / "nothing")
  with pytest.raises(ValueError, match="no training image found"):
    data.load("folder", path=tmp_path)
  write(tmp_path / "split" / "train" / "a", IMAGES[:5])
  (tmp_path / "split" / "test" / "a").mkdir(parents=True)
  with pytest.raises(ValueError, match=r"split/test must have a folder of images for each class"):
    data.load("folder", path=tmp_path / "split")
  write(tmp_path / "a", [*IMAGES[:5], IMAGES[0, :3]])
  with pytest.raises(ValueError, match="all images must have one size, got 2: 5x6, 5x3"):
    data.load("folder", path=tmp_path)
  (tmp_path / "a" / "000.png").write_bytes(b"no image")
  with pytest.raises(ValueError, match=r"000.png cannot be read as an image"):
    data.load("folder", path=tmp_path)


def test_images_of_a_split_that_there_is_not_are_refused_and_not_passed_over(tmp_path):
  for split in ("train", "val"):
    write(tmp_path / "folders" / split / "a", IMAGES[:5])
  (tmp_path / "folders" / ".cache").mkdir()
  with pytest.raises(ValueError, match=r"beside 'train', must be one of train, .* got 'val'"):
    data.load("folder", path=tmp_path / "folders")
  of_train = {"x_train": IMAGES, "y_train": CLASSES}
  for wrong in ("x_val", "Y_test"):
    path = archive(tmp_path / "mine.npz", **of_train, **{wrong: CLASSES})
    with pytest.raises(ValueError, match=f"must be one of x_train, .* got '{wrong}'"):
      data.load("npz", path=path)
  assert len(data.load("npz", path=archive(tmp_path / "more.npz", **of_train, ids=CLASSES)).train)


def test_a_path_belongs_to_one_s_own_images_alone(tmp_path):
  with pytest.raises(ValueError, match="dataset 'digits' must have no path"):
    data.load("digits", path=tmp_path)
  with pytest.raises(ValueError, match="dataset 'npz' must have a path; got none"):
    data.load("npz")


@pytest.mark.parametrize(
  ("mode", "pixel", "sentence"),
  [
    ("I;16", 40000, "must have 8 bits a channel, got 16; an .npz file takes other numbers"),
    ("F", 0.5, "must have 8 bits a channel, got Pillow's mode 'F'"),
    ("RGBA", (1, 2, 3, 200), "must be opaque, got transparent pixels"),
    ("LA", (1, 254), "must be opaque, got transparent pixels"),
  ],
)
def test_pixels_that_bytes_cannot_hold_are_refused(tmp_path, mode, pixel, sentence):
  folder = tmp_path / "a"
  folder.mkdir()
  Image.new(mode, (5, 6), pixel).save(folder / ("0.tiff" if mode == "F" else "0.png"))
  with pytest.raises(ValueError, match=sentence):
    data.load("folder", path=tmp_path)


def test_colours_of_16_bits_are_refused_though_pillow_would_halve_them(tmp_path):
  folder, pixels = tmp_path / "a", np.arange(12, dtype=">u2").tobytes()
  folder.mkdir()

  def chunk(kind, content):
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

  rows = b"".join(b"\0" + pixels[12 * i : 12 * i + 12] for i in range(2))
  header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
  png = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
  of_16_bits = {
    "0.png": b"\x89PNG\r\n\x1a\n" + png,
    "0.ppm": b"P6\n2 2\n65535\n" + pixels,
  }
  for name, content in of_16_bits.items():
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} must have 8 bits a channel, got 16; an .npz"):
      data.load("folder", path=tmp_path)
    (folder / name).unlink()


@pytest.mark.parametrize(
  ("mode", "pixel", "channels"), [("LA", (7, 255), 1), ("RGBA", (7,) * 3 + (255,), 3)]
)
def test_an_opaque_alpha_is_left_out(tmp_path, mode, pixel, channels):
  for label in "ab":
    folder = tmp_path / label
    folder.mkdir()
    for i in range(5):
      Image.new(mode, (5, 6), pixel).save(folder / f"{i}.png")
  dataset = data.load("folder", path=tmp_path)
  assert dataset.image_shape == (6, 5, channels)
  assert np.unique(dataset.train.x).tolist() == [7]
