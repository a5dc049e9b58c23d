import subprocess
import sys

import pytest

from robust_saliency.pipeline import workdir as workdirs
from robust_saliency.pipeline.workdir import WorkdirError


def config(**changes):
  model = {"architecture": {"name": "mlp"}, "epochs": 2}
  base = {
    "title": "t",
    "dataset": {"name": "digits"},
    "seeds": [0, 1],
    "models": {"a": dict(model), "c": dict(model)},
    "studies": {"accuracy": {"kind": "accuracy"}},
    "claims": [],
  }
  for path, value in changes.items():
    *parents, last = path.split("__")
    node = base
    for part in parents:
      node = node[part]
    node[last] = value
  return base


def test_a_changed_config_is_refused_by_its_fields_and_stages(tmp_path):
  workdirs.claim(tmp_path, config())
  workdirs.claim(tmp_path, config())
  changed = config(models__c__epochs=3)
  with pytest.raises(
    WorkdirError,
    match=r"differs in models.c.epochs \(2 there, 3 here\). With --rerun_changed this one would "
    r"compute training c, seed 0 and study accuracy, and keep the rest",
  ):
    workdirs.claim(tmp_path, changed, stages=["training c, seed 0", "study accuracy"])
  assert workdirs.read_config(tmp_path) == config()
  workdirs.claim(tmp_path, changed, rerun_changed=True)
  workdirs.claim(tmp_path, changed)


@pytest.mark.parametrize(
  "changes", [{"title": "u"}, {"summary": "s"}, {"claims": [{"id": "C1"}]}, {"scale": "full"}]
)
def test_words_may_change(tmp_path, changes):
  workdirs.claim(tmp_path, config())
  workdirs.claim(tmp_path, {**config(), **changes})
  assert workdirs.read_config(tmp_path) == {**config(), **changes}


def test_the_order_of_models_is_part_of_an_experiment(tmp_path):
  workdirs.claim(tmp_path, config())
  given = config()
  given["models"] = dict(reversed(given["models"].items()))
  with pytest.raises(WorkdirError, match="differs in the order of its fields"):
    workdirs.claim(tmp_path, given)


def test_a_long_list_of_differences_is_cut(tmp_path):
  workdirs.claim(tmp_path, config())
  given = config(studies={f"s{i}": {"kind": "accuracy"} for i in range(50)})
  with pytest.raises(WorkdirError, match=r"and 45 more\. With") as caught:
    workdirs.claim(tmp_path, given, stages=[f"study s{i}" for i in range(50)])
  assert len(str(caught.value)) < 1000


HOLDER = """
import sys, time
from pathlib import Path
from robust_saliency.pipeline import workdir
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
