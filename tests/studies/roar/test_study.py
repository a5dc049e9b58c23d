"""The study: through interruption and divergence, in the report, and what it refuses."""

import dataclasses

import jax
import numpy as np
import pytest

from robust_saliency.drawing.palette import model_styles
from robust_saliency.results.result import Result
from robust_saliency.studies import read_study
from robust_saliency.training import Network
from tests.studies.roar.planted import INFORMATIVE, NETWORKS, RECIPE, network


def study(**settings):
  fields = {
    "maps": {"G": {"name": "gradient", "label": "Gradient"}},
    "retraining": {**RECIPE, "steps": 10},
    "fractions": (0.25, 0.5),
    "protocols": ("ROAR",),
  }
  return read_study("s", {"kind": "roar", **fields, **settings})


FAMILIES = {"l2": {"first": 0.0, "second": 2.0}}


def measured(one, dataset, folder):
  arrays, about = one.measure(NETWORKS, dataset, jax.random.key(0), folder)
  return Result("s", one.kind, one.layout(tuple(NETWORKS), (0,), dataset), arrays, about)


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
    (
      {"retraining": {**RECIPE, "early_stopping": {}}},
      "retraining: early_stopping must be left out",
    ),
    (
      {"retraining": {**RECIPE, "objective": {"distillation": {}}, "teacher": "first"}},
      "retraining: teacher must be left out",
    ),
    ({"train_examples": 601}, "train_examples: examples must be between 1 and 600, got 601"),
    ({"scored": "validation"}, "scored must be one of train, test; got 'validation'"),
    ({"protocols": ("ROAR", "ROAR")}, "protocols must have entries that differ"),
  ],
)
def test_what_cannot_be_retrained_is_refused_before_any_training(dataset, settings, sentence):
  modules = {name: networks[0].module for name, networks in NETWORKS.items()}
  with pytest.raises(ValueError, match=sentence):
    study(**settings).check(modules, dataset)
