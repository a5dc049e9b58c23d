"""The README's code, as it stands."""

from PIL import Image

from tests.markdown import examples_in, run_examples


def test_the_examples_run_and_do_what_they_say(request, tmp_path, monkeypatch):
  path = request.config.rootpath / "README.md"
  assert len(examples_in(path)) == 2
  monkeypatch.chdir(tmp_path)
  names = run_examples(path)
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
