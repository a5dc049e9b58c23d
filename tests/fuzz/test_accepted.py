"""What the check before training accepts is not refused after it."""

import random

import pytest

from robust_saliency.pipeline import Experiment
from tests.fuzz import config_cases, config_fields, sense
from tests.fuzz.cases import brief, quiet

COUNT, SEED = 30, 0


def changes():
  """(config, path, value), of which most are accepted."""
  found = [
    (name, path, value)
    for name, make in config_fields.CONFIGS.items()
    for path in config_fields.paths(make())
    for value in sense.of(*config_fields.kind_of(path))
  ]
  random.Random(SEED).shuffle(found)
  return found


@pytest.mark.slow
def test_configs_that_are_accepted_run_to_their_end(tmp_path):
  ran = 0
  for name, path, value in changes():
    config = config_cases.changed(config_fields.CONFIGS[name](), path, value)
    try:
      config_cases.check(config)
    except (ValueError, TypeError):
      continue  # two fields that do not go together
    ran += 1
    workdir = tmp_path / str(ran)
    try:
      with quiet(), config_fields.own_terms():
        Experiment(config, workdir, folder=config_fields.EXPERIMENTS).run(command="a test")
    except Exception as error:
      raise AssertionError(f"{name}: {'.'.join(path)} = {brief(value)}") from error
    assert (workdir / "report.html").exists()
    if ran == COUNT:
      return
  raise AssertionError(f"only {ran} are accepted")
