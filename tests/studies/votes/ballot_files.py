"""Files of votes whose truth is known."""

import json

import numpy as np

from robust_saliency.studies import votes


def participant(number):
  """The random number that a browser might have drawn."""
  return f"{number:032x}"


def ballot(asked, number, answers, **changes):
  """What the page would save."""
  return {
    "format": 1,
    "questionnaire": asked.identity,
    "design": asked.design,
    "seed": asked.seed,
    "participant": participant(number),
    "answers": answers,
    **changes,
  }


def choices(asked, chosen):
  """Answers to a forced choice: `chosen` gives the name for each question's label."""
  answers = []
  for group, pictures in asked.groups.items():
    name = chosen(pictures[0].label)
    code = next(one.code for one in pictures if one.compared == name)
    shown = [one.code for one in pictures]
    answers.append({"question": group, "shown": shown, "choice": code, "seconds": 1.5})
  return answers


def labels(asked, named):
  """Answers about labels: `named` gives (first, second) for one picture of each group."""
  answers = []
  for pictures in asked.groups.values():
    first, second = named(pictures[0])
    answers.append({"picture": pictures[0].code, "first": first, "second": second, "seconds": 2.0})
  return answers


def write(folder, ballots):
  """One file each, and their paths."""
  folder.mkdir(exist_ok=True)
  paths = []
  for i, one in enumerate(ballots):
    paths.append(folder / f"votes-{i}.json")
    paths[-1].write_text(json.dumps(one))
  return paths


def random_choices(asked, people, preferred, strength, seed=0):
  """Ballots of people who take `preferred` with their own probability about `strength`."""
  random = np.random.default_rng(seed)
  others = [name for name in asked.compared if name != preferred]
  found = []
  for number in range(people):
    own = np.clip(strength + 0.1 * random.standard_normal(), 0, 1)
    found.append(
      ballot(asked, number, choices(
        asked, lambda _: preferred if random.random() < own else str(random.choice(others))  # noqa: B023
      ))
    )  # fmt: skip
  return found


def random_labels(asked, people, rates, seed=0):
  """Ballots of people whom each network's images fool at its rate; half of the rest see nothing."""
  random = np.random.default_rng(seed)

  def named(picture):
    if random.random() < rates[picture.compared]:
      return picture.target, picture.label
    return (None, None) if random.random() < 0.5 else (picture.label, None)

  return [ballot(asked, number, labels(asked, named)) for number in range(people)]


def tallied(asked, ballots, folder):
  """Read back and counted."""
  read = [votes.read_ballot(path, asked, {}) for path in write(folder, ballots)]
  return votes.tally(asked, read)
