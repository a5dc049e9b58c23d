import dataclasses

import jax
import linear
import numpy as np
import pytest
from scipy import ndimage

from robust_saliency import models
from robust_saliency.data import Dataset, Split
from robust_saliency.studies import run_study
from robust_saliency.studies.target_maps import TargetMaps, maps_of_seed
from robust_saliency.training import TrainedNetwork

KEY = jax.random.key(0)
GRADIENT = {"name": "gradient"}
SMOOTHGRAD = {"name": "smoothgrad", "samples": 3, "include_clean": True, "clip": True}


def made(study, networks, dataset, directory, seeds=(0, 2)):
  """The result, and seed -> its maps."""
  networks = {name: networks[name] for name in study.networks(networks)}
  result = run_study(
    "s", study, networks, dataset, key=KEY, seeds=seeds if networks else (), directory=directory
  )
  result = dataclasses.replace(result, folder=directory)
  found = {seed: maps_of_seed(result, seed) for seed in seeds}
  return result, {seed: np.load(file[0]) for seed, file in found.items() if file is not None}


@pytest.mark.parametrize("attribution", [GRADIENT, SMOOTHGRAD])
def test_maps_of_a_linear_teacher_are_its_weights_of_the_true_class(
  attribution, networks, dataset, tmp_path
):
  study = TargetMaps(teacher="first", attribution=attribution, batch_size=10, per_class=2)
  result, maps = made(study, networks, dataset, tmp_path)
  for seed in (0, 2):
    expected = linear.weights(seed)[:, dataset.train.y].T.reshape(37, 2, 2, 1)
    np.testing.assert_allclose(maps[seed], expected, rtol=1e-5)
    assert maps[seed].dtype == np.float32
    lengths = np.linalg.norm(expected.reshape(37, -1), axis=1)
    assert result.at("length", seed=seed) == pytest.approx(lengths.mean(), rel=1e-5)
  assert result.arrays["zeros"].tolist() == [0, 0]
  assert result.arrays["labels"].tolist() == [0, 0, 1, 1]
  first = [np.flatnonzero(dataset.train.y == label)[:2] for label in (0, 1)]
  np.testing.assert_array_equal(result.arrays["maps"], maps[0][np.concatenate(first)])
  assert sorted(path.name for path in tmp_path.iterdir()) == [
    f"seed_{seed}.npy{ending}" for seed in (0, 2) for ending in ("", ".sha256")
  ]


def curved(seed=0):
  module = models.build("mlp", hidden=(5,), dropout_rate=0.5, num_classes=2)
  variables = models.init(module, jax.random.key(seed), (2, 2, 1))
  return TrainedNetwork(module, variables, seed)


def test_neither_chunks_nor_devices_change_a_map(dataset, tmp_path):
  # A chunk of one image is on one device, the largest on all.
  networks = {"net": [curved()]}
  of_size = [
    made(
      TargetMaps(teacher="net", attribution=SMOOTHGRAD, batch_size=size),
      networks,
      dataset,
      tmp_path / str(size),
      seeds=(0,),
    )[1][0]
    for size in (37, 1)
  ]
  np.testing.assert_allclose(*of_size, rtol=1e-5, atol=1e-7)


def test_a_map_does_not_depend_on_the_other_images(dataset, tmp_path):
  part = dataclasses.replace(dataset, train=dataset.train.take(slice(11)))
  study = TargetMaps(teacher="net", attribution=SMOOTHGRAD)
  of_all, of_part = (
    made(study, {"net": [curved()]}, one, tmp_path / str(len(one.train)), seeds=(0,))[1][0]
    for one in (dataset, part)
  )
  np.testing.assert_allclose(of_part, of_all[:11], rtol=1e-5, atol=1e-7)


def test_seeds_have_noise_of_their_own(dataset, tmp_path):
  networks = {"net": [curved(), dataclasses.replace(curved(), seed=2)]}
  study = TargetMaps(teacher="net", attribution=SMOOTHGRAD)
  _, maps = made(study, networks, dataset, tmp_path)
  assert (maps[0] != maps[2]).mean() > 0.5


def test_an_untrained_network_is_of_the_teacher_s_architecture_and_no_student_s(dataset, tmp_path):
  # Neither the teacher's parameters nor those that a student of these seeds begins with.
  networks = {"net": [curved(0), curved(2)]}
  study = TargetMaps(source="untrained", teacher="net", attribution=GRADIENT)
  _, maps = made(study, networks, dataset, tmp_path / "a")
  _, own = made(dataclasses.replace(study, source="teacher"), networks, dataset, tmp_path / "b")
  nan = [dataclasses.replace(one, variables=None, diverged="nan") for one in networks["net"]]
  _, again = made(study, {"net": nan}, dataset, tmp_path / "c")
  for seed in (0, 2):
    np.testing.assert_array_equal(maps[seed], again[seed])
    cosine = (maps[seed] * own[seed]).sum() / np.linalg.norm(maps[seed]) / np.linalg.norm(own[seed])
    assert cosine < 0.99
  assert np.abs(maps[0] - maps[2]).max() > 0.01


def test_a_teacher_that_has_diverged_has_no_maps_and_its_numbers_are_missing(dataset, tmp_path):
  diverged = TrainedNetwork(curved().module, {}, 0, "the loss is NaN")
  study = TargetMaps(teacher="net", attribution=GRADIENT)
  result, maps = made(study, {"net": [diverged, curved(2)]}, dataset, tmp_path)
  assert list(maps) == [2]
  assert np.isnan(result.arrays["length"]).tolist() == [True, False]
  assert maps_of_seed(result, 0) is None
  result, maps = made(study, {"net": [diverged]}, dataset, tmp_path / "none", seeds=(0,))
  assert maps == {}
  assert np.isnan(result.arrays["maps"]).all()


@pytest.fixture
def photographs():
  """Bytes of three classes; the last one has a single image."""
  random = np.random.default_rng(0)
  x = random.integers(0, 256, (20, 5, 4, 2)).astype(np.uint8)
  y = np.array([0, 1] * 9 + [0, 2]).astype(np.int32)
  x[6] = x[2]  # equal images of one class
  train, test = Split(x, y), Split(x[::-1].copy(), y[::-1].copy())
  return Dataset("photographs", train, None, test, ("a", "b", "c"), scale=1 / 255)


def of_source(source, dataset, directory, **settings):
  study = TargetMaps(source=source, batch_size=7, **settings)
  result, maps = made(study, {}, dataset, directory)
  np.testing.assert_array_equal(maps[0], maps[2])
  return result, maps[0]


def test_the_image_itself_is_a_map(photographs, tmp_path):
  result, maps = of_source("image", photographs, tmp_path)
  np.testing.assert_array_equal(maps, photographs.to_float(photographs.train.x))
  assert result.arrays["zeros"] == pytest.approx((photographs.train.x == 0).mean())
  assert result.layout.coordinates == {}


def test_edges_are_sobel_s_by_scipy(photographs, tmp_path):
  _, maps = of_source("edges", photographs, tmp_path)
  images = photographs.to_float(photographs.train.x)
  for i, c in np.ndindex(20, 2):
    channel = images[i, ..., c]
    expected = np.hypot(ndimage.sobel(channel, axis=0), ndimage.sobel(channel, axis=1))
    np.testing.assert_allclose(maps[i, ..., c], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("split", ["train", "test"])
def test_class_means_are_of_the_training_images(split, photographs, tmp_path):
  _, maps = of_source("class_mean", photographs, tmp_path, split=split)
  own, train = getattr(photographs, split), photographs.train
  for i, label in enumerate(own.y):
    mean = (train.x[train.y == label] / 255).mean(axis=0)
    np.testing.assert_allclose(maps[i], mean - own.x[i] / 255, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("split", ["train", "test"])
def test_nearest_neighbours_are_other_training_images_of_the_class(split, photographs, tmp_path):
  _, maps = of_source("nearest_neighbour", photographs, tmp_path, split=split)
  own, train = getattr(photographs, split), photographs.train
  for i, label in enumerate(own.y):
    others = [j for j in np.flatnonzero(train.y == label) if split == "test" or j != i]
    if not others:
      assert not maps[i].any()
      continue
    distances = [np.sum((train.x[j].astype(int) - own.x[i]) ** 2) for j in others]
    nearest = train.x[others[int(np.argmin(distances))]]
    np.testing.assert_allclose(maps[i], nearest / 255 - own.x[i] / 255, rtol=1e-5, atol=1e-6)
  if split == "train":
    assert not maps[2].any()  # its equal is another image
    assert not maps[19].any()
  else:
    assert not maps.any()  # they are training images themselves


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({"teacher": "net"}, "maps of source 'teacher' need the field 'attribution'"),
    ({"source": "untrained", "attribution": GRADIENT}, "'untrained' need the field 'teacher'"),
    ({"source": "edges", "teacher": "net"}, "maps of source 'edges' have no teacher; leave it out"),
    ({"source": "image", "attribution": GRADIENT}, "'image' have no attribution; leave it out"),
    ({"source": "image", "models": ("net",)}, "models of target maps are their teacher alone"),
    ({"source": "image", "split": "validation"}, "maps of the validation split needs a validation"),
    ({"teacher": "net", "attribution": {"name": "gradiant"}}, "attribution: .*'gradient'"),
  ],
)
def test_what_could_not_be_made_is_refused(settings, sentence, dataset):
  with pytest.raises(ValueError, match=sentence):
    TargetMaps(**settings).check({"net": curved().module}, dataset)
