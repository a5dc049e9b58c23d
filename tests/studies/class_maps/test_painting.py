"""Class maps as masks of single images."""

import jax
import linear
import numpy as np
import pytest

from robust_saliency import models
from robust_saliency.data import Dataset, Split
from robust_saliency.results.result import Result
from robust_saliency.studies import read_study, run_study
from robust_saliency.studies.class_maps.painting import MaskSettings, Painter
from robust_saliency.training import TrainedNetwork

KEY = jax.random.key(3)
VALUES = np.array([[0.0, 0, 3, 1], [2, 0, 0, 1]], np.float32)  # of two classes


def result(dataset):
  study = read_study("m", {"kind": "class_maps", "maps": {"a": {"name": "gradient"}}})
  layout = study.layout(("net",), (0,), dataset)
  arrays = {
    "importance": VALUES[None, None, None],
    "overall": VALUES.sum(axis=0)[None, None, None],
    "explained": np.ones((1, 1, 2), int),
    "rank_correlation": np.ones((1, 1, 1, 1)),
    "stability": np.ones((1, 4, 1, 1)),
    "specificity": np.ones((1, 1, 1)),
    "pictures": np.zeros((2, 2, 2, 1)),
    "maps": np.zeros((1, 1, 2, 2, 2)),
    "places": np.arange(4).reshape(2, 2),
  }
  return Result("m", study.kind, layout, arrays, {"clusters": None, "segments": "pixels"})


def painted(of, dataset, *, predicted=True):
  painter = Painter(result(dataset), dataset, batch_size=10)
  settings = MaskSettings(study="m", map="a", of=of)
  network, images = linear.network(0), dataset.test
  return painter.maps(settings, "net", network, KEY, images, predicted=predicted)


def test_one_map_of_all_classes_is_one_mask_and_equal_values_have_an_order(dataset):
  maps = painted("all classes", dataset)
  assert maps.shape == (37, 2, 2)
  assert (maps == maps[0]).all()
  ranks = maps[0].reshape(-1)
  assert sorted(ranks) == [0, 1, 2, 3]
  # 2, 0, 3, 2: the second pixel is last, the third first.
  assert (ranks[1], ranks[2]) == (0, 3)


@pytest.mark.parametrize("predicted", [True, False])
def test_a_map_of_the_class_is_that_of_the_prediction_or_of_the_truth(dataset, predicted):
  # Network 0 has labelled the images; here half of the labels are wrong.
  labels = np.where(np.arange(37) % 2, dataset.test.y, 1 - dataset.test.y)
  wrong = Dataset("wrong", dataset.train, None, Split(dataset.test.x, labels), dataset.classes)
  maps = painted("class", wrong, predicted=predicted).reshape(37, 4)
  classes = dataset.test.y if predicted else labels
  assert (maps.argmax(axis=1) == np.where(classes == 0, 2, 0)).all()


@pytest.mark.slow  # compiles LIME, a gradient and k-means' descriptions for one small image set
def test_superpixels_of_new_images_have_the_importance_of_their_clusters(tmp_path):
  """Images that are red on one side and blue on the other: the colours are two clusters."""
  random = np.random.default_rng(0)
  red = np.arange(8)[:, None] < 4
  x = np.where(red, np.array([0.9, 0.1, 0.1]), np.array([0.1, 0.1, 0.9]))
  x = (x + random.uniform(0, 0.02, (20, 8, 8, 3))).astype(np.float32)
  x[1::2] = x[1::2, :, ::-1]
  split = Split(x, (np.arange(20) % 2).astype(np.int32))
  dataset = Dataset("halves", split, None, split, ("left", "right"))
  module = models.build("digits", num_classes=2)
  network = TrainedNetwork(module, models.init(module, jax.random.key(0), (8, 8, 3)), 0)
  study = read_study("m", {
    "kind": "class_maps",
    "maps": {"NormLIME": {"rule": "normlime"}, "gradient": {"name": "gradient"},
             "variance": {"control": "variance"}},
    "segments": {"name": "slic", "segments": 4},
    "clusters": 2,
    "local": {"samples": 20, "fill": "mean"},
    "sizes": (1,),
    "of_each_class": 5,
  })  # fmt: skip
  found = run_study(
    "m", study, {"net": [network]}, dataset, key=KEY, seeds=(0,), directory=tmp_path
  )
  assert found.arrays["importance"].shape == (3, 1, 1, 2, 2)
  assert np.isfinite(found.arrays["importance"]).all()
  painter = Painter(found, dataset, batch_size=10)
  maps = painter.maps(
    MaskSettings(study="m", map="gradient"), "net", network, KEY, split, predicted=True
  )
  values = found.at("overall", method="gradient", model="net", seed=0)
  assert sorted(np.unique(maps)) == pytest.approx(sorted(values), rel=1e-6)
  # The same colour has the same importance, whichever side it is on.
  is_red = x[..., 0] > 0.5
  assert len(np.unique(maps[is_red])) == len(np.unique(maps[~is_red])) == 1
