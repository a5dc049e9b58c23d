"""The README's code, as it stands."""

import re

from PIL import Image


def test_the_examples_run_and_do_what_they_say(request, tmp_path, monkeypatch):
  text = (request.config.rootpath / "README.md").read_text(encoding="utf-8")
  examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
  assert len(examples) == 2
  monkeypatch.chdir(tmp_path)
  names = {}
  for example in examples:
    exec(compile(example, "README.md", "exec"), names)
  assert names["x_adv"].shape == names["maps"].shape == names["x"].shape
  assert abs(names["x_adv"] - names["x"]).max() <= 0.1 + 1e-6
  accuracies = names["accuracy"](names["epsilons"])
  assert accuracies[0] >= accuracies[-1]
  for name in ("curve.png", "maps.png"):
    assert Image.open(tmp_path / name).width > 200
  digits = names["digits"]
  x, y = digits.to_float(digits.test.x), digits.test.y
  right = [(fn(x).argmax(axis=-1) == y).mean() for fn in (names["logits_fn"], names["trained"])]
  assert right[1] > right[0] + 0.3
