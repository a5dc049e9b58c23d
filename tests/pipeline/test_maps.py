"""Maps as targets: a teacher is trained, its maps are made, and a student is trained with them."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.core import files
from robust_saliency.objectives import TERMS, term
from robust_saliency.pipeline import Experiment, read_networks
from robust_saliency.training import checkpoints

PLAIN = {
  "architecture": {"name": "mlp", "hidden": (8,)},
  "objective": {"cross_entropy": {}},
  "optimizer": {"name": "adam", "learning_rate": 0.01},
  "batch_size": 100,
  "steps": 6,
}
OF_TEACHER = "teacher's gradient"


@pytest.fixture(autouse=True, scope="module")
def _alignment():
  before = dict(TERMS)

  @term("alignment", title="One minus the cosine with the map", needs={"map": "map"})
  def alignment(passes):
    once = passes.clean()
    wanted = passes.batch.targets["map"]
    slopes = once.input_gradient(lambda z: jnp.take_along_axis(z, once.y[:, None], axis=1)[:, 0])
    products = jnp.sum(slopes * wanted, axis=(1, 2, 3))
    sizes = jnp.sum(slopes**2, axis=(1, 2, 3)) * jnp.sum(wanted**2, axis=(1, 2, 3))
    return 1 - products / jnp.sqrt(sizes + 1e-12)

  yield
  TERMS.clear()
  TERMS.update(before)


def student(study=OF_TEACHER, weight=1.0, **of_map):
  return {
    **PLAIN,
    "objective": {"cross_entropy": {}, "alignment": {"weight": weight}},
    "maps": {"map": {"study": study, **of_map}},
  }


def maps_of(teacher="teacher", **settings):
  return {
    "kind": "target_maps",
    "teacher": teacher,
    "attribution": {"name": "gradient"},
    "batch_size": 300,
    **settings,
  }


def config(models=None, studies=None, **more):
  return {
    "title": "Maps",
    "dataset": {"name": "digits"},
    "seeds": (0, 1),
    # A student may stand before its teacher.
    "models": {"student": student(), "teacher": PLAIN, **(models or {})},
    "studies": {
      "accuracy": {"kind": "accuracy", "examples": 20},
      OF_TEACHER: maps_of(),
      **(studies or {}),
    },
    **more,
  }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("maps")
  Experiment(config(), workdir).run(command="")
  return workdir


def about_maps(workdir, study=OF_TEACHER):
  folder = workdir / "studies" / files.slug(study)
  about = json.loads((folder / "result.json").read_text())["metadata"]["maps"]
  (kept,) = (folder / "kept").iterdir()
  return {seed: (kept / one["file"], one["sha256"]) for seed, one in about.items()}


def same(a, b):
  leaves = zip(jax.tree.leaves(a.variables), jax.tree.leaves(b.variables), strict=True)
  return all(np.array_equal(x, y) for x, y in leaves)


def test_each_seed_has_the_maps_of_its_teacher_and_the_student_follows_from_them(finished):
  dataset, networks = read_networks(finished)
  made = about_maps(finished)
  assert list(made) == ["0", "1"]
  x, y = jnp.asarray(dataset.to_float(dataset.train.x)), dataset.train.y
  for seed, (path, digest) in made.items():
    teacher = networks["teacher"][int(seed)]
    with jax.default_matmul_precision("float32"):
      of_true_class = jax.grad(lambda x, t=teacher: t.logits_fn(x)[jnp.arange(len(y)), y].sum())
    np.testing.assert_allclose(np.load(path), of_true_class(x), rtol=1e-4, atol=1e-6)
    record = finished / "models" / "student" / f"seed_{seed}" / "stage.json"
    settings = json.loads(record.read_text())["follows_from"]["settings"]
    assert settings["maps"] == {
      "map": {"permuted": 0.0, "threshold": None, "seed": 0, "sha256": digest}
    }
    assert files.digest(path.read_bytes()) == digest


def test_the_order_is_teacher_maps_student_and_then_the_other_studies(tmp_path):
  stages = Experiment(config(), tmp_path).plan.stages
  assert [stage.name for stage in stages] == [
    "training teacher, seed 0",
    "training teacher, seed 1",
    f"study {OF_TEACHER}",
    "training student, seed 0",
    "training student, seed 1",
    "study accuracy",
  ]


def test_what_is_finished_is_not_done_again(finished, monkeypatch):
  monkeypatch.setattr(checkpoints, "save", lambda *a, **k: pytest.fail("a step was taken"))
  monkeypatch.setattr(
    "robust_saliency.pipeline.stages.run_study", lambda *a, **k: pytest.fail("run")
  )
  Experiment(config(), finished).run(command="")


def test_the_report_keeps_no_maps_but_those_it_shows(finished):
  kept = np.load(finished / "data" / "teacher-s-gradient.npz")
  assert kept["maps"].shape == (10, 8, 8, 1)
  assert sum(path.stat().st_size for path in (finished / "data").iterdir()) < 200_000
  assert "Target maps" in (finished / "report.html").read_text()
