"""Every notebook runs from top to bottom."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

plt.switch_backend("Agg")

NOTEBOOKS = sorted((Path(__file__).parents[1] / "colabs").glob("*.ipynb"))


def cells(path):
  """The code cells, without the notebook's own commands (installation)."""
  for cell in json.loads(path.read_text())["cells"]:
    if cell["cell_type"] == "code":
      lines = "".join(cell["source"]).splitlines()
      yield "\n".join(line for line in lines if not line.startswith(("%", "!")))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, monkeypatch):
  shown = []
  monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
  names = {}
  for number, source in enumerate(cells(path)):
    exec(compile(source, f"{path.name}, cell {number}", "exec"), names)
  assert shown
  if path.stem == "digits":
    # epsilon 0.2: the notebook's last sentence rests on the networks' difference.
    assert names["curves"]["adversarial"][4] > names["curves"]["standard"][4] + 0.25
  plt.close("all")
