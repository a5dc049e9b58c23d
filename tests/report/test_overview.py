from robust_saliency.drawing.section import Headline, Section
from robust_saliency.report.overview import overview


def of(name, **cells):
  return Section(f"Clean accuracy: {name}", "", headlines=[Headline("Clean accuracy, %", cells)])


def test_two_studies_of_one_kind_are_told_apart_in_the_table():
  found = overview({"a": of("accuracy", plain="98.1"), "b": of("first seed", other="97.0")})
  assert [heading for heading, _ in found.columns] == [
    "Clean accuracy, %: accuracy",
    "Clean accuracy, %: first seed",
  ]
  assert dict(found.rows) == {"plain": ["98.1", "–"], "other": ["–", "97.0"]}


def test_a_heading_of_its_own_stays_as_it_is():
  assert overview({"a": of("accuracy", plain="98.1")}).columns == [("Clean accuracy, %", "a")]
