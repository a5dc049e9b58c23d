"""The README's code, as it stands."""

import re

import pytest
from PIL import Image

from tests.markdown import examples_in, run_examples


def test_the_examples_run_and_do_what_they_say(request, tmp_path, monkeypatch, capsys):
  path = request.config.rootpath / "README.md"
  assert len(examples_in(path)) == 4
  monkeypatch.chdir(tmp_path)
  names = run_examples(path)
  said = re.search(r"print\(.*under attack\"\)  # ([\d.]+), ([\d.]+)\n", path.read_text())
  printed = re.findall(r"\d\.\d\d", capsys.readouterr().out)
  assert list(map(float, printed)) == pytest.approx(list(map(float, said.groups())), abs=0.05)
  x, y, epsilons = names["x"], names["y"], names["epsilons"]
  assert names["x_adv"].shape == x.shape
  assert names["maps"].shape == x[:10].shape
  assert abs(names["x_adv"] - x).max() <= 0.1 + 1e-6
  accuracies = names["accuracy"](epsilons)
  assert accuracies[0] == pytest.approx(names["right"](x))
  assert accuracies[0] > accuracies[-1] + 0.3
  for name in ("curve.png", "maps.png"):
    assert Image.open(tmp_path / name).width > 200
  assert (names["trained"](x).argmax(axis=-1) == y).mean() > 0.85
  # Trained against attacks, it stands them better than the network that was trained plainly.
  x_adv = names["attacks"].pgd(names["key"], names["trained"], x, y, epsilon=0.1)
  assert (names["trained"](x_adv).argmax(axis=-1) == y).mean() > names["right"](names["x_adv"])
