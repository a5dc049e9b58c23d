"""The page that people answer: one file that opens without a network, on a telephone too.

It keeps its progress in the browser, and gives the votes as a file; nothing is sent anywhere. What
it holds names pictures by codes alone.
"""

import base64
import hashlib
import json
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from robust_saliency.studies.votes.questionnaire import FORCED_CHOICE, FORMAT, Questionnaire

_TITLES = {True: "Which picture explains best?", False: "What does this picture show?"}


def render(asked: Questionnaire) -> str:
  """The questionnaire's HTML; every text is escaped, whatever it holds.

  Args:
    asked: with its pictures, of `with_codes`.

  Returns:
    A whole HTML document.
  """
  environment = jinja2.Environment(
    loader=jinja2.FunctionLoader(_resource), autoescape=True, undefined=jinja2.StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
  )  # fmt: skip
  script = _resource("questionnaire.js")
  forced = asked.design == FORCED_CHOICE
  return environment.get_template("questionnaire.html").render(
    title=_TITLES[forced],
    forced=forced,
    of_images=bool(asked.shown),
    pictures=len(asked.compared),
    questions=len(asked.groups),
    labels=asked.classes,
    # Ours, not the user's.
    css=Markup(_resource("style.css") + _resource("questionnaire.css")),
    script=Markup(script),
    script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    data=Markup(_inside_a_script(_data(asked))),
  )


def _data(asked: Questionnaire) -> dict[str, Any]:
  about: dict[str, Any] = {
    "format": FORMAT,
    "questionnaire": asked.identity,
    "design": asked.design,
    "seed": asked.seed,
  }
  groups = {
    group: [{"code": picture.code, "image": _data_uri(picture.png)} for picture in of_group]
    for group, of_group in asked.groups.items()
  }
  if asked.design != FORCED_CHOICE:
    # The groups' names would tell which network is behind them.
    return {**about, "labels": list(asked.classes), "groups": list(groups.values())}
  labels = {group: asked.classes[of_group[0].label] for group, of_group in asked.groups.items()}
  questions = [
    {
      "code": group,
      "label": labels[group],
      "image": _data_uri(asked.shown[group]) if group in asked.shown else None,
      "choices": choices,
    }
    for group, choices in groups.items()
  ]
  return {**about, "questions": questions}


def _data_uri(png: bytes) -> str:
  return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _inside_a_script(value: Any) -> str:
  r"""JSON in which nothing ends the element that it stands in.

  >>> print(_inside_a_script("</script><!--"))
  "\u003c/script>\u003c!--"
  """
  return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _resource(name: str) -> str:
  return resources.files("robust_saliency.report").joinpath(name).read_text(encoding="utf-8")
