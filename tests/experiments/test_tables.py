"""The tables beside the experiments: claims of every variant, and the papers' numbers."""

from pathlib import Path

import pytest

from robust_saliency.command_line import load_config
from robust_saliency.pipeline.tables import Tables
from robust_saliency.results.claims import check_claim, read_table
from robust_saliency.results.published import read_published
from robust_saliency.results.trends import TRENDS
from robust_saliency.studies.manifold.study import MANIFOLDS, TANGENTS
from robust_saliency.studies.matched.study import MATCHED_BY
from robust_saliency.studies.targeted import OUTSIDERS

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def claims_of(file, variant):
  config = load_config(f"{EXPERIMENTS / file}:{variant}").to_dict()
  families = {f for study in config["studies"].values() for f in study.get("families", {})}
  text = (EXPERIMENTS / config["claims"]).read_text(encoding="utf-8")
  claims = read_table(
    text,
    dataset=config["dataset"]["name"],
    networks=[*config["models"], *families],
    scale=config["scale"].split(",")[0],
  )
  return config, claims


@pytest.mark.parametrize("variant", ["digits", "mnist", "smoke"])
def test_the_digits_are_expected_to_reach_seven_goals(variant):
  config, claims = claims_of("digits.py", variant)
  assert len(claims) == 7
  assert all(claim.is_ours for claim in claims)
  assert claims[0].at_least == (0.985 if variant == "mnist" else 0.97)
  for claim in claims:
    study, _ = claim.of.split(".")
    assert claim.at.get("epsilon", 0.2) in config["studies"][study].get("epsilons", (0.2,))


@pytest.mark.parametrize("dataset", ["mnist", "notmnist", "svhn"])
@pytest.mark.parametrize("scale", ["small", "paper", "full", "smoke", "sweep", "masking,3000"])
def test_every_claim_of_ross_is_about_networks_and_studies_of_its_variant(dataset, scale):
  config, claims = claims_of("ross2018.py", f"{scale},{dataset}")
  families = {f for study in config["studies"].values() for f in study.get("families", {})}
  known = {*config["models"], *families, *OUTSIDERS, "y", "y + 1", "1/K", "autoattack"}
  known |= {"probe_accuracy", "probe_fgsm_accuracy"}
  for claim in claims:
    if claim.needs is not None:
      continue
    for place in (claim.at, claim.minus or {}, claim.over or {}):
      assert known.issuperset(one for one in place.values() if isinstance(one, str))
    if claim.of is not None:
      assert claim.of.split(".")[0] in {*config["studies"], TRENDS}
  assert [claim.id for claim in claims if claim.is_of_votes] == ["C19 fooled", "C19 reasonable"]
  assert sum(claim.is_of_benchmark for claim in claims) == 3
  assert len(claims) == 52 if "masking" in scale else len(claims) >= 111


@pytest.mark.parametrize("dataset", ["mnist", "notmnist", "svhn"])
def test_a_claim_written_when_data_had_been_seen_is_exploratory(dataset):
  _, claims = claims_of("ross2018.py", dataset)
  for claim in claims:
    assert claim.since is not None
    if claim.since == "2026-11-26" and not claim.is_of_benchmark and claim.id != "C6 zeros":
      assert claim.exploratory == (dataset != "svhn"), claim.id


def test_the_timings_that_claims_ask_of_are_committed():
  _, claims = claims_of("ross2018.py", "mnist")
  found = Tables(
    "ross2018_claims.toml", None, folder=EXPERIMENTS, dataset="mnist", scale="small",
    networks=(), layouts={}, checked=True,
  ).benchmarks  # fmt: skip
  for claim in claims:
    if claim.is_of_benchmark:
      check_claim(claim, {name: one.layout for name, one in found.items()})


@pytest.mark.parametrize(("variant", "seeds"), [("mnist", 5), ("notmnist", 3), ("smoke", 2)])
def test_the_networks_that_claims_are_about_have_all_seeds_and_the_others_the_first(variant, seeds):
  config, _ = claims_of("ross2018.py", variant)
  assert config["seeds"] == tuple(range(seeds))
  seeds_of = {name: model.get("seeds") for name, model in config["models"].items()}
  of_all = {name for name, own in seeds_of.items() if own is None}
  assert of_all == {"source", "undefended", "teacher", "distilled", "adversarial", "GR(y)"}
  assert {own for own in seeds_of.values() if own is not None} == {(0,)}
  families = set(config["studies"]["lambda"]["families"]) - of_all
  for study in config["studies"].values():
    others = set(study.get("models", ())) & (({*seeds_of} - of_all) | families)
    assert study.get("seeds") == ((0,) if others or study.get("seeds") else None)


def test_what_the_paper_says_of_a_data_set_is_told_from_what_else_is_measured():
  of = {}
  for dataset in ("mnist", "notmnist", "svhn"):
    _, claims = claims_of("ross2018.py", dataset)
    assert sum(claim.is_ours for claim in claims) == 4
    of[dataset] = {claim.id.split()[0] for claim in claims if claim.is_about(dataset)}
  assert of["mnist"] >= {"C2", "C4", "C8", "C17"}
  assert of["svhn"] >= {"C3", "C3b", "C9", "C10", "C14", "C15", "Fig.7", "Fig.8", "Fig.9"}
  # The notebooks' training curves are of MNIST; GR(y) costs accuracy on SVHN.
  assert of["svhn"].isdisjoint({"C11", "C16"})
  assert of["notmnist"] == {"C1", "C5", "C6", "C11", "C13", "C17", "C18", "C20", "C21"}


def test_claims_that_the_small_run_cannot_decide_say_why():
  _, small = claims_of("ross2018.py", "mnist,small,3000")
  undecided = {claim.id.split()[0] for claim in small if claim.undecided_by_design}
  assert undecided == {"C2", "C6", "C15"}
  _, paper = claims_of("ross2018.py", "mnist,paper")
  assert not any(claim.undecided_by_design for claim in paper)


@pytest.mark.parametrize(
  ("dataset", "claim", "printed"),
  [
    ("mnist", "C1 undefended", "0.53 (0.62 − 0.09)"),
    ("svhn", "C1 adversarial", "0.10 (0.70 − 0.60)"),
    ("notmnist", "C1 TGSM distilled", "0.49 (0.85 − 0.36)"),
    ("mnist", "C2 undefended, from 0.3", "0.34"),
    ("mnist", "C2 adversarial, to 0.5", "0.44"),
    ("mnist", "C4 0.2", "0.33 (0.99 − 0.66)"),
    ("mnist", "C5 all", "0.40 (0.62 − 0.22)"),
    ("notmnist", "C5 alike", "0.12"),
    ("mnist", "C5 adversarial over GR(y), 0.3", "0.40 (0.65 − 0.25)"),
    ("svhn", "C9 TGSM undefended, adversarial", "0.08 (0.89 − 0.81)"),
    ("svhn", "C3b adversarial", "0.11 (0.71 − 0.60)"),
    ("svhn", "C9 undefended, adversarial", "0.13 (0.83 − 0.70)"),
    ("mnist", "C9 undefended, adversarial", None),  # figure 2 is of SVHN alone
    ("svhn", "C10", "0.02 (0.88 − 0.86)"),
    ("mnist", "C11 GR(y)", "0.0012 (0.9942 − 0.9930)"),
    ("mnist", "C12 GR(y) over adversarial, y", "3.00 (log₁₀ of 0.0003 / 3.0e−07)"),
    ("mnist", "C13 GR(y)", "14 (−12 + 26)"),
    ("notmnist", "C13 adversarial over distilled", "364 (−16 + 380)"),
    ("svhn", "C11 GR(y)", "−0.0434 (0.8833 − 0.9267)"),
    ("svhn", "C14", "0.285 (0.74 − 0.455)"),
    ("mnist", "C17", "0.55 (0.71 − 0.16)"),
    ("mnist", "C21 y", "0.78 (log₁₀ of 3.0e−07 / 5.0e−08)"),
  ],
)
def test_ross_claims_have_the_paper_s_number_of_their_data_set(dataset, claim, printed):
  config, claims = claims_of("ross2018.py", dataset)
  text = (EXPERIMENTS / config["published"]).read_text(encoding="utf-8")
  (one,) = [one for one in claims if one.id == claim]
  ratio = one.statistic == "log ratio of medians"
  paper = read_published(text, dataset=dataset)
  found = paper.text(one.of, one.at, minus=one.minus, over=one.over, log_of_medians=ratio)
  assert found == printed


@pytest.mark.parametrize(
  ("file", "variant", "number"),
  [
    ("noack2019.py", "mnist,small", 39),
    ("noack2019.py", "mnist,full", 39),
    ("noack2019.py", "mnist,gpu", 39),
    ("noack2019.py", "cifar10,full,main", 34),
    ("kim2019.py", "roar,small", 32),
    ("kim2019.py", "roar,full", 36),
    ("kim2019.py", "roar,gpu,authors", 32),
    ("kim2019.py", "boundary", 7),
    ("normlime2019.py", "mnist,small", 60),
    ("normlime2019.py", "fashion_mnist,full", 60),
    ("normlime2019.py", "mnist,gpu", 60),
    ("normlime2019.py", "cifar10,full", 51),
    ("normlime2019.py", "digits,small", 60),
    ("normlime2019.py", "smoke", 35),
    ("kim2019.py", "manifold,mnist,small", 23),
    ("kim2019.py", "manifold,fashion_mnist,small", 17),
    ("kim2019.py", "manifold,cifar10,full", 23),
  ],
)
def test_claims_are_about_networks_and_studies_of_the_config(file, variant, number):
  config, claims = claims_of(file, variant)
  assert len(claims) == number
  maps = {name for study in config["studies"].values() for name in study.get("maps", {})}
  attacks = {name for study in config["studies"].values() for name in study.get("attacks", {})}
  known = {*config["models"], *maps, *attacks, "ROAR", "KAR", "train", "test", *MATCHED_BY}
  known |= {family for study in config["studies"].values() for family in study.get("families", {})}
  known |= {*MANIFOLDS, *TANGENTS}
  for claim in claims:
    for place in (claim.at, claim.minus or {}):
      assert known.issuperset(one for one in place.values() if isinstance(one, str))
    assert claim.since
    if claim.of is None or claim.needs == "votes":
      continue
    study = config["studies"][claim.of.split(".")[0]]
    for axis, known_ones in (("epsilon", "epsilons"), ("fraction", "fractions"), ("size", "sizes")):
      for place in (claim.at, claim.minus or {}):
        if axis in place:
          assert any(abs(place[axis] - one) < 1e-9 for one in study[known_ones])


def test_the_authors_scores_are_of_networks_of_the_full_variant():
  config, _ = claims_of("kim2019.py", "roar,full")
  text = (EXPERIMENTS / config["published"]).read_text(encoding="utf-8")
  paper = read_published(text, dataset="cifar10")
  # 81 networks: an accuracy each, and a score by both protocols and both maps.
  assert len(paper.numbers) == 81 * 5
  named = {dict(coordinates)["model"] for _, _, coordinates in paper.numbers}
  assert named == set(config["models"])
