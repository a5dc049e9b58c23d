"""A questionnaire: its questions, what each picture really is, and what a participant sees of it.

Two designs:

  forced_choice    several maps side by side, one of each method: which shows best what makes the
                   image what it is? (NormLIME's user study)
  plausible_label  one image after another: which label is most plausible, which comes second, or
                   is none? (Ross & Doshi-Velez's)

What a participant sees names pictures by codes alone, drawn anew for every question; the key, which
stays with whoever asks, says what each code is.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from robust_saliency.core import checks, files, records

FORCED_CHOICE, PLAUSIBLE_LABEL = "forced_choice", "plausible_label"
DESIGNS = (FORCED_CHOICE, PLAUSIBLE_LABEL)
FORMAT = 1
CODE_BYTES = 6
_TEXTS = records.Each(records.LIST, records.TEXT)
_PICTURE: dict[str, records.Form] = {
  **dict.fromkeys(("code", "group", "compared"), records.TEXT),
  **dict.fromkeys(("label", "target", "position"), records.COUNT),
}
# What a key holds besides the pictures themselves.
_KEY: dict[str, records.Form] = {
  **dict.fromkeys(("format", "seed"), records.COUNT),
  **dict.fromkeys(("name", "design", "identity", "source", "axis"), records.TEXT),
  **dict.fromkeys(("compared", "classes"), _TEXTS),
  "pictures": records.Each(records.LIST, _PICTURE),
  "drawn_from": records.Each(records.FIELDS, records.TEXT),
}


@dataclasses.dataclass(frozen=True)
class Picture:
  """One picture that people may be shown.

  Attributes:
    group: in a forced choice the question, whose pictures stand side by side; else the pictures
      of which each participant is shown one.
    compared: the method or network that is behind it.
    label: the class that a map explains, or that an image is of.
    png: the picture's file.
    target: the class that an image was led to, of `plausible_label`; else the label.
    position: the image's place among those it was taken from; 0 for a map of a whole class.
    code: what the questionnaire calls it.
  """

  group: str
  compared: str
  label: int
  png: bytes = b""
  target: int = 0
  position: int = 0
  code: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Questionnaire:
  """What is asked, and what is behind it.

  Attributes:
    name: what the folder and claims call it.
    design: one of `DESIGNS`.
    source: where the pictures come from, in words.
    axis: what is compared, "method" or "model".
    compared: the names of what is compared, in order.
    classes: the names of the classes.
    seed: of the codes, and with the participant of all that is shuffled.
    pictures: all pictures, with their codes.
    shown: group -> the image that its maps explain as a file, for a forced choice about images.
    drawn_from: folder, within the run's, of each network or study whose maps or images are shown
      -> its fingerprint.
    identity: follows from all of that; votes name it.
  """

  name: str
  design: str
  source: str
  axis: str
  compared: tuple[str, ...]
  classes: tuple[str, ...]
  seed: int
  pictures: tuple[Picture, ...]
  shown: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
  drawn_from: Mapping[str, str] = dataclasses.field(default_factory=dict)
  identity: str = ""

  @property
  def groups(self) -> dict[str, tuple[Picture, ...]]:
    """Group -> its pictures, in their order."""
    found: dict[str, list[Picture]] = {}
    for picture in self.pictures:
      found.setdefault(picture.group, []).append(picture)
    return {group: tuple(of_group) for group, of_group in found.items()}

  def key(self) -> dict[str, Any]:
    """What tells what each code is, as JSON, without the pictures."""
    fields = {field: getattr(self, field) for field in _KEY if field not in ("format", "pictures")}
    pictures = [{field: getattr(picture, field) for field in _PICTURE} for picture in self.pictures]
    return {"format": FORMAT, **fields, "pictures": pictures}


def with_codes(questionnaire: Questionnaire) -> Questionnaire:
  """The same with a code for each picture, in an order that tells nothing, and with its identity.

  Raises:
    ValueError: for fewer than two things to compare, or no question.

  >>> pictures = tuple(Picture("q", name, 0) for name in ("lime", "gradient"))
  >>> asked = with_codes(Questionnaire(
  ...   name="maps", design="forced_choice", source="", axis="method",
  ...   compared=("lime", "gradient"), classes=("zero",), seed=0, pictures=pictures))
  >>> len({picture.code for picture in asked.pictures}), len(asked.identity)
  (2, 16)
  """
  checks.one_of(questionnaire.design, DESIGNS, argument="design")
  checks.count(0, seed=questionnaire.seed)
  if len(questionnaire.compared) < 2:
    raise ValueError(
      f"what is compared must be at least two of a kind, got "
      f"{checks.listed(questionnaire.compared) or 'none'}"
    )
  if not questionnaire.pictures:
    raise ValueError("a questionnaire must have at least one question, got none")
  draw = np.random.default_rng(questionnaire.seed)
  order = draw.permutation(len(questionnaire.pictures))
  codes = _distinct_codes(draw, len(order))
  pictures = tuple(
    dataclasses.replace(questionnaire.pictures[place], code=code)
    for place, code in zip(order, codes, strict=True)
  )
  coded = dataclasses.replace(questionnaire, pictures=pictures, identity="")
  content = {
    **coded.key(),
    "files": [files.digest(picture.png) for picture in pictures],
    "shown": [files.digest(png) for png in coded.shown.values()],
  }
  identity = files.digest(files.json_text(content).encode())[:16]
  return dataclasses.replace(coded, identity=identity)


def from_key(key: Mapping[str, Any], path: Any) -> Questionnaire:
  """The questionnaire of a key, without its pictures.

  Args:
    key: what `Questionnaire.key` has given, from a file.
    path: the file, for the sentence.

  Raises:
    DamagedFileError: for a key that is none.
  """
  records.check_fields(dict(key), _KEY, path)
  with records.understanding(f"{path} is no key of a questionnaire"):
    if key["format"] != FORMAT:
      raise ValueError(f"it was left by another version, of format {key['format']}")
    checks.one_of(key["design"], DESIGNS, argument="design")
    checks.one_of(key["axis"], ("method", "model"), argument="axis")
    pictures = tuple(Picture(**{name: one[name] for name in _PICTURE}) for one in key["pictures"])
    for picture in pictures:
      checks.one_of(picture.compared, key["compared"], argument="compared")
      checks.count(0, maximum=len(key["classes"]) - 1, label=picture.label, target=picture.target)
    words: dict[str, Any] = {
      name: key[name] for name in ("name", "design", "source", "axis", "seed", "identity")
    }
    names: dict[str, Any] = {name: tuple(key[name]) for name in ("compared", "classes")}
    asked = Questionnaire(**words, **names, pictures=pictures, drawn_from=key["drawn_from"])
    if len({picture.code for picture in pictures}) < len(pictures):
      raise ValueError("two pictures have the same code")
    for group, of_group in asked.groups.items():
      behind = [picture.compared for picture in of_group]
      of_each = sorted(behind) == sorted(key["compared"])
      if not of_each if asked.design == FORCED_CHOICE else len(set(behind)) != 1:
        raise ValueError(f"group {checks.shown(group)} is of other things than are compared")
  return asked


def _distinct_codes(draw: np.random.Generator, count: int) -> Sequence[str]:
  codes: dict[str, None] = {}
  while len(codes) < count:
    codes[draw.bytes(CODE_BYTES).hex()] = None
  return list(codes)
