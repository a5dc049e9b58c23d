"""Where the real sets are, and a tiny set that TFDS itself writes."""

import io
import os
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "tensorflow_datasets"


@pytest.fixture(scope="session")
def real_data_dir() -> Path:
  """TFDS's directory with the real sets."""
  data_dir = Path(os.environ.get("TFDS_DATA_DIR") or SHARED)
  if not (data_dir / "mnist").is_dir():
    pytest.skip(f"MNIST is not prepared in {data_dir}; set TFDS_DATA_DIR to where it is")
  return data_dir


def random_images(examples: int, height: int = 4, width: int = 5) -> np.ndarray:
  shape = (examples, height, width, 3)
  return np.random.RandomState(examples).randint(0, 256, shape).astype(np.uint8)


@pytest.fixture(scope="session")
def tiny_builder():
  """A registered TFDS set "tiny": 2,500 + 10 colour images, and the images it is made of."""
  import tensorflow_datasets as tfds

  class Tiny(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")
    pkg_dir_path = Path(__file__).parent  # else TFDS looks for both with importlib_resources,
    code_path = None  # which is not there without the extra `prepare`
    images: ClassVar = {"train": random_images(2500), "test": random_images(10)}
    classes = ("even", "odd")

    def _info(self):
      features = {
        "image": tfds.features.Image(shape=self.images["test"].shape[1:]),
        "label": tfds.features.ClassLabel(names=self.classes),
      }
      return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
      return {split: self._generate_examples(split) for split in self.images}

    def _generate_examples(self, split):
      for i, image in enumerate(self.images[split]):
        png = io.BytesIO()
        Image.fromarray(image).save(png, "PNG")
        yield i, {"image": png.getvalue(), "label": int(image.sum()) % len(self.classes)}

  return Tiny


@pytest.fixture(scope="session")
def tiny_data_dir(tiny_builder, tmp_path_factory) -> Path:
  """A directory in which TFDS prepared "tiny" as array_record."""
  data_dir = tmp_path_factory.mktemp("tensorflow_datasets")
  tiny_builder(data_dir=data_dir, file_format="array_record").download_and_prepare()
  return data_dir


@pytest.fixture(scope="session")
def tiny_svhn_builder(tiny_builder):
  """TFDS's "svhn_cropped" but for its size: 90 + 150 + 20 images of noise."""
  import tensorflow_datasets as tfds

  # Not registered: TFDS has a set of that name.
  class SvhnCropped(tiny_builder, skip_registration=True):
    VERSION = tfds.core.Version("3.1.0")
    images: ClassVar = {
      "train": random_images(90, 32, 32),
      "extra": random_images(150, 32, 32),
      "test": random_images(20, 32, 32),
    }
    classes = tuple("0123456789")

  return SvhnCropped


@pytest.fixture(scope="session")
def tiny_svhn_data_dir(tiny_svhn_builder, tmp_path_factory) -> Path:
  """A directory in which TFDS prepared it as array_record."""
  data_dir = tmp_path_factory.mktemp("tensorflow_datasets")
  tiny_svhn_builder(data_dir=data_dir, file_format="array_record").download_and_prepare()
  return data_dir
