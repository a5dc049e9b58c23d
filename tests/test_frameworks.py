"""The page of frameworks: every entry runs by itself after the first block."""

import re
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "frameworks.md"
PARTS = dict(
  re.findall(r"^## (.*?)\n.*?```python\n(.*?)```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
)
FIRST = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL).group(1)
NOT_OURS = {"Equinox": "equinox", "Haiku": "haiku", "Weights from PyTorch": "torch"}


def run(name):
  names = {}
  for example in (FIRST, PARTS[name]):
    exec(compile(example, PAGE.name, "exec"), names)
  return names


def check(names):
  x, x_adv = np.asarray(names["x"]), np.asarray(names["x_adv"])
  assert 0.05 < np.abs(x_adv - x).max() <= 0.1 + 1e-6
  for name, maps in names["maps"].items():
    assert maps.shape == x.shape, name
    assert np.isfinite(maps).all(), name
    assert np.abs(maps).max() > 0, name


def test_the_page_has_an_entry_for_each_framework_of_the_readme():
  readme = (PAGE.parents[1] / "README.md").read_text()
  for name in PARTS:
    assert f"| {name} |" in readme or name == "Weights from PyTorch"
  assert len(PARTS) == 5


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PARTS if name not in NOT_OURS])
def test_an_entry_runs(name):
  names = run(name)
  check(names)
  assert "params" in names["variables"]


@pytest.mark.peers
@pytest.mark.parametrize("name", NOT_OURS)
def test_an_entry_of_a_framework_that_is_no_dependency_runs(name):
  package = pytest.importorskip(NOT_OURS[name], reason=f"runs a network in {name}")
  names = run(name)
  check(names)
  if name == "Weights from PyTorch":
    torch = package
    state = {field: torch.tensor(w) for field, w in names["state_dict"].items()}
    images = torch.tensor(np.asarray(names["x"]).transpose(0, 3, 1, 2).copy())
    hidden = torch.relu(torch.nn.functional.conv2d(images, state["conv.weight"], padding=1))
    theirs = hidden.flatten(1) @ state["dense.weight"].T
    np.testing.assert_allclose(names["from_torch"](names["x"]), theirs, rtol=1e-4, atol=1e-4)
