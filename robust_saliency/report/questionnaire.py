"""The page that people answer: one file that opens without a network, on a telephone too.

It keeps its progress in the browser, and gives the votes as a file; nothing is sent anywhere. What
it holds names pictures by codes alone.
"""

import json
from typing import Any

from markupsafe import Markup

from robust_saliency.report import html
from robust_saliency.studies.votes.questionnaire import FORCED_CHOICE, FORMAT, Questionnaire

_TITLES = {True: "Which picture explains best?", False: "What does this picture show?"}


def render(asked: Questionnaire) -> str:
  """The questionnaire's HTML; every text is escaped, whatever it holds.

  Args:
    asked: with its pictures, of `with_codes`.

  Returns:
    A whole HTML document.
  """
  forced = asked.design == FORCED_CHOICE
  return html.fill_in(
    "questionnaire.html",
    css=["style.css", "questionnaire.css"],
    script="questionnaire.js",
    title=_TITLES[forced],
    forced=forced,
    of_images=bool(asked.shown),
    pictures=len(asked.compared),
    questions=len(asked.groups),
    labels=asked.classes,
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
    group: [{"code": picture.code, "image": html.data_uri(picture.png)} for picture in of_group]
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
      "image": html.data_uri(asked.shown[group]) if group in asked.shown else None,
      "choices": choices,
    }
    for group, choices in groups.items()
  ]
  return {**about, "questions": questions}


def _inside_a_script(value: Any) -> str:
  r"""JSON in which nothing ends the element that it stands in.

  >>> print(_inside_a_script("</script><!--"))
  "\u003c/script>\u003c!--"
  """
  return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
