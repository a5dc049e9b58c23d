"""ROAR and KAR against a planted truth, and through interruption and divergence."""

import dataclasses
import functools
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from robust_saliency.attributions.faithfulness import important_pixels
from robust_saliency.data import Dataset, Split
from robust_saliency.drawing.palette import model_styles
from robust_saliency.models import build
from robust_saliency.models import init as init_model
from robust_saliency.results.result import Result
from robust_saliency.studies import read_study
from robust_saliency.studies.roar import remove_and_retrain, retraining
from robust_saliency.studies.roar.curves import Curves
from robust_saliency.studies.roar.removal import CONTROLS
from robust_saliency.studies.roar.retraining import fill_of
from robust_saliency.studies.roar.scores import area_over_control, slopes
from robust_saliency.training import Network, TrainedNetwork

MLP = {"name": "mlp", "hidden": ()}
RECIPE = {
  "architecture": MLP,
  "objective": {"cross_entropy": {}},
  "optimizer": {"name": "adam", "learning_rate": 0.05},
  "batch_size": 64,
  "steps": 60,
}
INFORMATIVE = 4  # of 16 pixels


def planted(examples, seed):
  """Images whose class is the sign of the sum of the first 4 of 16 pixels around grey."""
  x = np.random.default_rng(seed).uniform(0, 1, (examples, 4, 4, 1)).astype(np.float32)
  y = (x.reshape(examples, 16)[:, :INFORMATIVE].mean(axis=1) > 0.5).astype(np.int32)
  return Split(x, y)


@pytest.fixture(scope="module")
def dataset():
  return Dataset("planted", planted(600, 0), None, planted(400, 1), ("below", "above"))


def truth(split):
  return np.broadcast_to(np.arange(16) < INFORMATIVE, (len(split), 16)).reshape(-1, 4, 4, 1) * 1.0


def network(seed=0, weights=1.0):
  """Linear, and right but for a scale."""
  module = build("mlp", hidden=(), num_classes=2)
  variables = jax.tree.map(jnp.zeros_like, dict(init_model(module, jax.random.key(0), (4, 4, 1))))
  kernel = np.zeros((16, 2), np.float32)
  kernel[:INFORMATIVE, 1] = weights
  variables["params"]["Dense_0"]["kernel"] = jnp.asarray(kernel)
  variables["params"]["Dense_0"]["bias"] = jnp.array([0.5 * INFORMATIVE * weights, 0.0])
  return TrainedNetwork(module, variables, seed)


@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.5, 0.75, 1.0])
def test_as_many_pixels_are_important_as_asked_for_and_they_are_numpys(fraction):
  maps = np.random.default_rng(0).normal(size=(5, 4, 4, 2)).astype(np.float32)
  found = important_pixels(jax.random.key(0), maps, fraction=fraction)
  values = maps.sum(axis=-1).reshape(5, 16)
  count = round(fraction * 16)
  expected = np.zeros((5, 16), bool)
  np.put_along_axis(expected, np.argsort(-values, axis=1)[:, :count], values=True, axis=1)
  np.testing.assert_array_equal(np.asarray(found).reshape(5, 16), expected)


def test_equal_values_are_drawn_at_random_and_not_from_the_first_row():
  maps = jnp.zeros((2000, 4, 4, 1)).at[:, 3, 3].set(1.0)
  found = np.asarray(important_pixels(jax.random.key(0), maps, fraction=0.25))
  assert found[:, 3, 3].all()
  shares = found.reshape(2000, 16)[:, :15].mean(axis=0)
  # 3 of the other 15; a binomial's standard deviation is 0.009.
  np.testing.assert_allclose(shares, 3 / 15, atol=0.045)


def test_noise_decides_only_below_its_size():
  maps = jnp.array([1e-12, 0, 0, 1e-3]).reshape(1, 2, 2, 1)
  keys = jax.random.split(jax.random.key(0), 200)
  found = np.asarray(
    jax.vmap(lambda key: important_pixels(key, maps, fraction=0.5, noise=1e-8))(keys)
  ).reshape(200, 4)
  assert found[:, 3].all()
  assert 0.2 < found[:, 0].mean() < 0.5


def test_the_worst_ranking_loses_nothing_until_three_quarters_are_gone():
  """Hooker et al.'s toy: 16 features, 4 of them informative, least squares by NumPy."""
  random = np.random.default_rng(0)
  x = random.normal(size=(4000, 16))
  y = np.sign(x[:, :INFORMATIVE].sum(axis=1))
  ranking = np.where(np.arange(16) < INFORMATIVE, 1.0, 0.0)

  def accuracy(ranks, fraction):
    maps = np.broadcast_to(ranks, x.shape).astype(np.float32)
    gone = np.asarray(important_pixels(jax.random.key(0), maps, fraction=fraction))
    left = np.where(gone, 0.0, x)
    weights, *_ = np.linalg.lstsq(left[:2000], y[:2000], rcond=None)
    return np.mean(np.sign(left[2000:] @ weights) == y[2000:])

  whole = accuracy(ranking, 0.0)
  assert whole > 0.97
  for fraction in (0.25, 0.5, 0.75):
    assert abs(accuracy(-ranking, fraction) - whole) < 0.01
  assert accuracy(-ranking, 0.9) < whole - 0.1
  assert accuracy(ranking, 0.0625) < whole - 0.1
  assert abs(accuracy(ranking, 0.25) - 0.5) < 0.05


def test_a_planted_map_scores_above_chance_and_its_inverse_below(dataset):
  splits = (dataset.train, dataset.test)
  settings = {"retraining": RECIPE, "fractions": (0.25, 0.5)}
  right = tuple(truth(split) for split in splits)
  key = jax.random.key(0)
  planted_map = remove_and_retrain(key, dataset, right, **settings)
  inverted = remove_and_retrain(key, dataset, tuple(-one for one in right), **settings)
  for protocol in ("ROAR", "KAR"):
    assert planted_map.score[protocol] > 0.03
    assert inverted.score[protocol] < -0.03
  assert planted_map.accuracy["ROAR"][0, 0] < 0.6
  assert inverted.accuracy["ROAR"][0, 1] > 0.85
  np.testing.assert_array_equal(planted_map.random["ROAR"], inverted.random["ROAR"])


@pytest.mark.parametrize("most", [pytest.param(1, marks=pytest.mark.slow), 2**30])
def test_networks_retrained_as_one_program_are_those_retrained_one_after_the_other(
  most, dataset, tmp_path, monkeypatch
):
  monkeypatch.setattr(retraining, "MOST_BYTES", most)
  random = np.random.default_rng(0)
  trained = []
  original = Network.train

  def recorded(self, *args, **settings):
    trained.append(original(self, *args, **settings))
    return trained[-1]

  monkeypatch.setattr(Network, "train", recorded)
  masks = [[random.random(split.x.shape) < 0.5 for split in (dataset.train, dataset.test)]
           for _ in range(3)]  # fmt: skip
  of = {}
  for together in (True, False):
    trainer = retraining.Retraining(RECIPE, dataset, tmp_path / str(together), together=together)
    splits = (trainer.train, trainer.scored)

    def images(mask, splits=splits):
      return tuple(np.where(m, split.x, 0.5) for m, split in zip(mask, splits, strict=True))

    jobs = [
      retraining.Job(f"mask/{i}", functools.partial(images, mask), seed=i % 2)
      for i, mask in enumerate(masks)
    ]
    accuracies = trainer.accuracies(jobs)
    of[together] = accuracies, [one.variables for one in trained]
    trained.clear()
    # What is finished is read.
    assert trainer.accuracies([job._replace(images=lambda: pytest.fail("asked"))
                               for job in jobs]) == accuracies  # fmt: skip
    assert not trained
  assert of[True][0] == pytest.approx(of[False][0], abs=2 / len(dataset.test))
  for one, other in zip(of[True][1], of[False][1], strict=True):
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), one, other)
  assert len(set(of[False][0])) > 1


@pytest.fixture
def asked(monkeypatch):
  """The jobs that are asked for. None is trained: an accuracy is a number that its images give."""
  jobs = []

  def accuracies(self, of):
    del self
    jobs.extend(of)
    images = [np.concatenate([one.ravel() for one in job.images()]) for job in of]
    return [float(np.sin(np.arange(len(one)) * one).mean()) for one in images]

  monkeypatch.setattr(retraining.Retraining, "accuracies", accuracies)
  return jobs


@pytest.mark.parametrize("noise", [0.0, 1e-8])
def test_lots_are_the_same_whichever_protocol_draws_them(noise, dataset, tmp_path, asked):
  trainer = retraining.Retraining(RECIPE, dataset, tmp_path)
  lots = Curves(trainer, (0.1, 0.5, 0.9), noise=noise)
  blind = tuple(CONTROLS["random"](split.x) for split in (dataset.train, dataset.test))
  both = lots.of("random/0", lambda: blind, jax.random.key(3), 0)
  assert len(set(both.ravel())) == 3
  asked.clear()
  np.testing.assert_array_equal(lots.of_lots("random/0", lambda: blind, jax.random.key(3), 0), both)
  assert [job.name for job in asked] == [f"random/0/ROAR/{f}/0" for f in (0.1, 0.5, 0.9)]


def test_no_two_retrainings_of_a_study_share_a_folder(dataset, tmp_path, asked):
  maps = {"G +1": {"name": "gradient"}, "G -1": {"name": "gradient", "absolute": False}}
  seeds = {"N 1": [network(0), network(1)], "n/1": [network(0, -1.0), network(1, -1.0)]}
  one = study(
    maps=maps,
    protocols=("ROAR", "KAR"),
    controls=("random", "edges"),
    mask_only={"G +1": ("N 1",)},
    retrainings=2,
  )
  one.measure(seeds, dataset, jax.random.key(0), tmp_path)
  names = [job.name for job in asked]
  # Whole images, lots, edges by each protocol, two maps of two networks by each, masks alone.
  retrained = 1 + 2 * (1 + 2 + 2 * 2 * 2 + 1)
  assert len(names) == len(set(names)) == retrained * len(seeds["N 1"]) * one.retrainings
  # What has begun under a name that nothing shares goes on there.
  assert "g-1/n-1/0/ROAR/0.25/0" in names


def test_what_is_kept_in_a_directory_is_read_for_equal_arguments_alone(dataset, tmp_path, asked):
  maps = [truth(split) + 0.0 for split in (dataset.train, dataset.test)]
  smaller = dataclasses.replace(dataset, train=dataset.train.take(slice(0, 300)))

  def names(key=0, images=dataset, of=maps, **settings):
    asked.clear()
    fields = {"retraining": RECIPE, "fractions": (0.5,), "directory": tmp_path, **settings}
    remove_and_retrain(jax.random.key(key), images, tuple(of), **fields)
    random = {job.name for job in asked if "/random" in job.name}
    return {job.name for job in asked} - random, random

  of_maps, random = names()
  assert names() == (of_maps, random)
  other, same = names(of=[maps[0], -maps[1]])
  assert other.isdisjoint(of_maps)
  assert same == random
  for changed in (
    {"key": 1},
    {"images": smaller, "of": [maps[0][:300], maps[1]]},
    {"retraining": {**RECIPE, "steps": 61}},
    {"fill": 0.0},
    {"noise": 1e-8},
    {"seeds": (1,)},
  ):
    other, lots = names(**changed)
    assert other.isdisjoint(of_maps)
    assert lots.isdisjoint(random)


def test_each_seed_draws_lots_of_its_own_and_nothing_is_left_where_no_directory_is_given(
  dataset, tmp_path, asked, monkeypatch
):
  monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
  maps = tuple(truth(split) for split in (dataset.train, dataset.test))
  settings = {"retraining": RECIPE, "fractions": (0.5,)}
  found = remove_and_retrain(jax.random.key(0), dataset, maps, seeds=(0, 1), **settings)
  second = remove_and_retrain(jax.random.key(0), dataset, maps, seeds=(1,), **settings)
  for of_seeds, of_one in ((found.random, second.random), (found.accuracy, second.accuracy)):
    assert of_seeds["ROAR"][0, 0] != of_seeds["ROAR"][1, 0]
    np.testing.assert_array_equal(of_seeds["ROAR"][1], of_one["ROAR"][0])
  assert asked
  assert list(tmp_path.iterdir()) == []


def test_maps_that_are_called_alike_are_told_apart_by_their_names(dataset, tmp_path, asked):
  maps = {
    "a": {"name": "gradient", "label": "G"},
    "b": {"name": "gradient", "absolute": False, "label": "G"},
  }
  first = {"first": NETWORKS["first"]}
  one = study(maps=maps, models=("first",))
  arrays, about = one.measure(first, dataset, jax.random.key(0), tmp_path)
  result = Result("s", one.kind, one.layout(("first",), (0,), dataset), arrays, about)
  (picture,) = one.page(result, model_styles(first)).pictures
  at = [f"G ({m}) {100 * result.at('accuracy', map=m)[0, 0, 0, 1]:.1f} %" for m in maps]
  assert picture.alt.endswith(f"At 50.0 %: {'; '.join(at)}.")


def study(**settings):
  fields = {
    "maps": {"G": {"name": "gradient", "label": "Gradient"}},
    "retraining": {**RECIPE, "steps": 10},
    "fractions": (0.25, 0.5),
    "protocols": ("ROAR",),
  }
  return read_study("s", {"kind": "roar", **fields, **settings})


NETWORKS = {"first": [network()], "second": [network(weights=-1.0)]}


FAMILIES = {"l2": {"first": 0.0, "second": 2.0}}


def measured(one, dataset, folder):
  arrays, about = one.measure(NETWORKS, dataset, jax.random.key(0), folder)
  return Result("s", one.kind, one.layout(tuple(NETWORKS), (0,), dataset), arrays, about)


def test_a_study_that_is_cut_off_ends_with_the_same_table(dataset, tmp_path, monkeypatch):
  one = study(fractions=(0.5,))
  whole = measured(one, dataset, tmp_path / "whole")
  train, trained = Network.train, []

  def at_most_two(self, *args, **settings):
    if len(trained) == 2:
      raise KeyboardInterrupt
    return counted(self, *args, **settings)

  def counted(self, *args, **settings):
    trained.append(settings["images"])
    return train(self, *args, **settings)

  monkeypatch.setattr(Network, "train", at_most_two)
  with pytest.raises(KeyboardInterrupt):
    measured(one, dataset, tmp_path / "cut")
  trained.clear()
  monkeypatch.setattr(Network, "train", counted)
  resumed = measured(one, dataset, tmp_path / "cut")
  assert len(trained) == 1 + 1 + 2 - 2
  for name, array in whole.arrays.items():
    np.testing.assert_array_equal(resumed.arrays[name], array)


def test_a_retraining_that_diverges_is_a_row_and_not_the_end(dataset, tmp_path):
  recipe = {**RECIPE, "steps": 3, "optimizer": {"name": "sgd", "learning_rate": 1e38}}
  one = study(retraining=recipe, fractions=(0.5,), controls=("random", "edges"))
  result = measured(one, dataset, tmp_path)
  assert np.isnan(result.arrays["score"]).all()
  assert np.isfinite(result.arrays["clean"]).all()
  section = one.page(result, model_styles(NETWORKS))
  assert section.tables[0].groups[0].rows == []
  assert [picture.name for picture in section.pictures] == ["ROAR trade-off"]


def test_a_section_shows_maps_controls_and_masks(dataset, tmp_path):
  maps = {"G": {"name": "gradient"}, "smooth": {"name": "gradient", "smoothing": 1.0,
                                                "models": ["first"]}}  # fmt: skip
  one = study(
    maps=maps,
    mask_only={"G": ("first",)},
    families=FAMILIES,
    protocols=("ROAR", "KAR"),
    fractions=(0.5,),
  )
  result = measured(one, dataset, tmp_path)
  assert np.isfinite(result.at("score", map="G")).all()
  assert np.isnan(result.at("score", map="smooth", model="second")).all()
  # Class 1 alone has a gradient, so that the mask's shape says which it is, without any pixel.
  assert (result.at("mask_only", model="first") > 0.75).all()
  assert np.isnan(result.at("mask_only", model="second")).all()
  kept, lost = (result.at("accuracy", protocol=one) for one in ("KAR", "ROAR"))
  np.testing.assert_allclose(result.arrays["diffroar"], kept - lost)
  section = one.page(result, model_styles(NETWORKS))
  scores, controls = section.tables
  assert [row.heading for row in scores.groups[1].rows] == ["first"]
  assert [group.heading for group in controls.groups][-1].startswith("Masks alone")
  (sheet,) = section.sheets
  of_maps = [row for row in sheet.rows if row[2]]
  assert of_maps == [
    [p, m, n, 0, 0.5, pytest.approx(result.at("accuracy", protocol=p, map=m, model=n).item(),
                                    nan_ok=True),
     pytest.approx(result.at("score", protocol=p, map=m, model=n).item(), nan_ok=True)]
    for p in ("ROAR", "KAR") for m in maps for n in NETWORKS
  ]  # fmt: skip
  assert [row[:3] for row in sheet.rows if not row[2]] == [["ROAR", "random", ""],
                                                           ["KAR", "random", ""]]  # fmt: skip
  assert len(section.pictures) == 6


def class_maps(dataset, networks=("first",)):
  """A result of class maps, whose map "truth" is the planted one and "lie" its opposite."""
  one = read_study("m", {"kind": "class_maps", "maps": {n: {"rule": "normlime"} for n in (
    "truth", "lie")}, "segments": "pixels"})  # fmt: skip
  layout = one.layout(networks, (0,), dataset)
  truth = (np.arange(16) < INFORMATIVE).astype(np.float32)
  overall = np.stack([truth, 1 - truth])[:, None, None].repeat(len(networks), 1)
  # Of a class: the first 4 pixels, or the last.
  of_classes = np.stack([np.stack([truth, truth[::-1]])] * 2)[:, None, None]
  arrays = {name: np.zeros([len(layout.coordinates.get(axis, [0])) for axis in axes])
            for name, axes in layout.axes.items()}  # fmt: skip
  arrays |= {"overall": overall, "importance": of_classes.repeat(len(networks), 1)}
  arrays["places"] = np.arange(16).reshape(4, 4)
  about = {"clusters": None, "segments": "pixels"}
  return one, Result("m", one.kind, layout, arrays, about)


def test_one_mask_of_all_classes_is_a_planted_map_s_and_that_of_a_class_gives_it_away(
  dataset, tmp_path
):
  maps = {name: {"study": "m", "map": name} for name in ("truth", "lie")}
  maps["own"] = {"study": "m", "map": "lie", "of": "class"}
  settings = {"retraining": RECIPE, "fractions": (0.75,), "protocols": ("KAR",)}
  one = study(maps=maps, mask_only={"own": ("first",)}, models=("first",), **settings)
  _, result = class_maps(dataset)
  first = {"first": NETWORKS["first"]}
  arrays, about = one.measure_after({"m": result}, first, dataset, jax.random.key(0), tmp_path)
  truth, lie, _ = arrays["accuracy"][0, :, 0, 0, 0]
  assert truth > 0.85
  assert lie < 0.6
  # The explained network is right of every image, and so is who sees its masks alone.
  assert arrays["mask_only"][0, 0, 0, 0] == pytest.approx(1.0, abs=0.01)
  measured = Result("s", one.kind, one.layout(("first",), (0,), dataset), arrays, about)
  section = one.page(measured, model_styles(first))
  assert "One mask for all images, which says nothing of their class: truth, lie." in (
    section.reading
  )
  assert [picture.name for picture in section.pictures] == ["KAR all maps"]
  assert [row.heading for row in section.tables[0].groups[0].rows] == ["truth", "lie", "own"]


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({"map": "trut"}, "maps.a.map must be one of truth, lie; got 'trut' .did you mean 'truth'"),
    ({"study": "n"}, "maps.a.study must be of kind 'class_maps', got 'n' of kind 'roar'"),
    ({"of": "one"}, "maps.a.of must be one of all classes, class; got 'one'"),
    ({"off": "class"}, "maps.a.*off.*did you mean 'of'"),
    ({"models": ("second",)}, "networks of maps.a.study must be one of first; got 'second'"),
  ],
)
def test_maps_of_classes_that_are_not_made_are_refused(dataset, settings, sentence):
  one, _ = class_maps(dataset)
  one = dataclasses.replace(one, models=("first",))
  reads = study(maps={"a": {"study": "m", "map": "truth", **settings}})
  with pytest.raises((ValueError, TypeError), match=sentence):
    reads.check_needed({"m": one, "n": study()}, ("first", "second"))


def test_slopes_are_those_of_numpys_polynomials():
  random = np.random.default_rng(0)
  score, clean = random.normal(size=(2, 1, 4, 3)), random.uniform(size=(4, 3))
  numbers = {"a": 0.0, "b": 1.0, "d": 4.0}
  found = slopes(score, clean, ("a", "b", "c", "d"), {"l2": numbers})
  for s in range(3):
    of_seed = score[1, 0, [0, 1, 3], s]
    expected = np.polyfit([0, 1, 4], of_seed, 1)[0]
    np.testing.assert_allclose(found["slope"][1, 0, 0, s], expected)
    expected = np.polyfit(clean[[0, 1, 3], s], of_seed, 1)[0]
    np.testing.assert_allclose(found["tradeoff"][1, 0, 0, s], expected)


def test_fills_are_scipys_and_numpys():
  x = np.random.default_rng(0).uniform(size=(2, 5, 5, 3)).astype(np.float32)
  np.testing.assert_allclose(fill_of(x, x, "channel_mean"), x.mean(axis=(0, 1, 2)), rtol=1e-6)
  assert fill_of(x, x, 0.25).tolist() == [0.25]
  blurred = fill_of(x, x, "blur")
  assert blurred.shape == x.shape
  assert blurred.std() < 0.5 * x.std()


@pytest.mark.parametrize("control", sorted(CONTROLS))
def test_what_a_control_says_of_an_image_follows_from_that_image_alone(control):
  x = np.random.default_rng(0).uniform(size=(4, 6, 5, 3)).astype(np.float32)
  found = CONTROLS[control](x)
  for i in range(len(x)):
    np.testing.assert_array_equal(found[i], CONTROLS[control](x[i : i + 1])[0])


def test_edges_are_scipys_in_each_channel_of_each_image():
  x = np.random.default_rng(0).uniform(size=(3, 6, 5, 2)).astype(np.float32)
  for image, found in zip(x, CONTROLS["edges"](x), strict=True):
    lengths = [
      np.hypot(ndimage.sobel(channel, axis=0), ndimage.sobel(channel, axis=1))
      for channel in np.moveaxis(image, -1, 0)
    ]
    np.testing.assert_allclose(found, sum(lengths), rtol=1e-5)


def test_scores_are_the_authors_formula():
  """Kim, Seo & Jeon's fractions: 0.15 d(.1) + 0.2 (d(.3) + d(.5) + d(.7)) + 0.15 d(.9)."""
  difference = np.array([0.01, -0.02, 0.03, 0.05, 0.04])
  control = np.full(5, 0.4)
  found = area_over_control(
    control + difference, control, np.array([0.1, 0.3, 0.5, 0.7, 0.9]), keeps=True
  )
  expected = np.array([0.15, 0.2, 0.2, 0.2, 0.15]) @ difference
  np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({"controls": ("edges",)}, "controls must have 'random'"),
    ({"mask_only": {"H": ("first",)}}, "mask_only must be one of G; got 'H'"),
    ({"mask_only": {"G": ("third",)}}, "networks of mask_only.G must be one of first, second"),
    ({"families": {"l2": {"third": 1.0}}}, "networks of families.l2 must be one of first, second"),
    ({"families": {"l2": {"first": 1.0}}}, "families.l2 must have two different numbers"),
    ({"fill": "median"}, "fill must be one of channel_mean, blur; got 'median'"),
    ({"maps": {"G": {"name": "gradiant"}}}, "maps.G: .*did you mean 'gradient'"),
    ({"maps": {"G": {"name": "gradient", "smoothing": -1}}}, "maps.G: smoothing must be"),
    ({"maps": {"G": {"name": "gradient", "models": ["third"]}}}, "models of maps.G must be one of"),
    ({"retraining": {**RECIPE, "steps": 0}}, "retraining: steps must be"),
    ({"train_examples": 601}, "train_examples: examples must be between 1 and 600, got 601"),
    ({"scored": "validation"}, "scored must be one of train, test; got 'validation'"),
    ({"protocols": ("ROAR", "ROAR")}, "protocols must have entries that differ"),
  ],
)
def test_what_cannot_be_retrained_is_refused_before_any_training(dataset, settings, sentence):
  modules = {name: networks[0].module for name, networks in NETWORKS.items()}
  with pytest.raises(ValueError, match=sentence):
    study(**settings).check(modules, dataset)


def test_maps_of_other_images_are_refused(dataset):
  maps = (truth(dataset.train), truth(dataset.train))
  with pytest.raises(ValueError, match="maps of the test images must be"):
    remove_and_retrain(jax.random.key(0), dataset, maps, retraining=RECIPE)


def test_images_of_bytes_are_scored_as_floats(dataset):
  as_bytes = dataclasses.replace(
    dataset,
    train=Split((dataset.train.x * 255).astype(np.uint8), dataset.train.y),
    test=Split((dataset.test.x * 255).astype(np.uint8), dataset.test.y),
    scale=1 / 255,
  )
  maps = truth(dataset.train), truth(dataset.test)
  found = remove_and_retrain(
    jax.random.key(0), as_bytes, maps, retraining=RECIPE, fractions=(0.5,), protocols=("KAR",)
  )
  assert found.accuracy["KAR"][0, 0] > 0.85
