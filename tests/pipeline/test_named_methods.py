"""Methods with settings, as a command line names them."""

import pytest

from robust_saliency.pipeline import named_methods


@pytest.mark.parametrize(
  ("text", "parts"),
  [
    ("", []),
    ("pgd", ["pgd"]),
    (" pgd , fgsm", ["pgd", "fgsm"]),
    ("pgd,", ["pgd", ""]),
    ("pgd:bounds=(0,1),fgsm", ["pgd:bounds=(0,1)", "fgsm"]),
    ("lime:features=[1,{2:(3,4)}]:samples=9,x", ["lime:features=[1,{2:(3,4)}]:samples=9", "x"]),
    ("pgd:loss='a,(b',fgsm", ["pgd:loss='a,(b'", "fgsm"]),
    ("pgd:bounds=(0,1", ["pgd:bounds=(0,1"]),
    ("pgd:bounds=0),fgsm", ["pgd:bounds=0)", "fgsm"]),
  ],
)
def test_commas_within_brackets_and_quotation_marks_do_not_split(text, parts):
  assert named_methods.split(text) == parts


@pytest.mark.parametrize(
  ("value", "read"),
  [
    ("7", 7),
    ("dlr", "dlr"),
    ("False", False),
    ("(0, 1)", (0, 1)),
    ("{'name': 'gradient', 'score': 0}", {"name": "gradient", "score": 0}),
    ("'a:b'", "a:b"),
    ("-" * 3000 + "1", "-" * 3000 + "1"),  # too deep for Python's parser
  ],
)
def test_values_are_what_python_reads_them_as_and_else_text(value, read):
  settings = named_methods.parse(f"pgd:first={value}:second=2", ["pgd"], what="attack")
  assert settings == {"name": "pgd", "first": read, "second": 2}


def test_what_is_no_setting_is_refused():
  with pytest.raises(ValueError, match="attack 'pgd:7' must be NAME:SETTING=VALUE:"):
    named_methods.parse("pgd:7", ["pgd"], what="attack")


def test_an_unknown_name_is_refused_with_the_nearest():
  with pytest.raises(ValueError, match=r"methods must be one of .*did you mean 'lime'"):
    named_methods.parse("lme:samples=3", ["lime", "gradient"], what="method")


@pytest.mark.parametrize(
  ("text", "field"), [("pgd:steps=2:steps=3", "steps"), ("fgsm:name=pgd", "name")]
)
def test_a_setting_that_is_there_twice_is_refused(text, field):
  with pytest.raises(ValueError, match=f"attack '{text}' must have {field} once"):
    named_methods.parse(text, ["pgd", "fgsm"], what="attack")
