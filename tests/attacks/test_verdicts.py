"""What `autoattack_verdicts.py` and `autoattack_seeds.py` in benchmarks/ have found, in hours."""

import io
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from robust_saliency.core import files

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def committed(name):
  with np.load(io.BytesIO(files.read_verified(RESULTS / f"{name}.npz"))) as arrays:
    return dict(arrays), json.loads(files.read_verified(RESULTS / f"{name}.json"))


ARRAYS, FACTS = committed("autoattack_verdicts")
SEED_ARRAYS, SEED_FACTS = committed("autoattack_seeds")


@pytest.mark.parametrize("case", FACTS["seconds"])
def test_autoattack_is_as_strong_as_the_reference_s(case):
  correct, ours, theirs = (
    ARRAYS[f"{case}/{field}"] for field in ("correct", "ours", "torchattacks")
  )
  assert not np.any((ours | theirs) & ~correct)
  # Images at the edge fall to one seed and stand another, of the reference as of ours.
  between_seeds = np.count_nonzero(theirs[0] != theirs[1])
  for one in theirs:
    assert np.count_nonzero(ours & ~one) <= between_seeds + 1
  assert ours.mean() <= theirs.mean() + 0.005 + between_seeds / len(ours)


def test_over_all_cases_autoattack_leaves_no_more_standing_than_the_reference():
  ours = np.mean([ARRAYS[f"{case}/ours"].mean() for case in FACTS["seconds"]])
  assert ours <= np.mean([ARRAYS[f"{case}/torchattacks"].mean() for case in FACTS["seconds"]])


def test_the_cases_are_those_that_were_promised():
  mnist = [f"{name}, {threat}" for name in ("standard", "pgd", "gradient", "distilled")
           for threat in ("linf 0.1", "linf 0.3", "l2 1.5")]  # fmt: skip
  assert set(FACTS["seconds"]) == {*mnist, "cifar10, linf 0.0314"}
  assert {len(array) for name, array in ARRAYS.items() if name.endswith("/ours")} == {200}


@pytest.mark.parametrize("case", SEED_FACTS["cases"])
def test_over_seeds_our_verdicts_differ_from_the_reference_s_as_its_own_do(case):
  ours, theirs = (SEED_ARRAYS[f"{case}/{who}"] for who in ("ours", "torchattacks"))
  assert min(len(ours), len(theirs)) >= 4

  def differing(pairs):
    return [np.count_nonzero(one != other) for one, other in pairs]

  its_own = differing(itertools.combinations(theirs, 2))
  assert np.mean(differing(itertools.product(ours, theirs))) <= max(its_own)
  examples = len(ARRAYS[f"{case}/ours"])
  assert ours.sum(1).mean() <= theirs.sum(1).mean() + 0.005 * examples


def test_images_that_no_seed_is_asked_about_had_one_verdict():
  for case in SEED_FACTS["cases"]:
    ours, theirs = ARRAYS[f"{case}/ours"], ARRAYS[f"{case}/torchattacks"]
    others = np.setdiff1d(np.arange(len(ours)), SEED_ARRAYS[f"{case}/images"])
    assert np.all(theirs[:, others] == ours[others])


def test_vanishing_gradients_are_reported_of_the_distilled_network_alone():
  warned = [name for name, text in SEED_FACTS["zero-gradient warnings"].items() if text]
  assert warned == ["distilled"]
