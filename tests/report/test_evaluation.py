from robust_saliency.report import evaluation


def test_the_worst_case_is_what_stands_every_attack(evaluation_study):
  accuracies, _ = evaluation.section(evaluation_study, {}).tables
  assert list(accuracies.columns) == ["Network", "unharmed", "PGD-40", "AutoAttack", "worst case"]
  cells = [row.cells for row in accuracies.groups[0].rows]
  # Of 8: PGD leaves 6 and AutoAttack 4 of them standing; of the second network 2 and 1.
  assert [cell[:3] for cell in cells] == [["100.0", "75.0", "50.0"], ["50.0", "25.0", "12.5"]]
  assert cells[0][3].startswith("50.0 (")
  assert cells[1][3].startswith("12.5 (")


def test_warnings_stand_under_their_network_and_their_absence_is_said(evaluation_study):
  _, warnings = evaluation.section(evaluation_study, {}).tables
  first, second = warnings.groups
  assert [(row.heading, *row.cells) for row in first.rows] == [("zero gradients", "<b>zero</b>")]
  assert second.rows[0].heading == "none"
