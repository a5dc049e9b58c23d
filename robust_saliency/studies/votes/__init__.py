"""Votes of people: what a questionnaire asks, its ballots, their tally, and its page.

It is no kind of study that a config names: people answer later, and their votes are counted by the
command user_study. Claims ask of them by the questionnaire's name.

questionnaire  what is asked, and what is behind each picture
ballots        one participant's votes, from a file that is not trusted
tally          arrays with named axes
summary        shares, tests and power, with participants as the unit
gee            generalised estimating equations, beside the tests
page           the report's section, of its tables
"""

from robust_saliency.studies.votes.ballots import LARGEST, Ballot, read_ballot
from robust_saliency.studies.votes.page import section
from robust_saliency.studies.votes.questionnaire import (
  DESIGNS,
  FORCED_CHOICE,
  PLAUSIBLE_LABEL,
  Picture,
  Questionnaire,
  from_key,
  with_codes,
)
from robust_saliency.studies.votes.summary import Summary, summarise
from robust_saliency.studies.votes.tally import VOTES, tally

__all__ = [
  "DESIGNS",
  "FORCED_CHOICE",
  "LARGEST",
  "PLAUSIBLE_LABEL",
  "VOTES",
  "Ballot",
  "Picture",
  "Questionnaire",
  "Summary",
  "from_key",
  "read_ballot",
  "section",
  "summarise",
  "tally",
  "with_codes",
]
