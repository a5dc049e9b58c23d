"""The command that measures how robust an experiment's networks are."""

import json
import subprocess
import sys
import types

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from robust_saliency import evaluate as evaluate_command
from robust_saliency.attacks.evaluation.evaluate_attacks import COLUMNS
from robust_saliency.data import load
from robust_saliency.models import logits_fn
from robust_saliency.pipeline import Experiment, evaluations, read_networks

CONFIG = {
  "title": "One network",
  "dataset": {"name": "digits"},
  "seeds": (0,),
  "models": {
    "long": {
      "architecture": {"name": "mlp", "hidden": (16,)},
      "objective": {"cross_entropy": {}},
      "optimizer": {"name": "adam", "learning_rate": 0.01},
      "batch_size": 100,
      "steps": 40,
    },
  },
}
THREAT = evaluations.Threat(0.1, "linf", 40)
MARGIN = "fgsm:loss=cw_margin"
FOLDER = evaluations.folder_name(["fgsm", MARGIN], THREAT, 40)
AUTOATTACK = "autoattack:steps=3:queries=5:targets=2"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("trained")
  Experiment(CONFIG, workdir).run(command="a test")
  return workdir


@pytest.fixture(scope="module")
def evaluated(trained):
  found = evaluations.evaluate_experiment(trained, ["fgsm", MARGIN], THREAT, models=["long"])
  return trained, found, trained / "evaluations" / FOLDER


def test_the_files_say_what_was_measured(evaluated):
  _, found, folder = evaluated
  assert list(found) == ["long"]
  names = {path.name for path in folder.iterdir()}
  suffixes = [".csv", ".json", ".npz"]
  assert names == {"batches"} | {f"long{s}{end}" for s in suffixes for end in ("", ".sha256")}
  digests = [f"long{suffix}.sha256" for suffix in suffixes]
  check = subprocess.run(["sha256sum", "--check", "--quiet", *digests], cwd=folder, check=False)
  assert check.returncode == 0
  about = json.loads((folder / "long.json").read_text())
  assert (about["epsilon"], about["norm"], about["examples"]) == (0.1, "linf", 40)
  lines = (folder / "long.csv").read_text().splitlines()
  assert lines[0] == ",".join(COLUMNS)
  attacked = [row["attack"] for row in about["table"]]
  assert attacked == [line.split(",")[0] for line in lines[1:]]
  assert attacked == ["none", "fgsm", MARGIN, "worst case"]


def test_the_verdicts_are_those_of_the_network_on_the_first_test_examples(evaluated):
  workdir, _, folder = evaluated
  network = read_networks(workdir)[1]["long"][0]
  classify = logits_fn(network.module, network.variables)
  test = load("digits").test.take(slice(40))
  arrays = np.load(folder / "long.npz")
  x = load("digits").to_float(test.x)
  np.testing.assert_array_equal(arrays["correct"], np.argmax(classify(x), 1) == test.y)
  worst = arrays["correct"].copy()
  for name in ("fgsm", MARGIN):
    x_adv = arrays[f"{name}/x_adv"]
    assert np.abs(x_adv - x).max() <= 0.1 + 1e-6
    stands = arrays["correct"] & (np.argmax(classify(x_adv), 1) == test.y)
    np.testing.assert_array_equal(arrays[f"{name}/robust"], stands)
    worst &= stands
  np.testing.assert_array_equal(arrays["robust"], worst)
  assert 0 < worst.mean() < arrays["correct"].mean()


def test_the_same_again_attacks_nothing_and_gives_the_same_verdicts(evaluated):
  workdir, _, folder = evaluated
  before = np.load(folder / "long.npz")
  again = evaluations.evaluate_experiment(workdir, ["fgsm", MARGIN], THREAT, models=["long"])
  for name, array in again["long"].arrays.items():
    np.testing.assert_array_equal(array, before[name])
  verdicts = again["long"].verdicts.values()
  assert not any(one.compile_seconds.any() for one in verdicts)


def test_other_attacks_leave_the_tables_of_these_as_they_are(evaluated):
  workdir, _, folder = evaluated
  before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
  names = ["jsma"]
  found = evaluations.evaluate_experiment(workdir, names, THREAT, models=["long"])
  # JSMA's pixels go as far as they can: out of the ball, where they do not count.
  verdicts = found["long"].verdicts[names[0]]
  assert verdicts.outside.any()
  assert not (verdicts.outside & verdicts.broken).any()
  assert before == {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
  assert (folder.parent / evaluations.folder_name(names, THREAT, 40) / "long.csv").exists()


def test_a_row_of_a_robustness_table_is_written_on_demand(evaluated):
  workdir, _, folder = evaluated
  evaluations.evaluate_experiment(
    workdir, ["fgsm", MARGIN], THREAT, models=["long"], robustness_table=True
  )
  row = json.loads((folder / "robustness_table/long.json").read_text())
  assert (row["dataset"], row["architecture"], row["threat_model"]) == ("digits", "MLP", "Linf")
  arrays = np.load(folder / "long.npz")
  assert float(row["clean_acc"]) == pytest.approx(100 * arrays["correct"].mean())
  assert float(row["robust_acc"]) == pytest.approx(100 * arrays["robust"].mean())
  assert [one["attack"] for one in row["attacks"]] == ["fgsm", MARGIN]
  assert "autoattack_acc" not in row


def test_each_evaluation_has_a_folder_of_its_own():
  others = [
    (["pgd"], THREAT, 40),
    (["pgd:steps=7"], THREAT, 40),
    (["apgd_targeted:targets=1"], THREAT, 40),
    (["apgd_targeted:targets=-1"], THREAT, 40),
    (["pgd", "fgsm"], THREAT, 40),
    (["pgd"], evaluations.Threat(8 / 255, "linf", 40), 40),
    (["pgd"], evaluations.Threat(0.0313725, "linf", 40), 40),
    (["pgd"], THREAT, 4),
    ([f"pgd:steps=7:restarts=2:step_size=0.01:loss=dlr:rho={i}" for i in range(3)], THREAT, 40),
    ([f"pgd:steps=7:restarts=2:step_size=0.01:loss=dlr:rho={i}" for i in range(4)], THREAT, 40),
  ]
  names = [evaluations.folder_name(*other) for other in others]
  assert len(set(names)) == len(others)
  assert max(map(len, names)) < 80


def test_people_read_a_table_and_warnings(evaluated):
  _, found, _ = evaluated
  lines = evaluations.show("long", found["long"]).splitlines()
  assert lines[0] == "long"
  headings = ["accuracy", "broken", "outside", "seconds", "compiling", "forward", "backward"]
  assert lines[1].split() == ["attack", *headings]
  assert lines[2].split()[0] == "none"
  assert any(line.startswith("worst case  ") for line in lines)
  assert max(map(len, lines)) <= 80


def test_a_table_of_long_names_and_numbers_fits_80_columns():
  name = "autoattack:steps=20:queries=200:targets=3/apgd-ce"
  many = [name, 0.123456, 10_000, 10_000, 10_000, 123456.7, 1234.5, 123456.7, 123456.7]
  shown = types.SimpleNamespace(
    table=[["none", 1.0, *[""] * 7], many], warnings={"convergence": ["It has not. " * 20]}
  )
  lines = evaluations.show("long", shown).splitlines()
  assert max(map(len, lines)) <= 80
  row = lines.index(name) + 1
  assert lines[row].split() == [
    "0.123",
    "10000/10000",
    "10000",
    "123457",
    "1234",
    "123457",
    "123457",
  ]


@pytest.mark.slow
def test_autoattack_is_taken_apart(trained, tmp_path):
  threat = evaluations.Threat(0.5, "l2", 10)
  found = evaluations.evaluate_experiment(trained, [AUTOATTACK], threat, out=tmp_path)
  members = ["apgd-ce", "apgd-t", "fab-t", "square"]
  names = ["none", *(f"{AUTOATTACK}/{member}" for member in members), AUTOATTACK, "worst case"]
  assert [row[0] for row in found["long"].table] == names


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    ({"names": ["autoatack"]}, "did you mean 'autoattack'"),
    ({"names": ["pgd:step=3"]}, "did you mean 'steps'"),
    ({"names": ["autoattack:query=3"]}, "did you mean 'queries'"),
    ({"models": ["lon"]}, "did you mean 'long'"),
    ({"threat": evaluations.Threat(-1.0, "linf", 40)}, "epsilon must be >= 0, got -1.0"),
    ({"threat": evaluations.Threat(0.1, "linf", 0)}, "examples must be >= 1, got 0"),
    ({"threat": evaluations.Threat(0.1, "l3", 40)}, "norm must be one of"),
  ],
)
def test_what_there_is_not_is_named(evaluated, change, sentence):
  with pytest.raises(ValueError, match=sentence):
    evaluations.evaluate_experiment(
      evaluated[0], **{"names": [AUTOATTACK], "threat": THREAT, "models": ["long"]} | change
    )


@pytest.mark.parametrize("name", ["pgd:step=3", "autoattack:step=3"])
def test_a_misspelt_setting_is_said_before_networks_are_looked_for(tmp_path, name):
  with pytest.raises(ValueError, match=r"got 'step' \(did you mean 'steps'\?\)"):
    evaluations.evaluate_experiment(tmp_path, ["fgsm", name], THREAT)


def test_another_network_is_not_mixed_with_what_is_there(evaluated, tmp_path):
  workdir, _, folder = evaluated
  with pytest.raises(ValueError, match=r"differs in .*epsilon \(0.1 there, 0.05 here\)"):
    evaluations.evaluate_experiment(
      workdir, ["fgsm"], evaluations.Threat(0.05, "linf", 40), models=["long"], out=folder
    )


@pytest.mark.parametrize(
  ("arguments", "sentence"),
  [
    ([], "give --workdir=DIRECTORY of an experiment"),
    (["--workdir={}"], "give --epsilon=RADIUS of the ball"),
  ],
)
def test_the_command_asks_for_what_is_missing(tmp_path, arguments, sentence):
  with flagsaver.flagsaver():
    flags.FLAGS(["evaluate", *(argument.format(tmp_path) for argument in arguments)])
    assert sentence in evaluate_command.COMMAND.missing()


def command(*arguments):
  line = [sys.executable, "-m", "robust_saliency.evaluate", *arguments]
  return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_command_prints_the_table_or_one_sentence(tmp_path):
  settings = ["--epsilon=0.1", "--attacks=fgsm", "--examples=5", "--models=long"]
  result = command(f"--workdir={tmp_path}", *settings)
  assert result.returncode == 2
  assert "holds no experiment; run python -m robust_saliency.main first" in result.stderr
  Experiment(CONFIG, tmp_path).run(command="a test")
  result = command(f"--workdir={tmp_path}", *settings)
  words = [line.split()[:1] for line in result.stdout.splitlines()]
  assert words[:5] == [["long"], ["attack"], ["none"], ["fgsm"], ["worst"]]
  (folder,) = (tmp_path / "evaluations").glob("linf-0-1-on-5-fgsm-*")
  assert (folder / "long.json").exists()
