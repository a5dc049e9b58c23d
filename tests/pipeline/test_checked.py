"""A plan that has been traced once is not traced again, until something changes."""

import copy
import dataclasses
import stat

import pytest

from robust_saliency.pipeline.checked import Checked
from robust_saliency.pipeline.plan import Plan
from robust_saliency.studies.study import Study
from robust_saliency.training import Network

CONFIG = {
  "title": "One network",
  "dataset": {"name": "digits"},
  "seeds": (0,),
  "models": {
    "standard": {
      "architecture": {"name": "mlp", "hidden": (4,)},
      "objective": {"cross_entropy": {}},
      "optimizer": {"name": "adam", "learning_rate": 0.01},
      "batch_size": 100,
      "steps": 2,
    },
  },
  "studies": {
    "robust": {"kind": "robustness", "epsilons": (0.1,), "attacks": {"it": {"name": "fgsm"}}}
  },
}


@pytest.fixture
def traced(monkeypatch):
  """What is traced, in order."""
  calls = []
  for kind in (Network, Study):
    check = kind.check
    monkeypatch.setattr(
      kind, "check", lambda *given, check=check, kind=kind: calls.append(kind) or check(*given)
    )
  return calls


def changed(*path, value):
  config = copy.deepcopy(CONFIG)
  place = config
  for name in path[:-1]:
    place = place[name]
  place[path[-1]] = value
  return config


def test_the_same_plan_is_traced_once_and_another_again(traced, tmp_path):
  checked = Checked(tmp_path / "checked", {"package": "1"})

  def plan(config=CONFIG, checked=checked):
    traced.clear()
    Plan(config, folder=tmp_path, checked=checked)
    return list(traced)

  assert plan() == [Network, Study]
  assert plan() == []
  assert stat.S_IMODE((tmp_path / "checked").stat().st_mode) == 0o700
  for other in (
    changed("models", "standard", "batch_size", value=50),
    changed("studies", "robust", "attacks", "it", value={"name": "pgd", "steps": 1}),
    changed("dataset", value={"name": "digits", "validation": 100}),
  ):
    assert plan(other) == [Network, Study]
    assert plan(other) == []
  assert plan(checked=dataclasses.replace(checked, code={"package": "2"})) == [Network, Study]
  assert plan(checked=None) == [Network, Study]
  assert plan() == []


def test_a_plan_that_is_refused_is_refused_again(traced, tmp_path):
  checked = Checked(tmp_path / "checked", None)
  wrong = changed("studies", "robust", "attacks", "it", value={"name": "fgsm", "loss": "dlrr"})
  for _ in range(2):
    with pytest.raises(ValueError, match="did you mean 'dlr'"):
      Plan(wrong, folder=tmp_path, checked=checked)


def test_a_folder_that_cannot_be_written_to_stops_nothing(traced, tmp_path):
  (tmp_path / "checked").write_text("a file in its place")
  for _ in range(2):
    traced.clear()
    Plan(CONFIG, folder=tmp_path, checked=Checked(tmp_path / "checked", None))
    assert traced == [Network, Study]
