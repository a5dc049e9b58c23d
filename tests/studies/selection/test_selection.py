"""The choice of a hyper-parameter among linear networks, whose accuracies are known."""

import dataclasses

import jax
import linear
import numpy as np
import pytest

from robust_saliency.data import Split
from robust_saliency.results.claims import check_claim, judge_claim, read_claims
from robust_saliency.results.result import Result
from robust_saliency.studies import Study, read_study, run_study
from robust_saliency.studies.accuracy import Accuracy
from robust_saliency.studies.selection import Selection, chosen_by

SETTINGS = {
  "kind": "selection",
  "families": {"defended": {"right": 1.0, "wrong": 2.0}},
  "reference": "plain",
  "source": "source",
  "attack": {"name": "fgsm"},
  "epsilon": 0.05,
  "batch_size": 16,
}
KEY = jax.random.key(0)
SEEDS = {"plain": 0, "source": 0, "right": 0, "wrong": 1}


@pytest.fixture
def networks():
  # Network 0 drew the labels; network 1 has nothing to do with them.
  return {name: [linear.network(seed)] for name, seed in SEEDS.items()}


@pytest.fixture
def dataset():
  whole = linear.dataset()
  # Other images than those of the test split: whoever looks there finds another size.
  x = np.random.default_rng(1).uniform(0.4, 0.6, (23, 2, 2, 1)).astype(np.float32)
  y = (x.reshape(23, 4) @ linear.direction(0) > 0).astype(np.int32)
  return dataclasses.replace(whole, validation=Split(x, y))


@pytest.fixture
def select(networks, dataset, tmp_path):
  def run(**changes):
    study = read_study("s", {**SETTINGS, **changes})
    return run_study("s", study, networks, dataset, key=KEY, seeds=(0,), directory=tmp_path)

  return run


def test_accuracies_are_those_of_the_validation_images_moved_against_the_source(select, dataset):
  result = select()
  x, y = dataset.validation.x, dataset.validation.y
  push = 0.05 * np.sign(linear.direction(0)).reshape(2, 2, 1)
  x_adv = x - push * np.where(y == 1, 1, -1)[:, None, None, None]
  assert result.layout.coordinates["model"] == ("plain", "right", "wrong")
  for name, seed in (("plain", 0), ("right", 0), ("wrong", 1)):
    assert np.array_equal(result.at("clean", model=name)[0], linear.margins(x, y, seed) > 0)
    assert np.array_equal(result.at("attacked", model=name)[0], linear.margins(x_adv, y, seed) > 0)


def test_the_most_robust_is_chosen_only_if_it_stays_accurate(select):
  strict = select()
  # The attack on network 0 leaves network 1, which is a bad classifier, more accurate.
  attacked = strict.arrays["attacked"].mean(axis=(1, 2))
  assert attacked[2] > attacked[1]
  assert strict.metadata["chosen"] == {"defended": "right"}
  assert strict.metadata["eligible"] == ["right"]
  assert select(keep=0.1).metadata["chosen"] == {"defended": "wrong"}


def test_the_reference_may_be_a_candidate_too(select):
  result = select(families={"defended": {"plain": 0.0, "wrong": 2.0}})
  assert result.metadata["eligible"] == ["plain"]
  assert result.metadata["chosen"] == {"defended": "plain"}


def test_where_nobody_stays_accurate_the_most_accurate_is_chosen(select):
  result = select(families={"defended": {"wrong": 2.0}})
  assert result.metadata["chosen"] == {"defended": "wrong"}
  assert result.metadata["eligible"] == []


def test_the_best_is_chosen_on_one_half_of_the_images_and_measured_on_the_other(select):
  result = select()
  assert result.layout.coordinates["family"] == ("defended", "plain")
  attacked = result.arrays["attacked"]
  best = max((1, 2), key=lambda m: attacked[m, 0, ::2].mean())
  assert np.array_equal(result.at("best", family="defended"), attacked[best, :, 1::2])
  assert np.array_equal(result.at("best", family="plain"), attacked[0, :, 1::2])


def test_a_claim_subtracts_the_reference_from_the_best_of_a_family(select):
  result = select()
  (claim,) = read_claims(
    [
      {
        "id": "C14",
        "says": "The best is better.",
        "of": "s.best",
        "at": {"family": "defended"},
        "minus": {"family": "plain"},
        "statistic": "share",
        "at_least": 0.0,
      }
    ],
    dataset="digits",
  )
  check_claim(claim, {"s": result.layout})
  judged = judge_claim(claim, {"s": result})
  ours, theirs = result.arrays["best"].mean(axis=(1, 2))
  assert judged.estimate.value == pytest.approx(ours - theirs)
  assert judged.estimate.over == "11 validation images that did not choose, one network"


def test_a_best_that_is_no_classifier_is_closed_to_claims(select):
  strict, lenient = select(), select(keep=0.1)
  assert lenient.metadata["not_judged"] == []
  why = "wrong, the best of defended, keeps less than 97 % of the plain network’s clean accuracy"
  closed = [{"array": "best", "at": {"family": "defended"}, "why": why}]
  assert strict.metadata["not_judged"] == closed


def test_a_network_that_diverged_is_not_chosen_and_leaves_its_family_without_a_best(select):
  study = read_study("s", {**SETTINGS, "keep": 0.1})
  result = select(keep=0.1)
  arrays = {name: result.arrays[name].astype(np.float64) for name in ("clean", "attacked", "best")}
  arrays["clean"][2] = arrays["attacked"][2] = np.nan
  healthy = {name: [linear.network(0)] for name in study.networks(())}
  again = study.after_divergence(dataclasses.replace(result, arrays=arrays), healthy)
  assert again.metadata["chosen"] == {"defended": "right"}
  assert again.metadata["eligible"] == ["right"]
  assert np.isnan(again.at("best", family="defended")).all()
  assert np.array_equal(again.at("best", family="plain"), result.at("best", family="plain"))


def test_without_examples_of_the_source_nothing_is_known_of_a_seed(select):
  result = select()
  study = read_study("s", SETTINGS)
  networks = {name: [linear.network(0)] for name in study.networks(())}
  networks[study.source] = [dataclasses.replace(linear.network(0), diverged="loss became nan")]
  again = study.after_divergence(result, networks)
  assert np.isnan(again.arrays["attacked"]).all()
  assert np.isnan(again.arrays["best"]).all()
  assert np.array_equal(again.arrays["clean"], result.arrays["clean"])


@pytest.mark.parametrize(
  ("rule", "chosen", "tied"),
  [
    ({}, "b", ["b"]),
    # The best is right on 90 of 100: one standard error is sqrt(0.9 * 0.1 / 99) = 0.0302.
    ({"standard_errors": 1}, "c", ["a", "b", "c"]),
    ({"standard_errors": 1, "preferred": {"defended": 1.0}}, "a", ["a", "b", "c"]),
    ({"standard_errors": 1, "preferred": {"defended": 1000.0}}, "c", ["a", "b", "c"]),
    ({"standard_errors": 0.5}, "b", ["b"]),
    ({"standard_errors": 2}, "d", ["a", "b", "c", "d"]),
  ],
)
def test_among_candidates_as_good_as_the_best_the_preferred_number_is_taken(rule, chosen, tied):
  family = {"a": 1.0, "b": 10.0, "c": 100.0, "d": 1000.0, "inaccurate": 10000.0}
  study = read_study("s", {**SETTINGS, "families": {"defended": family}, **rule})
  right = {"plain": (100, 50), "a": (99, 87), "b": (99, 90), "c": (98, 88), "d": (97, 86)}
  counts = np.array([*right.values(), (50, 90)])
  clean, attacked = (np.arange(100) < of[:, None, None] for of in counts.T)
  layout = study.layout((), (0,), linear.dataset())
  arrays = {"clean": clean, "attacked": attacked, "best": attacked[:2, :, ::2]}
  networks = {name: [linear.network(0)] for name in study.networks(())}
  found = study.after_divergence(Result("s", "selection", layout, arrays, {}), networks)
  assert found.metadata["chosen"] == {"defended": chosen}
  assert found.metadata["tied"] == {"defended": tied}


def modules_of(networks):
  return {name: of_seeds[0].module for name, of_seeds in networks.items()}


@pytest.mark.parametrize(
  ("changes", "sentence"),
  [
    ({"source": "sorce"}, r"source must be one of .*; got 'sorce' \(did you mean 'source'\?\)"),
    ({"reference": "plane"}, "reference must be one of"),
    ({"families": {"plain": {"right": 1.0}}}, "name of a trained network, got 'plain'"),
    ({"families": {}}, "families must have at least one entry, got none"),
    ({"families": {"defended": {}}}, "families.defended must have at least one entry, got none"),
    ({"families": {"defended": {"left": 1.0}}}, "candidate of studies.s.families.defended must"),
    ({"families": {"defended": {"right": -1.0}}}, "families.defended.right must be a number >= 0"),
    ({"preferred": {"defended": 1.0}}, "preferred numbers belong to the rule of standard_errors"),
    ({"standard_errors": 1, "preferred": {"defnded": 1.0}}, "did you mean 'defended'"),
    ({"standard_errors": -1}, "standard_errors must be a number >= 0, got -1"),
    ({"keep": 97}, "keep must be a number between 0 and 1, got 97"),
    ({"epsilon": -1}, "epsilon must be a number >= 0, got -1"),
    ({"examples": 24}, "examples must be between 1 and 23, got 24"),
    ({"examples": 1}, "examples of the validation split must be >= 2, got 1"),
    ({"models": ["plain"]}, "models of a selection are its families, reference and source"),
    ({"attack": {"name": "fgms"}}, r"attack.*did you mean 'fgsm'"),
    ({"attack": {"name": "fgsm", "epsilon": 0.1}}, "epsilon"),
    ({"attack": {"name": "pgd", "stps": 3}}, "did you mean 'steps'"),
  ],
)
def test_a_bad_choice_is_refused_before_anything_runs(networks, dataset, changes, sentence):
  with pytest.raises((ValueError, TypeError), match=sentence):  # noqa: PT012
    study = read_study("s", {**SETTINGS, **changes})
    chosen_by({"s": study}, networks)
    study.check(modules_of(networks), dataset)


def test_a_selection_is_measured_on_its_own_networks(networks, dataset):
  study = read_study("s", SETTINGS)
  assert study.networks(("other", *networks)) == ("source", "plain", "right", "wrong")
  study.check(modules_of(networks), dataset)


def test_without_a_validation_split_nothing_is_chosen(networks):
  with pytest.raises(ValueError, match="needs a validation split, which middling has not"):
    read_study("s", SETTINGS).check(modules_of(networks), linear.dataset())


def test_two_studies_cannot_choose_one_name(networks):
  selection = read_study("s", SETTINGS)
  studies: dict[str, Study] = {"a": selection, "clean": Accuracy(), "b": selection}
  with pytest.raises(ValueError, match="studies 'a' and 'b' both choose 'defended'"):
    chosen_by(studies, networks)
  assert isinstance(selection, Selection)
  assert chosen_by({"a": selection, "clean": Accuracy()}, networks) == {"defended": "a"}
