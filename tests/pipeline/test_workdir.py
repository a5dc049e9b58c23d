import json
import subprocess
import sys

import pytest
from robust_saliency.studies.workdir import WorkdirError

from robust_saliency.studies import workdir as workdirs


def config(**changes):
  model = {"architecture": {"name": "mlp"}, "epochs": 2}
  base = {
    "title": "t",
    "dataset": {"name": "digits"},
    "seeds": [0, 1],
    "models": {"a": dict(model), "b": {**model, "teacher": "a"}, "c": dict(model)},
    "studies": {"accuracy": {"kind": "accuracy"}, "transfer": {"kind": "transfer"}},
    "claims": {"x": {"threshold": 0.5}},
  }
  for path, value in changes.items():
    *parents, last = path.split("__")
    node = base
    for part in parents:
      node = node[part]
    node[last] = value
  return base


STUDIES = "run the studies accuracy, transfer"
REPORT = "write the report"


@pytest.mark.parametrize(
  ("changes", "stages"),
  [
    ({}, [REPORT]),
    ({"title": "u"}, [REPORT]),
    ({"claims__x__threshold": 0.6}, [REPORT]),
    ({"models__c__log_every": 3, "models__a__checkpoint_every": 3}, [REPORT]),
    ({"models__c__epochs": 3}, ["train c (seed 0, 1)", STUDIES, REPORT]),
    ({"models__a__epochs": 3}, ["train a (seed 0, 1), b (seed 0, 1)", STUDIES, REPORT]),
    ({"seeds": [0, 2]}, ["train a (seed 2), b (seed 2), c (seed 2)", STUDIES, REPORT]),
    ({"seeds": [1]}, [STUDIES, REPORT]),
    ({"studies__transfer__examples": 9}, ["run the studies transfer", REPORT]),
    ({"studies": {"accuracy": {"kind": "accuracy"}}}, [REPORT]),
    (
      {"dataset__validation": 9},
      ["train a (seed 0, 1), b (seed 0, 1), c (seed 0, 1)", STUDIES, REPORT],
    ),
  ],
)
def test_a_change_reruns_what_follows_from_it_and_nothing_else(changes, stages):
  assert workdirs.stages_to_rerun(config(), config(**changes)) == stages


def test_the_order_of_models_is_part_of_a_study():
  given = config()
  given["models"] = dict(reversed(given["models"].items()))
  assert workdirs.stages_to_rerun(config(), given) == [STUDIES, REPORT]


def test_the_source_of_a_probe_is_part_of_the_probed_model():
  probed = config(models__c__probe={"source": "a"})
  assert workdirs.stages_to_rerun(config(), probed) == ["train c (seed 0, 1)", STUDIES, REPORT]
  changed = config(models__c__probe={"source": "a"}, models__a__epochs=3)
  assert workdirs.stages_to_rerun(probed, changed)[0] == (
    "train a (seed 0, 1), b (seed 0, 1), c (seed 0, 1)"
  )


def test_a_changed_config_is_refused_by_its_fields_and_stages(tmp_path):
  workdirs.claim(tmp_path, config())
  workdirs.claim(tmp_path, config())
  with pytest.raises(
    WorkdirError,
    match=r"differs in models.c.epochs \(2 there, 3 here\). With --rerun_changed this one would "
    r"train c \(seed 0, 1\), run the studies accuracy, transfer and write the report, and keep",
  ):
    workdirs.claim(tmp_path, config(models__c__epochs=3))
  assert json.loads((tmp_path / "config.json").read_text()) == config()
  workdirs.claim(tmp_path, config(models__c__epochs=3), rerun_changed=True)
  workdirs.claim(tmp_path, config(models__c__epochs=3))


HOLDER = """
import sys, time
from pathlib import Path
from robust_saliency.studies import workdir
with workdir.in_use(Path(sys.argv[1])):
  print("held", flush=True)
  time.sleep(600)
"""


def test_a_directory_in_use_is_refused_and_free_again_after_a_kill(tmp_path):
  holder = subprocess.Popen(
    [sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True
  )
  try:
    assert holder.stdout.readline() == "held\n"
    used = f"in use: process {holder.pid} on .* is using it"
    with pytest.raises(WorkdirError, match=used), workdirs.in_use(tmp_path):
      pytest.fail("two runs are in one directory")
  finally:
    holder.kill()
    holder.wait()
  with workdirs.in_use(tmp_path):
    pass


def test_a_stage_s_seconds_add_up_over_runs_and_damage_only_loses_the_count(tmp_path):
  assert workdirs.seconds_of_stages(tmp_path) == {}
  workdirs.add_seconds(tmp_path, "training", 2.5)
  workdirs.add_seconds(tmp_path, "study a", 1.0)
  workdirs.add_seconds(tmp_path, "training", 0.5)
  assert workdirs.seconds_of_stages(tmp_path) == {"training": 3.0, "study a": 1.0}
  (tmp_path / workdirs.SECONDS_NAME).write_text('{"training": ')
  assert workdirs.seconds_of_stages(tmp_path) == {}
