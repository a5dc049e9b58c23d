"""Class maps of linear networks, of which LIME's coefficients are known in closed form."""

import dataclasses

import jax
import linear
import numpy as np
import pytest

from robust_saliency import models
from robust_saliency.data import Dataset, Split
from robust_saliency.drawing.palette import model_styles
from robust_saliency.studies import ClassMaps, read_study, run_study

FILL = 0.45
# Exact least squares on the logit: the coefficient of pixel i is w_i (x_i - fill).
EXACT = {"samples": 64, "alpha": 0.0, "score": "logit", "fill": FILL}
MAPS = {
  "NormLIME": {"rule": "normlime"},
  "mean": {"rule": "mean_absolute", "label": "Mean LIME"},
  "counted": {"rule": "normlime", "blank": "counted"},
  "positive": {"rule": "normlime", "evidence": "positive"},
  "gradient": {"name": "gradient"},
  "variance": {"control": "variance"},
  "random": {"control": "random"},
}
NETWORKS = {"first": [linear.network(0), linear.network(2)], "second": [linear.network(1)] * 2}


@pytest.fixture(scope="module")
def dataset():
  """Images of which every third lacks the first pixel: it equals the fill."""
  plain = linear.dataset()
  x = plain.test.x.copy()
  x[::3, 0, 0] = FILL
  return dataclasses.replace(plain, test=Split(x, plain.test.y))


@pytest.fixture(scope="module")
def result(dataset, tmp_path_factory):
  """Of two networks."""
  return made(study(), {"first": NETWORKS["first"]}, dataset, tmp_path_factory.mktemp("s"))


def study(**settings):
  fields = {"maps": MAPS, "segments": "pixels", "local": EXACT, "of_each_class": None,
            "sizes": (1, 2), "draws": 3, "batch_size": 8}  # fmt: skip
  return read_study("s", {"kind": "class_maps", **fields, **settings})


def made(one, networks, dataset, directory):
  return run_study(
    "s", one, networks, dataset, key=jax.random.key(0), seeds=(0, 2), directory=directory
  )


def normlime(coefficients, occurs):
  """The equation, in NumPy."""
  sums = np.abs(coefficients).sum(axis=1, keepdims=True)
  terms = coefficients**2 / sums
  return (terms * occurs).sum(axis=0) / np.maximum(occurs.sum(axis=0), 1)


def test_maps_of_a_linear_network_are_those_of_its_weights(result, dataset):
  x = dataset.test.x.reshape(-1, 4)
  for seed in (0, 2):
    weights = linear.weights(seed)
    classes = (x @ weights).argmax(axis=1)
    coefficients = weights[:, classes].T * (x - FILL)
    differs = x != np.float32(FILL)
    for c in (0, 1):
      own = classes == c

      def at(name, seed=seed, c=c):
        cls = dataset.classes[c]
        return result.at("importance", method=name, model="first", seed=seed, **{"class": cls})

      expected = normlime(coefficients[own], differs[own])
      np.testing.assert_allclose(at("NormLIME"), expected, rtol=1e-3)
      positive = normlime(coefficients[own], coefficients[own] > 0)
      np.testing.assert_allclose(at("positive"), positive, rtol=1e-3)
      counted = normlime(coefficients[own], np.ones_like(differs[own]))
      np.testing.assert_allclose(at("counted"), counted, rtol=1e-3)
      # All pixels of a class have the gradient of its logit.
      np.testing.assert_allclose(at("gradient"), np.abs(weights[:, c]), rtol=1e-5)
    assert result.at("explained", model="first", seed=seed).tolist() == [
      int((classes == c).sum()) for c in (0, 1)
    ]
    overall = result.at("overall", method="NormLIME", model="first", seed=seed)
    np.testing.assert_allclose(overall, normlime(coefficients, differs), rtol=1e-3)
  variance = dataset.train.x.reshape(-1, 4).var(axis=0)
  np.testing.assert_allclose(result.at("overall", method="variance")[0, 0], variance, rtol=1e-4)
  np.testing.assert_allclose(result.arrays["fit"], 1, atol=1e-3)


def test_maps_follow_from_the_importance_of_places_and_need_not_be_kept(result):
  kept = ClassMaps.without_derived(result)
  assert "maps" not in kept.arrays
  assert "maps" not in kept.layout.axes
  again = ClassMaps.with_derived(kept)
  np.testing.assert_array_equal(again.arrays["maps"], result.arrays["maps"])
  assert again.layout.axes == result.layout.axes
  assert ClassMaps.with_derived(result) is result


def test_a_section_has_a_panel_of_classes_stability_and_correlations(result):
  np.testing.assert_allclose(result.arrays["rank_correlation"][range(7), range(7)], 1)
  assert np.isnan(result.at("stability", method="random")).all()
  assert np.isfinite(result.at("stability", method="NormLIME")).all()
  section = study().page(result, model_styles(NETWORKS))
  assert [picture.name for picture in section.pictures] == [
    "examples 1 to 2", "stability first",
  ]  # fmt: skip
  summary, correlations = section.tables
  assert [row.heading for row in summary.groups[0].rows][:2] == ["NormLIME", "Mean LIME"]
  assert summary.groups[0].rows[-1].cells[1] == "—"
  assert correlations.folded
  assert "from 64 samples" in section.reading


GRADIENT = {"gradient": {"name": "gradient"}}


def test_a_class_that_is_never_predicted_has_an_empty_map(dataset, tmp_path):
  of_one = (dataset.test.x.reshape(-1, 4) @ linear.weights(0)).argmax(axis=1) == 1
  only = dataclasses.replace(dataset, test=dataset.test.take(of_one))
  networks = {"first": [linear.network(0)] * 2}
  result = made(study(maps=GRADIENT), networks, only, tmp_path)
  assert (result.at("importance", **{"class": "no"}) == 0).all()
  assert np.isfinite(result.arrays["stability"]).all()


def test_true_classes_are_explained_where_they_are_asked_for(dataset, tmp_path):
  one = study(maps=GRADIENT, labels="true", of_each_class=8, sizes=(4,))
  result = made(one, {"second": NETWORKS["second"]}, dataset, tmp_path)
  assert (result.arrays["explained"] == 8).all()
  expected = np.abs(linear.weights(1)).T
  np.testing.assert_allclose(result.at("importance", method="gradient")[0, 0], expected, rtol=1e-5)


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({"maps": {"a": {"rule": "normlim"}}}, "maps.a: rule must be one of .*mean 'normlime'"),
    ({"maps": {"a": {"rule": "normlime", "blanks": 1}}}, "maps.a: .*blanks"),
    ({"maps": {"a": {"control": "varianc"}}}, "maps.a: control must be one of .*'variance'"),
    ({"maps": {"a": {"name": "gradiant"}}}, "maps.a: .*did you mean 'gradient'"),
    ({"local": {"sample": 5}}, "setting of local must be .*did you mean 'samples'"),
    ({"local": {"samples": 0}}, "local: samples must be"),
    ({"maps": {"a": {"rule": "normlime", "local": {"alpha": -1}}}}, "maps.a: local: alpha must"),
    ({"segments": "grit"}, "segments: segments must be one of .*did you mean 'grid'"),
    ({"segments": {"name": "grid", "cells": 3}}, "segments: cells must be"),
    ({"segments": "slic"}, "clusters must be given for superpixels and left out for grid"),
    ({"clusters": 5}, "clusters must be given for superpixels and left out for grid"),
    ({"of_each_class": 3, "sizes": (2,)}, "sizes must be at most half of of_each_class, 3, got"),
    ({"split": "validation"}, "class maps of the validation split needs? a validation split"),
    ({"maps": {"a": {"name": "gradient"}, "b": {"name": "gradient", "label": "a"}}}, "labels of"),
  ],
)
def test_what_cannot_be_explained_is_refused_before_training(dataset, settings, sentence):
  modules = {name: of[0].module for name, of in NETWORKS.items()}
  with pytest.raises((ValueError, TypeError), match=sentence):
    study(**settings).check(modules, dataset)


def test_a_network_without_maps_of_features_is_refused_where_they_describe_superpixels(dataset):
  given = study(maps=GRADIENT, segments="slic", clusters=3)
  flat = models.build("mlp", hidden=(4,), num_classes=len(dataset.classes))
  with pytest.raises(ValueError, match=r"clusters: .*maps"):
    given.check({"flat": flat}, dataset)


def test_layouts_follow_from_the_settings(dataset: Dataset):
  layout = study(maps={"g": {"name": "gradient"}}).layout(("a",), (0,), dataset)
  assert "fit" not in layout.axes
  assert layout.coordinates["size"] == (1, 2)
  clustered = study(segments="slic", clusters=3).layout(("a",), (0,), dataset)
  assert clustered.axes["centers"] == ("model", "seed", "feature", "descriptor")
