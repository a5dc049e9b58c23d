"""Networks that are trained as one program, in an experiment."""

import jax
import numpy as np
import pytest

from robust_saliency.core import files
from robust_saliency.pipeline import Experiment
from robust_saliency.training import (
  checkpoints,
  read_metrics,
  train_many,
)
from tests.pipeline.digits import CONFIG, train


@pytest.mark.slow  # compiles each step twice
def test_a_sweep_trained_as_one_program_leaves_what_each_network_leaves_alone(tmp_path):
  model = {**CONFIG["models"]["standard"], "steps": 7, "log_every": 3, "checkpoint_every": 4}
  probe = {"every": 2, "examples": 50, "source": "standard"}
  config = {
    **CONFIG,
    "dataset": {"name": "digits", "validation": 100},
    "models": {
      "standard": model,
      **{
        f"GR {weight}": {
          **model,
          "objective": {"cross_entropy": {}, "input_gradient_penalty": {"weight": weight}},
          "probe": probe,
        }
        for weight in (0.0, 0.1)
      },
      "GR of soft labels": {
        **model,
        "objective": {"distillation": {}, "distilled_label_penalty": {"weight": 0.1}},
        "teacher": "standard",
      },
    },
  }
  together, alone = tmp_path / "together", tmp_path / "alone"
  trained = {
    workdir: train(config, workdir, together=workdir == together) for workdir in (together, alone)
  }
  for name in config["models"]:
    for a, b in zip(*(trained[workdir][name] for workdir in (together, alone)), strict=True):
      jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
        a.variables,
        b.variables,
      )
    rows = [
      read_metrics(workdir / "models" / files.slug(name) / "seed_1")
      for workdir in (together, alone)
    ]
    for a, b in zip(*rows, strict=True):
      assert a == pytest.approx(b, rel=1e-2, abs=1e-3)
  # Of the programs nothing is left, and each network counts as finished.
  assert not list(together.glob("models/*/*/together"))
  before = [path.stat().st_mtime_ns for path in sorted(together.glob("models/*/*/metrics.csv"))]
  train(config, together, together=False)
  after = [path.stat().st_mtime_ns for path in sorted(together.glob("models/*/*/metrics.csv"))]
  assert after == before


@pytest.mark.slow  # compiles each step twice
@pytest.mark.parametrize("faster", [True, False])
def test_seeds_are_one_program_where_a_trial_of_it_is_faster(faster, tmp_path, monkeypatch):
  plain = {**CONFIG["models"]["standard"], "architecture": {"name": "mlp", "hidden": ()}}
  config = {**CONFIG, "models": {"standard": {**plain, "steps": 2}}}
  tried, as_one = [], []

  def tried_first(step, members, data, *, steps_per_call):
    tried.append((len(members), steps_per_call))
    return faster

  def trained_many(*given, **settings):
    as_one.append(settings["together"])
    return train_many(*given, **settings)

  pipeline = "robust_saliency.pipeline"
  monkeypatch.setattr(f"{pipeline}.experiment.tries_one_program_by_default", lambda: True)
  monkeypatch.setattr(f"{pipeline}.together.one_program_is_faster", tried_first)
  monkeypatch.setattr(f"{pipeline}.together.train_many", trained_many)
  for _ in range(2):  # the second time both are there
    (networks,) = train(config, tmp_path).values()
    assert len(networks) == len(CONFIG["seeds"]) == 2
  assert tried == [(2, 1)]
  assert as_one == [True] * faster


class CutError(Exception):
  pass


@pytest.mark.slow
def test_a_sweep_that_was_killed_while_it_was_handed_out_takes_no_further_step(
  tmp_path, monkeypatch
):
  model = {**CONFIG["models"]["standard"], "steps": 4}
  config = {**CONFIG, "models": {"standard": model}}
  whole = train(config, tmp_path / "whole", together=True)
  save = checkpoints.save

  def cut(folder, *args, **settings):
    if "seed_1" in str(folder):
      raise CutError
    return save(folder, *args, **settings)

  monkeypatch.setattr(checkpoints, "save", cut)
  with pytest.raises(CutError):
    train(config, tmp_path / "cut", together=True)
  monkeypatch.setattr(checkpoints, "save", save)
  experiment = Experiment({**config, "studies": {}, "claims": []}, tmp_path / "cut", together=True)
  monkeypatch.setattr(
    "robust_saliency.training.networks.batch_indices", lambda *a, **k: pytest.fail("a step")
  )
  resumed = experiment.trained(experiment.compute())
  for a, b in zip(whole["standard"], resumed["standard"], strict=True):
    jax.tree.map(np.testing.assert_array_equal, a.variables, b.variables)
