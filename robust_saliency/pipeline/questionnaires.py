"""Questionnaires about a run's maps and images, and the votes on them.

A run's directory keeps both:

  user_studies/NAME/questionnaire.html   what participants are given
  user_studies/NAME/key.json             what is behind each of its pictures
  user_studies/NAME/votes/               what they have chosen, as arrays
  user_studies/NAME/votes.html           the same for people
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from robust_saliency.core import checks, files, folders, records
from robust_saliency.pipeline import explanations, stage
from robust_saliency.pipeline.stages import folder_of_network, folder_of_study
from robust_saliency.report import read_findings
from robust_saliency.report.questionnaire import render
from robust_saliency.results.result import Result
from robust_saliency.studies import STUDIES, votes
from robust_saliency.studies.votes.pictures import (
  CLASS,
  IMAGE,
  METHOD,
  MODEL,
  Maps,
  maps_of,
  pictures_to_compare,
  pictures_to_label,
)

USER_STUDIES = "user_studies"
PAGE, KEY, ARRAYS = "questionnaire.html", "key.json", "votes"
ABOUT = (CLASS, IMAGE)
# Of the study that has the images to label.
TARGETED = "targeted"


def make_questionnaire(
  workdir: Path,
  design: str = votes.FORCED_CHOICE,
  *,
  studies: Sequence[str] = (),
  model: str | None = None,
  compare: Sequence[str] = (),
  about: str = CLASS,
  seed: int = 0,
  name: str | None = None,
) -> tuple[Path, list[str]]:
  """Makes a questionnaire from what a run has left; networks and data set are not needed.

  Args:
    workdir: of a run, or the folder of a report.
    design: one of `studies.votes.DESIGNS`.
    studies: the run's studies with the maps or images: for a forced choice one that keeps maps,
      whose methods or networks are compared, or several, which are compared themselves, all on
      `model`; none for the maps that the command explain has left of `model`. For plausible labels
      one of kind "targeted"; none for the only one.
    model: the network whose maps are compared; None for the only one.
    compare: which of the methods or networks are compared; none for all.
    about: "class", with one map of each class, or "image", of a forced choice.
    seed: of all that is random.
    name: what the folder and claims call it; None for the design.

  Returns:
    The path of the page, and sentences about what was left out.

  Raises:
    ValueError: for a design, a study, a network or a method that there is not, or maps of
      `explain` of a network that has been trained anew since.
    FileNotFoundError: if there is no report, or no maps of `explain`.
    FileExistsError: if there are votes on a questionnaire of that name already.
  """
  checks.one_of(design, votes.DESIGNS, argument="design")
  checks.one_of(about, ABOUT, argument="about")
  name = design if name is None else name
  folder = folder_of(workdir, name)
  folders.refuse_linked_folders(workdir)
  if (folder / ARRAYS).exists():
    raise FileExistsError(
      f"{folder} has votes on its questionnaire already; choose another --name, or delete it"
    )
  said: list[str] = []
  shown: dict[str, bytes] = {}
  if design == votes.FORCED_CHOICE:
    maps, source, drawn_from = _maps(workdir, studies, model)
    maps = maps.of(compare)
    maps = maps.of_classes() if about == CLASS else maps
    if about == IMAGE and maps.images is None:
      raise ValueError("about must be 'class' for maps of whole classes, got 'image'")
    compared, axis, classes = maps.names, maps.axis, maps.classes
    pictures, shown = pictures_to_compare(maps)
  else:
    result = _targeted(workdir, studies)
    compared, pictures, left_out = pictures_to_label(result, compare)
    axis, classes = MODEL, tuple(map(str, result.layout.coordinates["class"]))
    source = f"images of the study {result.name!r}"
    drawn_from = _fingerprints(workdir, [result.name])
    if left_out:
      said.append(
        f"left out: the originals of class {', '.join(left_out)}, of which some network has no "
        "image that it takes for its target"
      )
  asked = votes.with_codes(
    votes.Questionnaire(
      name=name, design=design, source=source, axis=axis, compared=compared, classes=classes,
      seed=seed, pictures=tuple(pictures), shown=shown, drawn_from=drawn_from,
    )
  )  # fmt: skip
  # The key first: a page without one could not be counted.
  files.write_with_digest(folder / KEY, files.json_text(asked.key()).encode())
  return files.write_bytes(folder / PAGE, render(asked).encode()), said


def read_questionnaire(workdir: Path, name: str) -> votes.Questionnaire:
  """A questionnaire that was made, without its pictures.

  Args:
    workdir: of the run.
    name: the questionnaire's.

  Raises:
    FileNotFoundError: if there is none of that name.
    DamagedFileError: if its key is not as it was written.
  """
  path = folder_of(workdir, name) / KEY
  if not path.exists():
    raise FileNotFoundError(
      f"{workdir} has no questionnaire {name!r}; make it first: python -m robust_saliency "
      f"user_study make --workdir={workdir}"
    )
  asked = votes.from_key(records.read_record(path), path)
  if asked.name != name:
    raise files.DamagedFileError(f"{path} is the key of {checks.shown(asked.name)}")
  return asked


def folder_of(workdir: Path, name: str) -> Path:
  """Where a questionnaire lies.

  Raises:
    ValueError: for a name that is none of a folder.
  """
  if files.slug(name).replace("-", "_") != name.replace("-", "_"):
    raise ValueError(
      f"name must be of small letters, digits, hyphens and underscores, at most 60, got "
      f"{checks.shown(name)}"
    )
  return workdir / USER_STUDIES / name


def _maps(
  workdir: Path, studies: Sequence[str], model: str | None
) -> tuple[Maps, str, dict[str, str]]:
  if not studies:
    return _explained(workdir, model)
  results = [_result(workdir, study) for study in studies]
  of_each = [maps_of(result) for result in results]
  if len(studies) == 1:
    if model is not None:
      raise ValueError(
        "model must be left out for the maps of one study; --compare chooses among its networks"
      )
    return of_each[0], f"maps of the study {studies[0]!r}", _fingerprints(workdir, studies)
  name = _only(of_each[0].names, model, "model")
  rows = [maps.of([name]) for maps in of_each]
  shapes = {(one.sizes.shape, tuple(one.labels.tolist())) for one in rows}
  if len(shapes) > 1 or len(set(studies)) < len(studies):
    raise ValueError("studies that are compared must be different ones, of the same images")
  first = rows[0]
  together = Maps(
    METHOD, tuple(studies), np.concatenate([one.sizes for one in rows]), first.labels,
    first.classes, first.images,
  )  # fmt: skip
  return together, f"maps of the network {name!r}", _fingerprints(workdir, studies)


def _fingerprints(workdir: Path, studies: Sequence[str]) -> dict[str, str]:
  """Folder of each study -> its fingerprint, where it has one: a kept report's have none."""
  kept = {str(one): stage.read_fingerprint(workdir / one) for one in map(folder_of_study, studies)}
  return {folder: found for folder, found in kept.items() if found}


def _explained(workdir: Path, model: str | None) -> tuple[Maps, str, dict[str, str]]:
  folder = workdir / explanations.FOLDER
  found = {}
  for path in sorted(folder.glob("*.json")):
    about, arrays = explanations.read_explanation(path)
    found[about["model"]] = path, about, arrays
  if not found:
    raise FileNotFoundError(
      f"{folder} has no maps: run python -m robust_saliency explain --workdir={workdir} first, or "
      "give --studies=NAME of a study that keeps some"
    )
  name = _only(found, model, "model")
  path, about, arrays = found[name]
  with records.understanding(f"{path} cannot be asked about"):
    sizes = np.stack([explanations.sizes(one, arrays[one]) for one in about["methods"]])
    images, labels = arrays["images"], arrays["labels"]
    checks.count(1, maximum=len(about["classes"]), **{"classes": int(labels.max()) + 1})
    if images.ndim != 4 or sizes.shape[1:] != images.shape[:3] or len(labels) != len(images):
      raise ValueError("its arrays are of different images")
  maps = Maps(METHOD, tuple(about["methods"]), sizes, labels, tuple(about["classes"]), images)
  network = folder_of_network(name, about["seed"])
  if stage.is_outdated(workdir / network, about["network"]):
    raise ValueError(
      f"{path} is of a network {name!r} that has been trained anew since; run python -m "
      f"robust_saliency explain --workdir={workdir} again"
    )
  return maps, f"maps of the network {name!r}", {str(network): about["network"]}


def _targeted(workdir: Path, studies: Sequence[str]) -> Result:
  if len(studies) > 1:
    raise ValueError(f"studies must be one of targeted images, got {', '.join(studies)}")
  if studies:
    return _result(workdir, studies[0])
  results = [one for one in read_findings(workdir).results if one.kind == TARGETED]
  names = [one.name for one in results]
  if not names:
    raise ValueError(f"{workdir} has no study of kind {TARGETED!r}, whose images could be labelled")
  return results[names.index(_only(names, None, "studies"))]


def _result(workdir: Path, study: str) -> Result:
  results = {one.name: one for one in read_findings(workdir).results}
  checks.one_of(study, results, argument="studies")
  found = results[study]
  return STUDIES[found.kind].with_derived(found) if found.kind in STUDIES else found


def _only(names: Collection[str], name: str | None, argument: str) -> str:
  """The name that was given, or the only one that there is."""
  if name is not None:
    checks.one_of(name, names, argument=argument)
    return name
  if len(names) > 1:
    raise ValueError(f"{argument} must be given, one of {checks.listed(names)}")
  return next(iter(names))
