import pytest

from robust_saliency import report
from robust_saliency.report import kinds
from robust_saliency.studies.result import StudyResult


def test_a_new_kind_is_one_function(tmp_path, monkeypatch, arguments):
  def section(result, styles):
    return report.Section(title="Boundary tilting", reading=f"{len(styles)} networks.")

  monkeypatch.setitem(kinds.SECTIONS, "tilting", section)
  results = [StudyResult("tilt", "tilting", {}, {}), *arguments["results"]]
  page = report.write(tmp_path, **{**arguments, "results": results}).read_text()
  assert "Boundary tilting" in page
  assert page.index('id="section-gradients"') < page.index('id="section-tilt"')


@pytest.mark.parametrize(
  ("kind", "suggestion"), [("tranfser", r" \(did you mean 'transfer'\?\)"), ("xyz", "")]
)
def test_an_unknown_kind_is_refused_before_anything_is_written(
  tmp_path, arguments, kind, suggestion
):
  results = [*arguments["results"], StudyResult("new", kind, {}, {})]
  with pytest.raises(
    ValueError,
    match=f"study 'new' is of kind '{kind}', which the report cannot show{suggestion}; it shows",
  ):
    report.write(tmp_path / "report", **{**arguments, "results": results})
  assert not (tmp_path / "report").exists()
