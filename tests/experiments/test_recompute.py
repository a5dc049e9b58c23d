"""The script that recomputes claims without us, on the arrays of three networks of each kind."""

import json
import runpy
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from robust_saliency.command_line import load_config
from robust_saliency.report.claims import sheet
from robust_saliency.report.findings import result_files
from robust_saliency.results.claims import judge_claim, read_table
from robust_saliency.results.result import Result
from robust_saliency.studies import read_study
from robust_saliency.studies.targeted.reading import target_rate
from robust_saliency.studies.transfer.quantities import derived

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SCRIPT = EXPERIMENTS / "results/ross2018/recompute.py"
SEEDS = (0, 1, 2)
DIGITS = types.SimpleNamespace(classes=tuple("0123456789"))


def results(config):
  """FGSM, gradients and JSMA as networks of known accuracies would leave them."""
  random = np.random.default_rng(0)
  studies = {
    name: read_study(name, config["studies"][name]) for name in ("FGSM", "gradients", "JSMA")
  }
  networks = {
    name: tuple(one.networks(())) if name == "JSMA" else one.models for name, one in studies.items()
  }
  layouts = {name: one.layout(networks[name], SEEDS, DIGITS) for name, one in studies.items()}

  targets, radii = networks["FGSM"], np.array(studies["FGSM"].epsilons)
  accuracy = np.full((len(SEEDS), len(radii), len(targets), len(targets)), 0.4)
  # GR(y) loses little by little, the adversarially trained network late and fast.
  for name, curve in (("GR(y)", 0.95 - radii), ("adversarial", 1.2 - 2 * radii)):
    accuracy[..., targets.index(name)] = curve[:, None]
  accuracy += random.normal(0, 0.03, accuracy.shape)
  correct = random.random((*accuracy.shape, 300)) < accuracy[..., None]
  fooled = ~correct[:, int(np.argmin(abs(radii - studies["FGSM"].overlap.epsilon)))]
  itself = np.stack([fooled[:, i, i] for i in range(len(targets))], axis=1)[:, :, None]
  fgsm = {
    "correct": correct, **derived(correct, studies["FGSM"].epsilons),
    "fools_both": fooled & itself, "fools_either": fooled | itself,
  }  # fmt: skip

  norms = 10 ** random.normal(-3, 2, (3, len(networks["gradients"]), len(SEEDS), 300))
  norms[:, networks["gradients"].index("distilled"), :, ::4] = 0
  gradients = {"gradient_norm": norms.astype(np.float32), "is_zero": norms == 0}

  jsma_axes = layouts["JSMA"].coordinates
  labels = np.repeat(np.arange(10), 2)
  shape = (len(jsma_axes["model"]), len(jsma_axes["reader"]), len(SEEDS), 20, 10)
  predictions = np.where(random.random(shape) < 0.5, np.arange(10), labels[:, None])
  jsma = {
    "predictions": predictions,
    "target_rate": target_rate(predictions, labels),
    "labels": labels,
  }

  found = {}
  for name, arrays in (("FGSM", fgsm), ("gradients", gradients), ("JSMA", jsma)):
    layout = layouts[name]
    for array, axes in layout.axes.items():
      if array not in arrays:
        arrays[array] = np.zeros([len(layout.coordinates.get(axis, (0,))) for axis in axes])
    metadata = {"overlap": {"epsilon": studies["FGSM"].overlap.epsilon}} if name == "FGSM" else {}
    found[name] = Result(name, studies[name].kind, layout, arrays, metadata)
  return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("report")
  config = load_config(f"{EXPERIMENTS / 'ross2018.py'}:mnist").to_dict()
  measured = results(config)
  text = (EXPERIMENTS / config["claims"]).read_text(encoding="utf-8")
  # The studies need not measure the network of both defences.
  networks = {*config["models"]} - {"GR(y) + adversarial"}
  claims = [
    claim
    for claim in read_table(text, dataset="mnist", networks=networks)
    if claim.of is not None and claim.of.split(".")[0] in measured
  ]
  (folder / "data").mkdir()
  for name, result in measured.items():
    for path, content in result_files(result, name.lower(), small=False).items():
      (folder / path).write_bytes(content)
  table = sheet([judge_claim(claim, measured) for claim in claims], dataset="mnist")
  rows = [dict(zip(table.header, row, strict=True)) for row in table.rows]
  (folder / "data/claims.json").write_text(json.dumps(rows))
  return folder


@pytest.fixture
def recompute(monkeypatch, capsys):
  def run(folder):
    monkeypatch.setattr(sys, "argv", ["recompute.py", str(folder)])
    with pytest.raises(SystemExit) as ended:
      runpy.run_path(str(SCRIPT), run_name="__main__")
    return ended.value.code, capsys.readouterr().out.splitlines()

  return run


def test_claims_are_recomputed_from_the_arrays_that_a_report_keeps(folder, recompute):
  wrong, lines = recompute(folder)
  assert wrong == 0
  assert [line.split()[0] for line in lines].count("C2") == 4
  assert len(lines) == 17
  assert not any("nan" in line for line in lines)


def test_claims_that_are_not_what_the_arrays_say_are_found(folder, tmp_path, recompute):
  shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
  changes = {
    "C2 undefended, to 0.4": ("value", 2e-6),
    "C17": ("value", -2e-6),
    "C5 all": ("low", 0.2),
  }
  rows = json.loads((folder / "data/claims.json").read_text())
  for row in rows:
    if row["id"] in changes:
      field, by = changes[row["id"]]
      row[field] += by
  (tmp_path / "data/claims.json").write_text(json.dumps(rows))
  wrong, lines = recompute(tmp_path)
  assert wrong == 3
  assert {line[:40].strip() for line in lines if "WRONG" in line} == {*changes}


def test_the_script_imports_nothing_of_ours():
  assert "robust_saliency" not in SCRIPT.read_text()
