"""What the kept reports of a paper say, from the claims that are stored beside them."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[2] / "experiments" / "results"
# Of three or more networks, of fewer, and either.
_MARKS = {
  **{"supported": "✓", "holds in this run": "✓"},
  **{"refuted": "✗", "fails in this run": "✗"},
}


def kept_runs(paper: str) -> list[Path]:
  """The folders of the runs of a paper that the repository keeps."""
  return sorted(path.parents[1] for path in (RESULTS / paper).glob("*/data/claims.json"))


def markdown(paper: str, *, reports: str) -> str:
  """A paragraph and a list of claims for each kept run; a sentence where there is none.

  Args:
    paper: the name of its experiment, such as "ross2018".
    reports: the address of the folder that has the reports.
  """
  runs = kept_runs(paper)
  if not runs:
    return "No run of it is kept."
  return "\n\n".join(_run(run, f"{reports}/{paper}/{run.name}/report.html") for run in runs)


def _run(run: Path, report: str) -> str:
  claims = json.loads((run / "data" / "claims.json").read_text(encoding="utf-8"))
  facts = json.loads((run / "data" / "run.json").read_text(encoding="utf-8"))
  counted = Counter(claim["verdict"] for claim in claims)
  tally = ", ".join(f"{number} {verdict}" for verdict, number in counted.most_common())
  title = facts.get("title", run.name)
  lines = [
    f"**{run.name}** ({title}): of {len(claims)} claims {tally}. "
    # Of the site, but no page that Sphinx makes.
    f'<a href="{report}">The report</a>.',
    "",
    *(_claim(claim) for claim in claims),
  ]
  # Dozens of lines that most readers count: they open by themselves.
  opened = "\n".join(lines[2:])
  return (
    f"{lines[0]}\n\n<details><summary>All {len(claims)} claims</summary>\n\n{opened}\n\n</details>"
  )


def _claim(claim: Mapping[str, Any]) -> str:
  """One claim: the verdict, the sentence, the number with its interval, and the paper's."""
  where, paper = claim.get("where"), claim.get("paper")
  asked = _asked(claim)
  mark = _MARKS.get(claim["verdict"], "?")
  measured = "no number" if claim["value"] is None else _number(claim["value"])
  if claim.get("low") is not None:
    measured += f" [{_number(claim['low'])}, {_number(claim['high'])}]"
  rest = [f"measured {measured}", *([f"asked {asked}"] if asked else [])]
  rest += [f"the paper's {paper}"] if paper else []
  rest += [where] if where else []
  return f"- {mark} *{claim['verdict']}*: {_plain(claim['says'])} ({_plain('; '.join(rest))})"


def _asked(claim: Mapping[str, Any]) -> str:
  if claim.get("threshold") is None:
    return ""
  words = {">=": "at least", "<=": "at most", "within": "within"}
  asked = f"{words.get(claim['relation'], claim['relation'])} {_number(claim['threshold'])}"
  # Reports of earlier versions do not say near to what.
  return asked if claim.get("to") is None else f"{asked} of {_number(claim['to'])}"


def _number(value: float) -> str:
  return f"{value:.3g}"


def _plain(text: str) -> str:
  """Text in which no sign means anything to Markdown."""
  return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|$" else sign for sign in text)
