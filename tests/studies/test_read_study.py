import pytest

from robust_saliency.studies import read_study


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({"kind": "robustnes"}, r"studies.s.kind must be one of .* \(did you mean 'robustness'\?\)"),
    ({"attacks": {}}, "studies.s needs the field 'kind', one of selection, response"),
    ({"kind": "accuracy", "example": 3}, r"field of studies.s .* \(did you mean 'examples'\?\)"),
    ("accuracy", "studies.s must be fields with values, got 'accuracy'"),
    (None, "studies.s must be fields with values, got None"),
  ],
)
def test_what_is_no_study_is_refused_in_a_sentence(settings, sentence):
  with pytest.raises((ValueError, TypeError), match=sentence):
    read_study("s", settings)
