"""The papers' experiments from config to report, at their smallest size."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from robust_saliency.command_line import load_config
from robust_saliency.pipeline import Experiment
from robust_saliency.pipeline.readers import read_networks

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.mark.slow
@pytest.mark.parametrize(
  ("variant", "studies"),
  [
    ("ross2018.py:smoke", {"lambda", "jsma", "fgsm"}),
    ("ross2018_adversarial.py:smoke", {"batch-statistics"}),
    ("noack2019.py:smoke", {"matched", "agreement", "linear-robustness", "class-means"}),
    ("kim2019.py:roar,smoke", {"roar", "loss-gradients"}),
    ("kim2019.py:boundary,20", {"boundary"}),
    ("normlime2019.py:smoke", {"2x2-blocks", "pixels", "roar", "kar-class-masks"}),
    ("kim2019.py:manifold,smoke", {"manifold"}),
  ],
)
def test_a_smoke_run_ends_with_verdicts_and_a_page(tmp_path, variant, studies):
  config = load_config(f"{EXPERIMENTS / variant}")
  report = Experiment(config, tmp_path, folder=EXPERIMENTS).run(command="a test")
  claims = json.loads((tmp_path / "data" / "claims.json").read_text())
  assert claims or not config.get("claims")
  assert {path.name for path in (tmp_path / "studies").iterdir()} >= studies
  assert report.stat().st_size > 100_000
  _, networks = read_networks(tmp_path)
  assert networks
  assert "VAE-GAN" not in networks  # which no command could attack or explain
  if variant == "ross2018.py:smoke":
    assert "not judged: no votes yet" in {claim["verdict"] for claim in claims}
    script = EXPERIMENTS / "results" / "ross2018" / "recompute.py"
    subprocess.run([sys.executable, script, tmp_path], check=True)
  if "adversarial" in variant:
    read = json.loads((tmp_path / "studies" / "batch-statistics" / "result.json").read_text())
    assert read["layout"]["coordinates"]["model"] == list(config.models)
    curves = np.genfromtxt(tmp_path / "data" / "training.csv", delimiter=",", names=True)
    assert np.nanmax(curves["probe_white_box_accuracy"]) > 0


@pytest.mark.slow
def test_a_smoke_run_of_ross_in_the_manner_of_svhn_can_begin(tmp_path):
  config = load_config(f"{EXPERIMENTS / 'ross2018.py'}:svhn,smoke")
  Experiment(config, tmp_path, folder=EXPERIMENTS)
