import numpy as np

from robust_saliency.drawing.palette import model_styles
from robust_saliency.objectives import TERMS, Term
from robust_saliency.studies.training import page, training_curves


def drawn(training, **which):
  seeds = sorted({row["seed"] for rows in training.values() for row in rows})
  return page.section(training_curves(training, seeds), model_styles(list(training)), **which)


def test_each_metric_has_a_picture_and_loss_comes_first():
  rows = [{"seed": 0, "step": i, "accuracy": 0.5, "loss": 1.0, "epoch": 0} for i in range(3)]
  section = drawn({"standard": rows})
  assert [picture.name for picture in section.pictures] == ["loss", "accuracy"]


def test_the_alternative_text_ends_with_the_mean_of_the_seeds_last_values():
  rows = [{"seed": s, "step": i, "loss": 1.0 + s + i} for s in (0, 1) for i in range(4)]
  section = drawn({"standard": rows})
  assert section.pictures[0].alt.endswith("Last values: standard 4.5.")


def test_the_sheet_repeats_the_rows_with_gaps_where_nothing_was_logged():
  rows = [{"seed": 0, "step": 0, "loss": 2.0}, {"seed": 0, "step": 1, "loss": 1.0, "test": 0.5}]
  (sheet,) = drawn({"m": rows}).sheets
  assert sheet.header == ["model", "seed", "step", "loss", "test"]
  assert sheet.rows == [["m", 0, 0, 2.0, ""], ["m", 0, 1, 1.0, 0.5]]


def test_a_long_curve_is_averaged_over_neighbours():
  points = np.stack([np.arange(700.0), np.arange(700.0) ** 2], axis=1)
  steps, values = page._averaged(points)
  assert len(steps) <= page.MOST_POINTS
  np.testing.assert_allclose(values[0], (0 + 1 + 4) / 3)
  np.testing.assert_allclose(steps[-1], 699)


def test_seeds_that_stopped_at_different_steps_and_losses_that_broke_are_drawn():
  rows = [{"seed": s, "step": i, "loss": 10.0**-i} for s in (0, 1) for i in range(3 + s)]
  rows.append({"seed": 1, "step": 4, "loss": float("nan")})
  section = drawn({"standard": rows})
  assert "Logarithmic scale." in section.pictures[0].caption


def test_metrics_have_titles_in_words():
  names = ("input_gradient_penalty", "my_own_metric")
  rows = [{"seed": 0, "step": i, **dict.fromkeys(names, 0.5)} for i in range(3)]
  section = drawn({"standard": rows})
  assert [picture.name for picture in section.pictures] == list(names)
  penalty, own = (picture.caption for picture in section.pictures)
  assert penalty.startswith("Input gradient penalty, true labels against the training step.")
  assert own.startswith("My own metric against the training step.")


def test_a_term_s_title_is_the_one_that_it_declares(monkeypatch):
  monkeypatch.setitem(TERMS, "mine", Term(len, "My term’s title", {}, ("clean",)))
  rows = [{"seed": 0, "step": i, "mine": 0.5, "distillation": 0.5} for i in range(3)]
  section = drawn({"standard": rows})
  mine, ours = (picture.caption for picture in section.pictures)
  assert mine.startswith("My term’s title against the training step.")
  assert ours.startswith("Cross-entropy with the teacher’s labels against the training step.")


def test_a_probe_s_metrics_have_titles_and_axes_of_their_own():
  rows = [
    {"seed": 0, "step": i, "probe_fgsm_accuracy": 0.5, "probe_gradient": 2.0 + i} for i in range(3)
  ]
  section = drawn({"standard": rows})
  accuracy, gradient = (picture.caption for picture in section.pictures)
  assert accuracy.startswith("Black-box FGSM accuracy against the training step.")
  assert gradient.startswith("Squared input gradient, true labels against")
  assert "Logarithmic scale." in gradient
  assert page._decades(np.array([2.0, 4.0])) == (1, 10)
  assert page._decades(np.array([0.02, 400.0])) == (0.01, 1000)
  assert page._decades(np.array([1.0, 1.0])) == (1, 10)
