from robust_saliency.report.palette import model_styles


def test_a_model_has_one_style_however_often_it_appears():
  styles = model_styles(["a", "b", "a", "c"])
  assert list(styles) == ["a", "b", "c"]


def test_forty_models_all_differ():
  styles = model_styles(map(str, range(40)))
  assert len({(s.colour, s.marker, s.dash) for s in styles.values()}) == 40


def test_seven_models_have_seven_colours_and_seven_markers():
  styles = model_styles(map(str, range(7))).values()
  assert len({s.colour for s in styles}) == len({s.marker for s in styles}) == 7
