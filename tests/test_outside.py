"""Everything that a config names can be one's own, without touching the package: docs' example."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "your_own_methods.md"
CONFIG, METHODS = "config.py", "methods.py"


@pytest.fixture(scope="module", autouse=True)
def files(tmp_path_factory):
  """The page's two files, in the folder from which the commands are run."""
  folder = tmp_path_factory.mktemp("files")
  for name in (CONFIG, METHODS):
    parts = re.findall(rf"```python {name}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (folder / name).write_text("\n".join(parts), encoding="utf-8")
  with pytest.MonkeyPatch.context() as patch:
    patch.chdir(folder)
    yield folder


def run(command, *arguments):
  environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
  return subprocess.run(
    [sys.executable, "-m", f"robust_saliency.{command}", *map(str, arguments)],
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("outside")
  done = run("main", f"--import={METHODS}", f"--config={CONFIG}", f"--workdir={workdir}")
  assert done.returncode == 0, done.stderr
  return workdir


def test_an_experiment_of_ones_own_methods_has_its_report(workdir):
  page = (workdir / "report.html").read_text()
  for text in ("Sizes of logits", "How large logits are.", "Brighter", "Squared logits", "ink"):
    assert text in page, text
  claims = json.loads((workdir / "data" / "claims.json").read_text())
  assert {claim["id"]: claim["verdict"] for claim in claims} == {
    "O1": "supported",
    "O2": "supported",
    "O3": "supported",
  }


def test_its_folder_records_the_import_by_name_and_digest(workdir):
  [(name, digest)] = json.loads((workdir / "config.json").read_text())["imports"]
  assert (name, len(digest)) == ("methods.py", 64)
  record = json.loads((workdir / "studies" / "sizes" / "stage.json").read_text())
  assert record["follows_from"]["settings"]["imported"]["logit_sizes"] == digest


@pytest.mark.slow
@pytest.mark.parametrize(
  ("command", "arguments", "sentence"),
  [
    ("main", [f"--config={CONFIG}"], "studies.sizes.kind must be one of selection"),
    pytest.param(
      "explain",
      ["--methods=gradient"],
      "made with methods of its own: give --import=methods.py",
      marks=pytest.mark.slow,
    ),
    pytest.param(
      "evaluate",
      ["--epsilon=0.1"],
      "made with methods of its own: give --import=methods.py",
      marks=pytest.mark.slow,
    ),
  ],
)
def test_without_the_import_it_is_refused_in_one_sentence(workdir, command, arguments, sentence):
  refused = run(command, *arguments, f"--workdir={workdir}")
  assert refused.returncode == 2
  [line] = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
  assert sentence in line


@pytest.mark.slow
def test_its_own_attribution_explains_and_its_own_attack_evaluates(workdir, tmp_path):
  with_import = (f"--import={METHODS}", f"--workdir={workdir}", f"--out={tmp_path}")
  explained = run("explain", *with_import, "--methods=ink,gradient", "--examples=2")
  assert explained.returncode == 0, explained.stderr
  assert (tmp_path / "line.png").exists()
  evaluated = run("evaluate", *with_import, "--attacks=brighter", "--epsilon=0.1", "--examples=20")
  assert evaluated.returncode == 0, evaluated.stderr
  assert "brighter" in evaluated.stdout
