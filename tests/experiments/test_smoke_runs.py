"""The papers' experiments from config to report, at their smallest size."""

import json
from pathlib import Path

import pytest

from robust_saliency.command_line import load_config
from robust_saliency.pipeline import Experiment
from robust_saliency.pipeline.readers import read_networks

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.mark.slow
@pytest.mark.parametrize(
  ("variant", "studies"),
  [
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
  assert claims
  assert {path.name for path in (tmp_path / "studies").iterdir()} >= studies
  assert report.stat().st_size > 100_000
  _, networks = read_networks(tmp_path)
  assert networks
  assert "VAE-GAN" not in networks  # which no command could attack or explain
