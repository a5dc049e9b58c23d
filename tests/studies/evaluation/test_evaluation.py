import jax
import linear
import numpy as np
import pytest

from robust_saliency.attacks.evaluation.batch_files import BatchFiles
from robust_saliency.studies import read_study
from robust_saliency.studies.evaluation import Evaluation
from robust_saliency.studies.study import run_study

MODULES = {name: linear.network(0).module for name in ("a", "b")}
ENTROPY = {"name": "pgd", "steps": 3}
MARGIN = {"name": "pgd", "steps": 3, "loss": "cw_margin"}
ENTRY = {"kind": "evaluation", "epsilon": 0.05, "probed": 0, "attacks": {"x": ENTROPY}}


def run(study, networks, dataset, directory):
  key = jax.random.key(0)
  return run_study("e", study, networks, dataset, key=key, seeds=(0,), directory=directory)


def test_an_evaluation_has_each_attack_s_verdicts(dataset, tmp_path):
  networks = {"plain": [linear.network(0)], "steep": [linear.steep_network()]}
  study = Evaluation(attacks={"entropy": ENTROPY, "margin": MARGIN}, epsilon=0.05, probed=0)
  result = run(study, networks, dataset, tmp_path)
  (expected,) = linear.robust(dataset.test.x, dataset.test.y, 0, [0.05])
  for attack in study.attacks:
    np.testing.assert_array_equal(result.at("robust", attack=attack, model="plain")[0], expected)
  entropy, margin = (
    result.at("robust", attack=attack, model="steep").sum() for attack in study.attacks
  )
  assert expected.sum() == margin < entropy
  assert result.arrays["correct"].all()


@pytest.mark.slow
def test_an_attack_of_another_norm_or_without_a_radius_counts_where_it_stays_in_the_ball(
  dataset, tmp_path
):
  # DeepFool's way to the nearest image of a linear network is margin / |w|^2 times w.
  attacks = {
    "deepfool": {"name": "deepfool", "norm": "l2", "steps": 3},
    "cw_l2": {"name": "cw_l2", "steps": 30, "binary_search_steps": 3, "learning_rate": 0.05},
    "tgsm": {"name": "tgsm"},
    "jsma": {"name": "jsma"},
    "smaller jsma": {"name": "jsma", "theta": 0.05, "gamma": 1.0},
  }
  study = Evaluation(attacks=attacks, epsilon=0.05, probed=0, batch_size=16)
  study.check(MODULES, dataset)
  result = run(study, {"plain": [linear.network(0)]}, dataset, tmp_path)
  found = {name: result.at("robust", attack=name, model="plain")[0] for name in attacks}
  margin = linear.margins(dataset.test.x, dataset.test.y, 0)
  w = linear.direction(0)
  longest_change = 1.02 * margin * np.abs(w).max() / (w @ w)
  assert (np.abs(longest_change - 0.05) > 1e-4).all()
  np.testing.assert_array_equal(found["deepfool"], longest_change > 0.05)
  assert 0 < found["deepfool"].sum() < 37
  (expected,) = linear.robust(dataset.test.x, dataset.test.y, 0, [0.05])
  np.testing.assert_array_equal(found["tgsm"], expected)
  # A pixel of JSMA's goes as far as it can: out of the ball, where it proves nothing.
  assert found["jsma"].all()
  for name in ("cw_l2", "smaller jsma"):
    assert (found[name] >= expected).all()
    assert not found[name].all()


@pytest.mark.slow
def test_a_killed_evaluation_goes_on_after_its_finished_batches(dataset, tmp_path, monkeypatch):
  networks = {"A b": [linear.network(0), linear.network(2)], "a-b": [linear.network(0)] * 2}
  study = Evaluation(
    attacks={"first": ENTROPY, "second": MARGIN}, epsilon=0.05, probed=0, batch_size=37
  )
  save, saved = BatchFiles.save, []

  def killed_at_the_fourth(self, folder, batch):
    if len(saved) == 3:
      raise KeyboardInterrupt
    saved.append(folder)
    save(self, folder, batch)

  def recorded(self, folder, batch):
    saved.append(folder)
    save(self, folder, batch)

  def measure(directory):
    return study.measure(networks, dataset, jax.random.key(0), directory)

  monkeypatch.setattr(BatchFiles, "save", killed_at_the_fourth)
  with pytest.raises(KeyboardInterrupt):
    measure(tmp_path / "killed")
  monkeypatch.setattr(BatchFiles, "save", recorded)
  arrays, metadata = measure(tmp_path / "killed")
  # Two attacks on each of four networks, none of them twice.
  assert sorted(saved) == ["00-first"] * 4 + ["00-second"] * 4
  whole, metadata_of_whole = measure(tmp_path / "whole")
  for name, values in whole.items():
    np.testing.assert_array_equal(arrays[name], values)
  assert metadata == metadata_of_whole


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({"epsilon": -1}, "studies.e.epsilon must be a number >= 0, got -1"),
    ({"norm": "l3"}, r"studies.e.norm must be one of linf, l2, l1; got 'l3'"),
    ({"probed": -1}, "studies.e.probed must be a whole number between 0 and"),
    ({"attacks": {}}, "studies.e.attacks must have at least one entry, got none"),
    (
      {"attacks": {"x": {"name": "autoattack", "version": "standart"}}},
      r"attacks.x: version must be one of .*\(did you mean 'standard'\?\)",
    ),
    (
      {"attacks": {"x": {"name": "autoattack", "eps": 1}}},
      "attacks.x: setting of attack 'autoattack' must be one of version, steps",
    ),
    ({"attacks": {"x": {"name": "autoattack", "label": 1}}}, "attacks.x: label must be text"),
    (
      {"norm": "l2", "attacks": {"x": {"name": "tgsm"}}},
      "attacks.x: attack 'tgsm' needs the setting 'epsilon', .* norm 'l2', .* norm is 'linf'",
    ),
    ({"examples": 38}, "examples must be between 1 and 37, got 38"),
  ],
)
def test_bad_settings_are_refused_in_a_sentence_that_names_the_field(dataset, settings, sentence):
  with pytest.raises((ValueError, TypeError), match=sentence):
    read_study("e", {**ENTRY, **settings}).check(MODULES, dataset)


def test_autoattack_is_checked_attack_by_attack(dataset):
  attacks = {**ENTRY["attacks"], "aa": {"name": "autoattack", "steps": 5}}
  study = read_study("e", {**ENTRY, "attacks": attacks})
  study.check(MODULES, dataset)
  assert list(study.methods(dataset)) == [
    "attacks.x",
    *(f"attacks.aa ({member})" for member in ("apgd-ce", "apgd-margin", "fab-t", "square")),
  ]


@pytest.mark.parametrize("field", ["attacks", "epsilon"])
def test_the_attacks_and_the_radius_are_asked_for(field):
  entry = {name: value for name, value in ENTRY.items() if name != field}
  with pytest.raises(ValueError, match=f"studies.e needs the field '{field}'"):
    read_study("e", entry)
