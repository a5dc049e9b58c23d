"""Timings that claims ask of, against NumPy on the file itself."""

import json

import numpy as np
import pytest

from robust_saliency.pipeline.tables import Tables
from robust_saliency.results.benchmark import read_benchmark

ROW = {
  "id": "C20", "says": "A double step takes at most 2.5 times as long.", "needs": "a benchmark",
  "of": "costs.seconds", "at": {"step": "double"}, "over": {"step": "plain"},
  "statistic": "log ratio of medians", "at_most": 0.398,
}  # fmt: skip
SECONDS = {
  "plain": [1.0, 1.1, 0.9, 1.2, 1.0, 1.05, 0.95],
  "double": [2.1, 2.2, 1.9, 2.2, 2.0, 2.3, 2.05],
}


def tables(folder, **row):
  place = {"folder": folder, "dataset": "mnist", "scale": "small", "networks": (), "layouts": {}}
  return Tables([{**ROW, **row}], None, **place)


@pytest.fixture
def folder(tmp_path):
  (tmp_path / "experiments").mkdir()
  (tmp_path / "benchmarks/results").mkdir(parents=True)
  return tmp_path / "experiments"


def test_a_committed_benchmark_is_measured_and_kept_beside_the_claims(folder, tmp_path):
  (folder.parent / "benchmarks/results/costs.json").write_text(json.dumps({"seconds": SECONDS}))
  found = tables(folder)
  [judged] = found.judge({}, diverged=set())
  ratio = np.median(SECONDS["double"]) / np.median(SECONDS["plain"])
  assert judged.estimate.value == pytest.approx(np.log10(ratio))
  assert (judged.verdict, judged.estimate.over) == (
    "holds in this run", "7 repeats, one network",
  )  # fmt: skip
  (tmp_path / "run").mkdir()
  found.keep(tmp_path / "run")
  [again] = tables(tmp_path / "run").judge({}, diverged=set())
  assert again.estimate == judged.estimate
  with pytest.raises(ValueError, match="step must be one of plain, double; got 'triple'"):
    tables(folder, at={"step": "triple"})


def test_without_its_file_a_claim_of_a_benchmark_is_not_measured(folder):
  [judged] = tables(folder).judge({}, diverged=set())
  assert (judged.verdict, judged.estimate) == ("needs a benchmark", None)


def test_a_stranger_s_claims_read_no_file_that_lies_elsewhere(folder, tmp_path):
  elsewhere = tmp_path / "elsewhere.json"
  elsewhere.write_text(json.dumps({"seconds": SECONDS}))
  (folder / "link.json").symlink_to(elsewhere)
  for name in (str(elsewhere.with_suffix("")), "x" * 300):
    [judged] = tables(folder, of=f"{name}.seconds").judge({}, diverged=set())
    assert judged.verdict == "needs a benchmark"
  with pytest.raises(ValueError, match=r"link\.json is no file but a link"):
    tables(folder, of="link.seconds")
  place = {"folder": folder, "dataset": "mnist", "scale": "", "networks": (), "layouts": {}}
  with pytest.raises(ValueError, match=r"link\.json is no file but a link"):
    Tables("link.json", None, **place)


@pytest.mark.parametrize(
  "text",
  ["no JSON", pytest.param("[" * 100_000, id="deep"),
   '{"seconds": {"a": [1%s]}}' % ("0" * 400), "[]", "{}",
   '{"seconds": {}}', '{"seconds": {"a": [1], "b": [1, 2]}}',
   '{"seconds": {"a": [0.0]}}', '{"seconds": {"a": ["x"]}}', '{"seconds": {"a": 1.0}}'],
)  # fmt: skip
def test_a_file_that_is_no_benchmark_is_refused(text):
  with pytest.raises(ValueError, match=r"benchmark b: seconds must"):
    read_benchmark(text, name="b")
