"""An experiment's claims and the paper's own numbers, from files beside its config.

They are copied into the directory of the experiment, and a changed claim computes nothing again.
"""

import dataclasses
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from robust_saliency.core import checks, files
from robust_saliency.pipeline.diverged import OF_NETWORKS
from robust_saliency.results.benchmark import read_benchmark
from robust_saliency.results.claims import (
  Claim,
  Judged,
  check_claim,
  judge_claim,
  not_measured,
  read_claims,
  read_table,
)
from robust_saliency.results.nearness import Nearness, nearness
from robust_saliency.results.published import Published, read_published
from robust_saliency.results.result import SEED, Layout, Result
from robust_saliency.results.verdicts import UNDECIDED
from robust_saliency.studies.training import TRAINING

_LONGEST_NAME = 255  # of a file


class Tables:
  """Claims that were read and checked, and the numbers that stand beside them.

  A claim of a benchmark is measured where the benchmark's file lies beside the tables, or in
  `benchmarks/results` of the folder above.

  Args:
    claims: the rows of the claims table, or a TOML file with them.
    published: a CSV file of the paper's numbers, None for none.
    folder: where the files lie.
    dataset: the data set's name.
    scale: the experiment's, its first word.
    networks: those that are trained or chosen, families among them. Claims at others that the
      table says the experiment may do without are left out.
    layouts: study -> the axes of its arrays. Claims at networks that the table says may be missing
      are left out where their study does not measure them, either.
    checked: whether the claims have been checked before, as those of a finished run.

  Raises:
    ValueError, TypeError: for a row that could not be judged.
    FileNotFoundError: for a file that is not there.
    DamagedFileError: for one that is a link, or far too large.
  """

  def __init__(
    self,
    claims: str | Sequence[Mapping[str, Any]],
    published: str | None,
    *,
    folder: Path,
    dataset: str,
    scale: str,
    networks: Collection[str],
    layouts: Mapping[str, Layout],
    checked: bool = False,
  ):
    self._files: dict[str, bytes] = {}
    variant = {"dataset": dataset, "scale": scale}
    if isinstance(claims, str):
      text = self._read(folder, claims, "claims")
      self.claims = read_table(text, networks=networks, **variant)
      may_go = tomllib.loads(text).get("networks", ())
      self.claims = [one for one in self.claims if not _left_out(one, layouts, may_go)]
    else:
      self.claims = read_claims(claims, **variant)
    self.benchmarks = self._benchmarks(folder)
    for claim in self.claims:
      if claim.is_of_benchmark:
        if claim.of is not None and claim.of.split(".")[0] in self.benchmarks:
          check_claim(claim, {name: one.layout for name, one in self.benchmarks.items()})
      elif not checked and not claim.is_of_votes:
        check_claim(claim, layouts)
    self.published: Published | None = None
    if published is not None:
      text = self._read(folder, published, "published")
      self.published = read_published(text, dataset=dataset)

  def keep(self, workdir: Path) -> None:
    """Copies the files into a directory, with their digests."""
    for name, content in self._files.items():
      files.write_with_digest(workdir / name, content)

  def judge(
    self,
    results: Mapping[str, Result],
    *,
    diverged: set[str],
    votes: Mapping[str, Result] = MappingProxyType({}),
  ) -> list[Judged]:
    """Judges the claims; one about a network that has diverged, or left out, is undecided.

    Args:
      results: of the studies, by name.
      diverged: the networks whose training has diverged.
      votes: questionnaire -> what people have chosen.
    """
    judged = []
    for claim in self.claims:
      if claim.is_of_votes:
        judged.append(self._judge_votes(claim, votes))
        continue
      if claim.is_of_benchmark:
        judged.append(self._judge_benchmark(claim))
        continue
      study = "" if claim.of is None else claim.of.split(".")[0]
      named = {name for _, name in _named(claim)}
      if claim.of is not None and (
        study not in results or named & diverged or not _is_there(claim, results)
      ):
        judged.append(Judged(claim, UNDECIDED))
      else:
        found = {**results, study: _of_common_seeds(claim, results[study])} if study else results
        judged.append(judge_claim(claim, found, published=self.published))
    return judged

  def nearness(self, results: Mapping[str, Result]) -> list[Nearness]:
    """How near the run is to the paper's own numbers."""
    return [] if self.published is None else nearness(self.published, results)

  def _judge_votes(self, claim: Claim, votes: Mapping[str, Result]) -> Judged:
    if claim.of is None:
      return Judged(claim, not_measured(claim), None, claim.paper)
    name, why = claim.of.split(".")[0], None
    if name not in votes:
      why = f"the command user_study makes the questionnaire {name}, and counts the votes on it"
    else:
      try:
        check_claim(claim, {name: one.layout for name, one in votes.items()})
      except ValueError as error:
        # Whoever made the questionnaire may have left out what the claim is about.
        why = str(error)
    if why is not None:
      return Judged(claim, not_measured(claim), None, claim.paper, why_not=why)
    return judge_claim(claim, votes, published=self.published)

  def _judge_benchmark(self, claim: Claim) -> Judged:
    if claim.of is None or claim.of.split(".")[0] not in self.benchmarks:
      return Judged(claim, not_measured(claim), None, claim.paper)
    return judge_claim(claim, self.benchmarks, published=self.published)

  def _benchmarks(self, folder: Path) -> dict[str, Result]:
    """Those of the claims that are there, beside the tables or in the repository around them."""
    found = {}
    for claim in self.claims:
      if not claim.is_of_benchmark or claim.of is None:
        continue
      name = claim.of.split(".")[0]
      for place in (folder, folder.parent / "benchmarks" / "results"):
        path = place / Path(f"{name}.json").name
        if name not in found and len(path.name) <= _LONGEST_NAME and path.is_file():
          found[name] = read_benchmark(self._content(path), name=name)
    return found

  def _read(self, folder: Path, name: str, field: str) -> str:
    path = folder / Path(name).name
    if len(path.name) > _LONGEST_NAME or not path.is_file():
      shown = checks.shown(name) if len(name) > _LONGEST_NAME else name
      raise FileNotFoundError(
        f"config.{field} names no file beside the config: {shown} in {folder}"
      )
    return self._content(path)

  def _content(self, path: Path) -> str:
    """The text of a file that lies beside the tables, kept to be copied."""
    self._files[path.name] = files.read_bytes(path)
    return self._files[path.name].decode()


def _named(claim: Claim) -> list[tuple[str, str]]:
  """Axes and the networks and families that a claim names on them."""
  return [
    (axis, name)
    for place in (claim.at, claim.minus or {}, claim.over or {})
    for axis, name in place.items()
    if axis in (*OF_NETWORKS, "family") and isinstance(name, str)
  ]


def _left_out(claim: Claim, layouts: Mapping[str, Layout], may_go: Collection[str]) -> bool:
  """Whether a claim is at a network that may be missing, and that its study does not measure."""
  layout = layouts.get((claim.of or "").split(".")[0])
  return layout is not None and any(
    name in may_go and name not in layout.coordinates[axis]
    for axis, name in _named(claim)
    if axis in layout.coordinates
  )


def _of_common_seeds(claim: Claim, result: Result) -> Result:
  """The curves of training of those seeds with which all networks of a claim are trained.

  Other results are of such seeds alone.
  """
  if result.kind != TRAINING:
    return result
  names = {name for _, name in _named(claim)}
  axes = result.layout.axes
  models, seeds = (result.layout.coordinates[axis] for axis in ("model", SEED))
  of_networks = {name: of for name, of in axes.items() if {"model", SEED} <= {*of}}
  logged = np.any(
    [
      (~np.isnan(result.arrays[name])).any(
        axis=tuple(i for i, axis in enumerate(of) if axis not in ("model", SEED))
      )
      for name, of in of_networks.items()
    ],
    axis=0,
  )
  of_all = logged[[models.index(name) for name in names]].all(axis=0)
  if of_all.all() or not of_all.any():
    return result
  kept = {**result.layout.coordinates, SEED: tuple(np.array(seeds)[of_all].tolist())}
  arrays = {
    name: np.compress(of_all, array, axis=axes[name].index(SEED)) if SEED in axes[name] else array
    for name, array in result.arrays.items()
  }
  return dataclasses.replace(
    result, arrays=arrays, layout=dataclasses.replace(result.layout, coordinates=kept)
  )


def _is_there(claim: Claim, results: Mapping[str, Result]) -> bool:
  """Whether the claim's place is left, where networks have diverged."""
  try:
    check_claim(claim, {name: result.layout for name, result in results.items()})
  except ValueError:
    return False
  return True
