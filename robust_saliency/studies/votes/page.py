"""The section of a user study: what people chose, tests over people, and what they could find."""

from collections.abc import Mapping

from robust_saliency.drawing import canvas, intervals
from robust_saliency.drawing.formatting import percent
from robust_saliency.drawing.palette import model_styles
from robust_saliency.drawing.section import Picture, Row, RowGroup, Section, Sheet, Table
from robust_saliency.results.result import SEED, Result
from robust_saliency.studies.votes import tables
from robust_saliency.studies.votes.questionnaire import FORCED_CHOICE
from robust_saliency.studies.votes.summary import SHARE_OF_TIMES, TIMES, Score, Summary, summarise
from robust_saliency.studies.votes.tally import FOOLED, NONE, REASONABLE, SCORES

_TITLES = {
  FOOLED: "Fooled: the target is named first",
  REASONABLE: "Reasonable: the target is named, or no label is",
  NONE: "No label is plausible",
}


def section(result: Result) -> Section:
  """Tabulates a tally.

  Args:
    result: of `tally`, perhaps with `gee` in its metadata: what was found by `gee.compare`.

  Returns:
    A section with a figure for each score, tables, and a sheet of all votes.

  Raises:
    ValueError: for arrays that are of no tally.
  """
  summary = summarise(result)
  if summary.design == FORCED_CHOICE:
    return _forced_choice(result, summary)
  return _plausible_label(result, summary)


def _forced_choice(result: Result, summary: Summary) -> Section:
  score, compared = summary.scores["share"], tables.names(summary)
  people = tables.people(summary.participants)
  one = "method" if result.metadata["axis"] == "method" else "network"
  many = f"{one}s"
  chance = 1 / len(compared)
  lines = {
    f"chance, {percent(chance)} %": chance,
    f"{TIMES} times all others together, {percent(SHARE_OF_TIMES)} %": SHARE_OF_TIMES,
  }
  return Section(
    title=f"Votes: which {one} people chose ({result.name})",
    reading=(
      f"{people} answered {summary.each} questions each: of {len(compared)} pictures side "
      f"by side, one of each {one}, without names and in random order, which is best? Shown "
      f"were {result.metadata['source']}. The participant is the unit: a test against chance "
      f"permutes the {many}’ names within each participant, and intervals are Student’s over "
      "participants’ shares."
    ),
    pictures=[_picture("votes", f"Share of votes, {people.lower()}", score, lines)],
    tables=[
      Table(
        caption=(
          f"Votes of {people.lower()}. p: two-sided, exact, against names that mean "
          f"nothing; beside it as Holm adjusts it for {len(compared)} {many}."
        ),
        columns=[one.capitalize(), "votes", "share, %", "95 % interval", "p", "p, Holm"],
        groups=[
          RowGroup(
            [
              Row(
                alone.name,
                [
                  f"{alone.count:,}",
                  percent(alone.estimate.value),
                  tables.interval(alone.estimate),
                  *(tables.p_value(alone.p), tables.p_value(alone.p_holm)),
                ],
              )
              for alone in score.alone
            ]
          )
        ],
      ),
      tables.by_class(summary, "Votes by the class of what was explained.", one.capitalize()),
      tables.pairs(summary, {"share": ""}, f"Which of two {many} got more votes."),
      tables.power_alone(summary, one.capitalize()),
      *tables.beside(summary, f"{one.capitalize()}, against chance"),
      tables.places(summary),
    ],
    sheets=[_sheet_of_choices(result)],
  )


def _plausible_label(result: Result, summary: Summary) -> Section:
  people, compared = tables.people(summary.participants), tables.names(summary)
  titles = {score: _TITLES[score] for score in (FOOLED, REASONABLE)}
  of_scores = [summary.scores[score].alone for score in SCORES]
  return Section(
    title=f"Votes: whom adversarial images fool ({result.name})",
    reading=(
      f"{people} were shown {len(compared) * summary.each} images each, one of each "
      f"original class and network ({result.metadata['source']}), in random order, and not the "
      "original label: which label is most plausible, which second, or is none? An image fools if "
      "the first label is its target; a network’s mistake is reasonable if the target is one of "
      "the two or no label is plausible. The participant is the unit: tests flip the signs of "
      "participants’ differences."
    ),
    pictures=[
      _picture(score, title.split(":")[0], summary.scores[score], {})
      for score, title in titles.items()
    ],
    tables=[
      Table(
        caption=(
          f"Per cent of images, and in brackets Student’s 95 % interval over {people.lower()}."
        ),
        columns=["Network", *_TITLES.values()],
        groups=[
          RowGroup(
            [
              Row(name, [tables.with_interval(alone[c].estimate) for alone in of_scores])
              for c, name in enumerate(compared)
            ]
          )
        ],
      ),
      tables.pairs(summary, titles, "How far two networks lie apart, in points of per cent."),
      tables.by_class(
        summary,
        f"Fooled / reasonable by the original’s class, images of {summary.participants} of each.",
        "Network",
      ),
      tables.power_of_pairs(summary, titles),
      *tables.beside(summary, "Networks"),
    ],
    sheets=[_sheet_of_labels(result)],
  )


def _picture(name: str, title: str, score: Score, lines: Mapping[str, float]) -> Picture:
  styles = model_styles([alone.name for alone in score.alone])
  estimates = [alone.estimate for alone in score.alone]
  size, svg, png = intervals.draw(
    estimates, styles, title=title, axis="share of answers", lines=lines
  )
  said = "; ".join(f"{alone.name} {percent(alone.estimate.value)} %" for alone in score.alone)
  return Picture(
    name=name,
    caption=f"{title}. Mark: mean over participants; line: Student’s 95 % interval over them.",
    alt=f"{title}: {said}.",
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )


def _sheet_of_choices(result: Result) -> Sheet:
  coordinates, metadata = result.layout.coordinates, result.metadata
  axis, arrays = metadata["axis"], result.arrays
  winners = arrays["chosen"].argmax(axis=0)
  rows = [
    [
      *(person, question, metadata["classes"][metadata["labels"][q]]),
      coordinates[axis][int(winners[q, s])],
      *(int(arrays["place"][q, s]), float(arrays["seconds"][q, s])),
    ]
    for s, person in enumerate(coordinates[SEED])
    for q, question in enumerate(coordinates["question"])
  ]
  return Sheet("votes", ["participant", "question", "class", axis, "place", "seconds"], rows)


def _sheet_of_labels(result: Result) -> Sheet:
  coordinates, arrays, axis = result.layout.coordinates, result.arrays, result.metadata["axis"]
  rows = [
    [
      *(person, name, of_class),
      *(int(arrays[f"{score}_at"][c, k, s]) for score in SCORES),
      float(arrays["seconds"][c, k, s]),
    ]
    for s, person in enumerate(coordinates[SEED])
    for c, name in enumerate(coordinates[axis])
    for k, of_class in enumerate(coordinates["class"])
  ]
  return Sheet("votes", ["participant", axis, "class", *SCORES, "seconds"], rows)
