import jax
import linear
import numpy as np
import pytest

from robust_saliency.studies import read_study
from robust_saliency.studies.robustness import Robustness
from robust_saliency.studies.study import run_study

EPSILONS = (0.0, 0.02, 0.05, 0.1)
MODULES = {name: linear.network(0).module for name in ("a", "b")}
FGSM = {"name": "fgsm"}


def robustness(attacks, epsilons=EPSILONS, **settings):
  return Robustness(attacks=attacks, epsilons=epsilons, batch_size=16, **settings)


def run(study, networks, dataset, directory, seeds=(0, 2)):
  key = jax.random.key(0)
  return run_study("r", study, networks, dataset, key=key, seeds=seeds, directory=directory)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("attack", [FGSM, {"name": "pgd", "steps": 3}])
def test_robustness_is_the_margin_against_the_dual_norm(networks, dataset, tmp_path, attack):
  result = run(robustness({"it": attack}), networks, dataset, tmp_path)
  x, y = dataset.test.x, dataset.test.y
  for model, of_seeds in networks.items():
    for s, network in enumerate(of_seeds):
      for epsilon, right in zip(EPSILONS, linear.robust(x, y, network.seed, EPSILONS), strict=True):
        found = result.at("correct", attack="it", model=model, epsilon=epsilon)[s]
        np.testing.assert_array_equal(found, right)


def test_underflowing_gradients_are_seen_in_float64_or_at_a_temperature(dataset, tmp_path):
  margins = 3000 * linear.margins(dataset.test.x, dataset.test.y, 0)
  attacks = {
    "plain": FGSM, "double": {**FGSM, "precision": "float64"},
    "tempered": {**FGSM, "temperature": 3000.0},
  }  # fmt: skip
  networks = {"steep": [linear.steep_network()]}
  result = run(robustness(attacks), networks, dataset, tmp_path, seeds=(0,))
  # For the report, which says why they stand side by side.
  described = result.metadata["attacks"]
  assert [attack.get("precision") for attack in described] == [None, "float64", None]
  assert described[2]["temperature"] == 3000
  plain, double, tempered = (
    result.at("correct", attack=name, model="steep")[0] for name in attacks
  )
  expected = linear.robust(dataset.test.x, dataset.test.y, 0, EPSILONS)
  underflown, seen_in_double = margins > 110, margins < 700
  assert (underflown & seen_in_double & ~expected[-1]).any()
  assert plain[:, underflown].all()
  np.testing.assert_array_equal(double[:, seen_in_double], expected[:, seen_in_double])
  np.testing.assert_array_equal(tempered, expected)


def test_it_is_said_in_which_norm_each_attack_counts(networks, dataset, tmp_path):
  attacks = {"default": {"name": "deepfool", "steps": 2}, "fgsm": FGSM,
             "chosen": {**FGSM, "norm": "l1"}}  # fmt: skip
  result = run(robustness(attacks, (0.1,)), networks, dataset, tmp_path)
  assert [attack["norm"] for attack in result.metadata["attacks"]] == ["l2", "linf", "l1"]


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({"epsilons": (0.1, -0.1)}, r"studies.r.epsilons\[1\] must be a number >= 0, got -0.1"),
    ({"epsilons": (0.1, 0.1)}, "studies.r.epsilons must have entries that differ"),
    ({"attacks": {}}, "studies.r.attacks must have at least one entry, got none"),
    ({"attacks": {"x": "fgsm"}}, "studies.r.attacks.x must be fields with values, got 'fgsm'"),
    ({"attacks": {"x": {"name": "pdg"}}}, r"attacks.x: .*'pdg' \(did you mean 'pgd'\?\)"),
    ({"attacks": {"x": {**FGSM, "norm": "l3"}}}, "attacks.x: norm must be one of linf, l2, l1"),
    ({"attacks": {"x": {"name": "pgd", "stps": 3}}}, r"attacks.x: .*\(did you mean 'steps'\?\)"),
    ({"attacks": {"x": {**FGSM, "precision": "double"}}}, "precision must be one of float32, "),
    ({"attacks": {"x": {"name": "jsma"}}}, "attacks.x: attack must be one with epsilon, apgd"),
    ({"attacks": {"x": {**FGSM, "epsilon": 0.3}}}, "attacks.x: .* must not set epsilon"),
    ({"attacks": {"x": {**FGSM, "temperature": 0}}}, "attacks.x: temperature must be > 0, got 0"),
    ({"examples": 38}, "examples must be between 1 and 37, got 38"),
  ],
)
def test_bad_settings_are_refused_in_a_sentence_that_names_the_field(dataset, settings, sentence):
  entry = {"kind": "robustness", "attacks": {"x": FGSM}, "epsilons": (0.1,)}
  read_study("r", entry).check(MODULES, dataset)
  with pytest.raises((ValueError, TypeError), match=sentence):
    read_study("r", {**entry, **settings}).check(MODULES, dataset)


@pytest.mark.parametrize("field", ["attacks", "epsilons"])
def test_the_attacks_and_the_radii_are_asked_for(field):
  entry = {"kind": "robustness", "attacks": {"x": FGSM}, "epsilons": (0.1,)}
  del entry[field]
  with pytest.raises(ValueError, match=f"studies.r needs the field '{field}'"):
    read_study("r", entry)
