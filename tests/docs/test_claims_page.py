"""The pages on claims and on what goes wrong name what the package has, all of it."""

import dataclasses
import inspect
import re
import typing
from pathlib import Path

import pytest

from robust_saliency.attacks import pitfalls
from robust_saliency.results import verdicts
from robust_saliency.results.claims_table import LIMITS, Claim, read_table

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def claims():
  return (DOCS / "claims.md").read_text(encoding="utf-8")


def test_the_page_has_every_field_statistic_and_verdict_of_a_claim(claims):
  named = set(re.findall(r"`(\w+)`", claims.split("## Statistics")[0]))
  assert {field.name for field in dataclasses.fields(Claim)} <= named
  statistics = typing.get_args(typing.get_type_hints(Claim)["statistic"])
  assert set(re.findall(r"^\| `([\w ]+)` \|", claims.split("## Statistics")[1], re.M)) == {
    *statistics
  }
  words = {text for name, text in vars(verdicts).items() if name.isupper() and type(text) is str}
  assert len(words) == 7
  for word in words:
    assert re.search(rf'[| "]{word}[ ",]', claims), word


@pytest.mark.parametrize(("scale", "threshold"), [("paper", 0.2), ("small", 0.1)])
def test_the_example_is_a_table_as_the_page_says(claims, scale, threshold):
  (table,) = re.findall(r"```toml\n(.*?)```", claims, re.DOTALL)
  rows = read_table(table, dataset="mnist", networks=["undefended"], scale=scale)
  assert [row.id for row in rows] == ["C1 undefended", "C1 distilled"]
  assert [row.at_least for row in rows] == [threshold] * 2
  assert sum(getattr(rows[0], limit) is not None for limit in LIMITS) == 1


def test_every_warning_of_an_evaluation_is_explained():
  page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
  rows = page.split("## What `evaluate` warns of")[1].split("##")[0].count("\n| ") - 1
  warnings = [
    name
    for name, function in vars(pitfalls).items()
    if inspect.isfunction(function)
    and function.__module__ == pitfalls.__name__
    and not name.startswith("_")
  ]
  assert rows == len(warnings)
