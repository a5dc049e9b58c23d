"""Several processes share one experiment: --jobs."""

import contextlib
import os
import signal
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from robust_saliency.command_line import jobs
from robust_saliency.core import folders
from robust_saliency.pipeline import Experiment, experiment
from tests import soak
from tests.pipeline.conftest import CONFIG


def finish(folder, count):
  soak.wait_for_its_end(soak.start(folder, f"--jobs={count}"), folder)
  return soak.trained(folder)


def test_a_stage_that_another_process_is_at_is_passed_over_until_it_is_free(
  tmp_path, monkeypatch, capsys
):
  (tmp_path / "run" / ".locks").mkdir(parents=True)
  with contextlib.ExitStack() as other:
    other.enter_context(folders.locked(tmp_path / "run" / ".locks" / "models-standard-seed_0"))
    left = []

    def sleep(_):
      left.append((tmp_path / "run" / "models" / "standard" / "seed_1" / "stage.json").is_file())
      other.close()

    monkeypatch.setattr(experiment.time, "sleep", sleep)
    done = Experiment(CONFIG, tmp_path / "run").compute()
  assert left == [True]
  said = capsys.readouterr().err
  assert said.index("seed 1: done") < said.index("seed 0: done") < said.index("accuracy: done")
  assert sorted(stage.name for stage in done if stage.needs) == [
    "study accuracy",
    "training standard, seed 0",
    "training standard, seed 1",
  ]


def test_each_process_has_cores_of_its_own(monkeypatch):
  pinned = []
  monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5, 1, 2, 3, 8}, raising=False)
  monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: pinned.append(cores), raising=False)
  jobs.Jobs(1)
  jobs.Jobs(2)
  assert pinned == [[1, 3, 8]]
  monkeypatch.setenv(jobs.CORES, "2,5")
  assert jobs.is_helper()
  jobs.Jobs(2)
  assert pinned == [[1, 3, 8], [2, 5]]


@pytest.mark.parametrize("count", [0, -1, 6])
def test_there_are_at_least_as_many_cores_as_processes(monkeypatch, count):
  monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 4}, raising=False)
  with pytest.raises(ValueError, match=f"jobs must be .*, got {count}"):
    jobs.Jobs(count)


@pytest.mark.slow
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_two_processes_train_and_measure_what_one_does(tmp_path):
  alone, shared = finish(tmp_path / "alone", 1), finish(tmp_path / "shared", 2)
  assert alone.keys() == shared.keys()
  # Sums are of another order on one core than on two.
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=2e-3), alone, shared)
  said = soak.errors(tmp_path / "shared").read_text()
  for name in (*alone, "study accuracy", "study robustness"):
    assert said.count(f"{name}: done") == 1
  assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
@pytest.mark.parametrize("sent_to_all", [False, True])
def test_a_signal_stops_all_processes_and_the_command_resumes(tmp_path, sent_to_all):
  process = soak.start(tmp_path, "--jobs=2")
  checkpoints = [tmp_path / "run" / "models" / "standard" / f"seed_{seed}" for seed in (0, 1)]
  while process.poll() is None and not all(any(one.glob("checkpoints/*")) for one in checkpoints):
    time.sleep(0.02)
  helpers = Path(f"/proc/{process.pid}/task/{process.pid}/children")
  if sent_to_all and helpers.exists():  # as schedulers do; the first process tells them, too
    for helper in helpers.read_text().split():
      os.kill(int(helper), signal.SIGTERM)
  process.send_signal(signal.SIGTERM)
  assert process.wait(timeout=100) == 75
  said = soak.errors(tmp_path).read_text()
  assert said.count("stopped by SIGTERM") == 2, said
  assert "Traceback" not in said
  assert len(finish(tmp_path, 2)) == 4
