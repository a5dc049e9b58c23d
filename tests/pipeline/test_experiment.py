"""The main job, from a config to a report, on a few real digits."""

import copy
import errno
import json
import os
import re
import shutil
import signal

import numpy as np
import pytest

from robust_saliency.core import files
from robust_saliency.objectives import TERMS
from robust_saliency.pipeline import Experiment, WorkdirError, stages
from robust_saliency.pipeline import workdir as workdirs
from robust_saliency.training import (
  StoppedError,
  checkpoints,
  interruption,
)
from tests.pipeline.digits import ATTACK, COMMAND, CONFIG, about, arrays, changed, contents


def text_without_times(workdir):
  page = (workdir / "report.html").read_text()
  page = re.sub(r"\d{4}-\d\d-\d\dT[\d:+]+", "DATE", page)
  return re.sub(r"[\d.]+ (s|min( \d+ s)?)\b", "TIME", page)


def test_the_report_shows_what_the_studies_measured(finished):
  correct = arrays(finished, "accuracy")["correct"]
  [claim] = json.loads((finished / "data" / "claims.json").read_text())
  assert claim["value"] == pytest.approx(correct[0].mean())
  page = (finished / "report.html").read_text()
  assert f"{100 * correct[0].mean():.1f}" in page
  assert "A &lt;small&gt; experiment" in page
  assert COMMAND in page


def test_a_report_is_told_in_which_norm_each_network_was_attacked_in_training(finished):
  metadata = about(finished, "robustness")["metadata"]
  assert metadata["training_norms"] == {"standard": None, "pgd": "linf", "distilled": None}


def test_every_stage_leaves_its_files(finished):
  for name in ("standard", "pgd", "distilled"):
    for seed in (0, 1):
      directory = finished / "models" / name / f"seed_{seed}"
      assert (directory / "metrics.csv").exists()
      assert list((directory / "checkpoints").glob("step_*.json"))
      assert list((directory / "tensorboard").glob("events.*"))
  assert json.loads((finished / "config.json").read_text())["config"]["title"] == CONFIG["title"]


def test_what_is_finished_is_not_done_again_and_the_report_is_the_same(finished, monkeypatch):
  before = text_without_times(finished)
  records = {path: path.read_bytes() for path in finished.rglob("stage.json")}
  assert len(records) == 3 * 2 + 4

  def refuse(*args, **kwargs):
    raise AssertionError("a finished stage was run again")

  monkeypatch.setattr(stages, "run_study", refuse)
  monkeypatch.setattr("robust_saliency.training.checkpoints.save", refuse)
  Experiment(CONFIG, finished).run(command=COMMAND)
  assert text_without_times(finished) == before
  assert {path: path.read_bytes() for path in finished.rglob("stage.json")} == records


def test_seeds_and_models_differ(finished):
  maps = arrays(finished, "saliency")["maps"]
  assert not np.allclose(maps[0], maps[1])
  correct = arrays(finished, "robustness")["correct"]
  assert not np.array_equal(correct[0, 0, 0, 1], correct[0, 0, 1, 1])


@pytest.mark.parametrize(
  ("path", "value", "sentence"),
  [
    (
      "model",
      {},
      r"field of config must be one of .*; got 'model' \(did you mean 'models'\?\)",
    ),
    ("seeds", (), "seeds must have at least one entry"),
    ("seeds", (-1,), r"seeds\[0\] must be >= 0, got -1"),
    ("seeds", (0, 0), "seeds must differ, equal ones train the same network twice; got 0 at 0 and"),
    ("models.copy", {**CONFIG["models"]["standard"], "seed_offset": 1}, "would be a copy of"),
    ("dataset", {"name": "mnits"}, r"got 'mnits' \(did you mean 'mnist'\?\)"),
    (
      "dataset",
      {"nam": "digits"},
      "field of config.dataset must be one of name, path, bounds, validation; got 'nam'",
    ),
    ("dataset", {"name": "digits", "bounds": "ab"}, "config.dataset.bounds must be a list"),
    (
      "dataset",
      {"name": "digits", "validation": True},
      "config.dataset.validation must be a whole",
    ),
    ("title", "", "config.title must be text"),
    ("models", {}, "config.models must have at least one entry"),
    ("models.data", CONFIG["models"]["standard"], "must not have the name 'data'"),
    ("models", [1], "config.models must be fields with values"),
    ("models.pgd", 5, "config.models.pgd must be fields with values, got 5"),
    ("models.pgd.epoch", 3, r"model 'pgd': field of a model .* \(did you mean 'epochs'\?\)"),
    ("models.pgd.steps", 3, "model 'pgd': a model needs either epochs or steps"),
    ("models.pgd.batch_size", 0, "model 'pgd': batch_size must be >= 1, got 0"),
    ("models.pgd.architecture", {"name": "mpl"}, r"model 'pgd': model .*did you mean 'mlp'"),
    ("models.pgd.architecture", {"name": "mlp", "hiden": ()}, "did you mean 'hidden'"),
    ("models.pgd.optimizer", {"name": "adm", "learning_rate": 1.0}, "did you mean 'adam'"),
    ("models.pgd.optimizer", {"name": "adam", "learning_rate": -1.0}, "learning_rate must be > 0"),
    ("models.pgd.objective", {}, "model 'pgd': objective needs at least one term"),
    ("models.pgd.objective", {"crossentropy": {}}, "did you mean 'cross_entropy'"),
    (
      "models.pgd.objective.adversarial.attack",
      {**ATTACK, "epsilon": -0.1},
      "model 'pgd': epsilon must be >= 0, got -0.1",
    ),
    ("models.pgd.objective.adversarial.attack", {**ATTACK, "norm": "l3"}, "norm must be one of"),
    ("models.pgd.objective.adversarial.attack", {**ATTACK, "name": "pdg"}, "did you mean 'pgd'"),
    ("models.pgd.teacher", "standard", "needs a teacher, and no other may"),
    ("models.distilled.teacher", "stndard", r"did you mean 'standard'"),
    (
      "studies.transfer.epsilons",
      (-0.2,),
      r"studies.transfer.epsilons\[0\] must be a number >= 0, got -0.2",
    ),
    ("studies.robustness.attacks", {"x": {"name": "fgms"}}, r"study 'robustness': .*'fgsm'"),
    ("claims", [{**CONFIG["claims"][0], "at_lest": 1}], "did you mean 'at_least'"),
    ("claims", 3, "config.claims must be a file's name or a list of rows, got 3"),
    ("claims", "no.toml", "config.claims names no file beside the config: no.toml"),
  ],
)
def test_a_bad_config_ends_in_a_sentence_before_any_training(
  path, value, sentence, tmp_path, monkeypatch
):
  monkeypatch.setattr(
    "robust_saliency.training.many.train",
    lambda *args, **kwargs: pytest.fail("training was started"),
  )
  with pytest.raises((ValueError, TypeError, FileNotFoundError), match=sentence) as caught:
    Experiment(changed(path, value), tmp_path / "new")
  assert "\n" not in str(caught.value)
  assert not (tmp_path / "new").exists()


def test_a_workdir_of_another_config_is_refused_and_the_difference_named(finished):
  with pytest.raises(WorkdirError, match=r"models.pgd.epochs \(2 there, 3 here\).*--workdir"):
    Experiment(changed("models.pgd.epochs", 3), finished).run(command=COMMAND)


@pytest.mark.slow
def test_a_changed_config_runs_only_what_follows_from_the_change(finished, tmp_path, monkeypatch):
  workdir = tmp_path / "copy"
  shutil.copytree(finished, workdir)
  config = changed("models.pgd.epochs", 1)
  del config["models"]["standard"], config["models"]["distilled"], config["claims"]
  trained, before = [], contents(workdir / "models")
  save = checkpoints.save
  monkeypatch.setattr(
    checkpoints,
    "save",
    lambda folder, *a, **k: trained.append(folder.parent) or save(folder, *a, **k),
  )
  Experiment(config, workdir, rerun_changed=True).run(command=COMMAND)
  assert {path.relative_to(workdir).parts[1] for path in trained} == {"pgd"}
  kept = {path: content for path, content in before.items() if path.parts[0] != "pgd"}
  assert kept.items() <= contents(workdir / "models").items()

  # The networks are those of a directory of their own, and back again they are those before.
  Experiment(config, tmp_path / "new").run(command=COMMAND)
  for study in ("accuracy", "saliency"):
    new, rerun = (arrays(directory, study) for directory in (tmp_path / "new", workdir))
    for name in new:
      np.testing.assert_array_equal(new[name], rerun[name])
  Experiment(CONFIG, workdir, rerun_changed=True).run(command=COMMAND)
  assert text_without_times(workdir) == text_without_times(finished)


def test_a_new_title_runs_nothing_but_the_report(finished, tmp_path, monkeypatch):
  shutil.copytree(finished, tmp_path / "copy")
  monkeypatch.setattr(stages, "run_study", lambda *a, **k: pytest.fail("a study was run"))
  monkeypatch.setattr(checkpoints, "save", lambda *a, **k: pytest.fail("a step was taken"))
  Experiment(changed("title", "New"), tmp_path / "copy").run(command=COMMAND)
  assert "<title>New" in (tmp_path / "copy" / "report.html").read_text()


def test_two_models_of_one_folder_are_refused(tmp_path):
  config = copy.deepcopy(CONFIG)
  config["models"]["PGD!"] = config["models"]["pgd"]
  with pytest.raises(ValueError, match="models 'pgd' and 'PGD!' would share a folder"):
    Experiment(config, tmp_path)


def test_a_second_run_in_one_workdir_is_refused(finished):
  with workdirs.in_use(finished), pytest.raises(WorkdirError, match=r"in use: process \d+ on .*"):
    Experiment(CONFIG, finished).run(command=COMMAND)


def test_a_signal_between_two_studies_keeps_the_first(tmp_path, monkeypatch, capsys):
  run_study = stages.run_study
  names = []

  def run_and_ask(name, *args, **kwargs):
    names.append(name)
    with interruption.deferred():
      result = run_study(name, *args, **kwargs)
      os.kill(os.getpid(), signal.SIGTERM)
      return result

  config = copy.deepcopy(CONFIG)
  del config["models"]["pgd"], config["models"]["distilled"]
  monkeypatch.setattr(stages, "run_study", run_and_ask)
  stopped = pytest.raises(StoppedError, match="study robustness is next")
  with stopped, interruption.stopping_on_signals():
    Experiment(config, tmp_path).run(command=COMMAND)
  monkeypatch.setattr(
    stages,
    "run_study",
    lambda name, *a, **k: names.append(name) or run_study(name, *a, **k),
  )
  assert capsys.readouterr().err.startswith("6 of 6 stages to do: training standard, seed 0...\n")
  Experiment(config, tmp_path).run(command=COMMAND)
  said = capsys.readouterr().err
  assert said.startswith("3 of 6 stages to do: study robustness...\n")
  # What was only read took no time.
  done = [line.partition(": done in ")[0] for line in said.splitlines() if ": done in " in line]
  assert done == ["study robustness", "study transfer", "study saliency"]
  assert names == ["accuracy", "robustness", "transfer", "saliency"]


@pytest.mark.slow
def test_a_full_disk_in_a_study_loses_nothing_that_was_finished(tmp_path, monkeypatch):
  config = copy.deepcopy(CONFIG)
  del config["models"]["pgd"], config["models"]["distilled"]
  save_result = stages.save_result

  def full(result, *args, **kwargs):
    if result.name == "transfer":
      monkeypatch.setattr(files.os, "replace", no_space)
    return save_result(result, *args, **kwargs)

  def no_space(*_):
    raise OSError(errno.ENOSPC, "No space left on device")

  replace = os.replace
  monkeypatch.setattr(stages, "save_result", full)
  with pytest.raises(OSError, match="No space left on device"):
    Experiment(config, tmp_path).run(command=COMMAND)
  monkeypatch.setattr(files.os, "replace", replace)
  before = contents(tmp_path / "studies")
  kept = {path.parent.name for path in before if path.name == "stage.json"}
  assert kept == {"accuracy", "robustness"}
  monkeypatch.setattr(stages, "save_result", save_result)
  monkeypatch.setattr(checkpoints, "save", lambda *a, **k: pytest.fail("a step was taken"))
  Experiment(config, tmp_path).run(command=COMMAND)
  assert before.items() <= contents(tmp_path / "studies").items()


def test_a_workdir_that_cannot_be_made_is_refused(tmp_path):
  (tmp_path / "file").write_text("in the way")
  with pytest.raises(WorkdirError, match="cannot be used"):
    Experiment(CONFIG, tmp_path / "file" / "run").run(command=COMMAND)


def test_an_unwritable_workdir_is_refused(tmp_path, monkeypatch):
  def read_only(*args, **kwargs):
    raise PermissionError(13, "Permission denied")

  # Not by file modes, which do not bind a superuser.
  monkeypatch.setattr("tempfile.TemporaryFile", read_only)
  with pytest.raises(WorkdirError, match=r"cannot be used: .*Permission denied"):
    Experiment(CONFIG, tmp_path).run(command=COMMAND)


def test_a_damaged_config_file_is_refused(tmp_path):
  (tmp_path / "config.json").write_text("{")
  with pytest.raises(WorkdirError, match="cannot be used"):
    Experiment(CONFIG, tmp_path).run(command=COMMAND)


def test_a_folder_of_an_earlier_version_is_refused_in_a_sentence(tmp_path):
  files.write_with_digest(tmp_path / "config.json", json.dumps(CONFIG).encode())
  with pytest.raises(WorkdirError, match="left by another version of robust_saliency"):
    Experiment(CONFIG, tmp_path).run(command=COMMAND)


def test_missing_data_ends_in_a_sentence(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"python -m robust_saliency\.data prepare mnist"):
    Experiment(changed("dataset.name", "mnist"), tmp_path / "new", data_dir=str(tmp_path))


def test_a_training_is_of_the_versions_of_its_terms(finished):
  versions = {
    name: json.loads((finished / "models" / name / "seed_0" / "stage.json").read_text())
    for name in ("standard", "pgd")
  }
  found = {name: record["follows_from"]["version"] for name, record in versions.items()}
  # The adversarial term's is 2.
  assert found == {"standard": TERMS["cross_entropy"].version, "pgd": TERMS["adversarial"].version}
  assert found["pgd"] > found["standard"]
