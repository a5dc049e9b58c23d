"""Maps as targets: a teacher is trained, its maps are made, and a student is trained with them."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.core import files
from robust_saliency.objectives import TERMS, term
from robust_saliency.pipeline import Experiment, read_networks
from robust_saliency.pipeline.schema import fields_at, flag_type
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


class KilledError(Exception):
  pass


@pytest.mark.slow
def test_a_run_that_is_killed_between_chunks_resumes_and_ends_with_the_same_bits(
  finished, tmp_path, monkeypatch
):
  # Of each chunk three files are written; the third chunk of the second seed is cut off.
  write, chunks, before_the_kill = files.write_with_digest, [], 5 + 2

  def killed(path, content):
    if path.name.startswith("from-"):
      if len(chunks) == before_the_kill:
        raise KilledError
      chunks.append(path.parent.name)
    return write(path, content)

  monkeypatch.setattr(files, "write_with_digest", killed)
  with pytest.raises(KilledError):
    Experiment(config(), tmp_path).run(command="")
  assert not (tmp_path / "models" / "student").exists()
  monkeypatch.setattr(
    files,
    "write_with_digest",
    lambda path, content: chunks.append(path.parent.name) or write(path, content),
  )
  Experiment(config(), tmp_path).run(command="")
  assert [name for name in chunks if name.startswith("seed_")].count("seed_0") >= 5
  assert chunks.count("seed_1") - chunks[:before_the_kill].count("seed_1") >= 3
  assert {seed: one[1] for seed, one in about_maps(tmp_path).items()} == {
    seed: one[1] for seed, one in about_maps(finished).items()
  }
  of_both = [read_networks(workdir)[1]["student"] for workdir in (finished, tmp_path)]
  assert [same(a, b) for a, b in zip(*of_both, strict=True)] == [True, True]


@pytest.mark.slow
def test_damaged_maps_are_made_again_and_no_student_is_trained_again(
  finished, tmp_path, monkeypatch
):
  workdir = shutil.copytree(finished, tmp_path / "copy")
  path, digest = about_maps(workdir)["1"]
  content = bytearray(path.read_bytes())
  content[500] ^= 1
  path.write_bytes(content)
  # Whoever only looks at networks needs no maps.
  assert list(read_networks(workdir)[1]) == ["student", "teacher"]
  monkeypatch.setattr(checkpoints, "save", lambda *a, **k: pytest.fail("a step was taken"))
  Experiment(config(), workdir).run(command="")
  assert files.digest(path.read_bytes()) == digest
  shutil.rmtree(path.parent)
  assert list(read_networks(workdir)[1]) == ["student", "teacher"]
  Experiment(config(), workdir).run(command="")
  assert about_maps(workdir) == {
    seed: (workdir / one[0].relative_to(finished), one[1])
    for seed, one in about_maps(finished).items()
  }


@pytest.mark.slow
def test_a_further_seed_or_another_name_of_the_study_trains_no_student_again(
  finished, tmp_path, monkeypatch
):
  workdir = shutil.copytree(finished, tmp_path / "copy")
  trained, save = set(), checkpoints.save
  monkeypatch.setattr(
    checkpoints, "save", lambda at, *a, **k: trained.add(at.parent) or save(at, *a, **k)
  )
  Experiment(config(seeds=(0, 1, 2)), workdir, rerun_changed=True).run(command="")
  assert {(path.parent.name, path.name) for path in trained} == {
    ("teacher", "seed_2"),
    ("student", "seed_2"),
  }
  # The noise of other maps would follow from the study's name; a gradient has none.
  trained.clear()
  renamed = config({"student": student("renamed")}, {"renamed": maps_of()})
  Experiment(renamed, workdir, rerun_changed=True).run(command="")
  assert not trained


@pytest.mark.slow
def test_what_is_done_to_the_maps_is_in_the_identity_and_reaches_the_student(finished, tmp_path):
  changed = {
    "permuted": student(permuted=0.5),
    "thresholded": student(threshold=1.0),
    "otherwise": student(permuted=0.5, **{"seed": 1}),
    "again": student(permuted=0.5),
  }
  workdir = shutil.copytree(finished, tmp_path / "copy")
  Experiment(config(changed), workdir, rerun_changed=True).run(command="")
  _, networks = read_networks(workdir)
  found = [networks[name][0] for name in ("student", *changed)]
  alike = [[same(a, b) for b in found] for a in found]
  expected = np.eye(5, dtype=bool)
  expected[1, 4] = expected[4, 1] = True
  assert alike == expected.tolist()


@pytest.mark.slow
def test_a_student_moves_towards_its_teacher_s_maps(finished, tmp_path):
  """The cosine of its gradients with its maps is larger with the term than without."""
  settings = {"steps": 60, "seeds": (0,)}
  models = {
    name: {**student(weight=weight), **settings} for name, weight in (("with", 3.0), ("none", 0.0))
  }
  workdir = shutil.copytree(finished, tmp_path / "copy")
  plan = config({**models, "student": {**student(), "seeds": (0,)}})
  Experiment({**plan, "studies": {OF_TEACHER: maps_of()}}, workdir, rerun_changed=True).run(
    command=""
  )
  dataset, networks = read_networks(workdir)
  maps = np.load(about_maps(workdir)["0"][0]).reshape(len(dataset.train), -1)
  x, y = jnp.asarray(dataset.to_float(dataset.train.x)), dataset.train.y

  def cosine(network):
    slopes = jax.grad(lambda x: network.logits_fn(x)[jnp.arange(len(y)), y].sum())(x)
    slopes = np.asarray(slopes).reshape(len(y), -1)
    sizes = np.linalg.norm(slopes, axis=1) * np.linalg.norm(maps, axis=1)
    return float(np.mean((slopes * maps).sum(axis=1) / sizes))

  with_term, without = (cosine(networks[name][0]) for name in ("with", "none"))
  assert with_term > without + 0.1


@pytest.mark.slow
def test_maps_are_moved_with_their_images_from_a_config(tmp_path):
  """A map that is the image itself stays it under augmentation."""

  @term("difference", title="Distance of image and map", needs={"map": "map"})
  def difference(passes):
    apart = passes.batch.x - passes.batch.targets["map"]
    return jnp.sum(apart**2, axis=(1, 2, 3)) + 0 * passes.clean().logits[:, 0]

  augmented = {
    **PLAIN,
    "objective": {"difference": {}},
    "augmentation": {"padding": 2, "flip_probability": 0.5},
    "maps": {"map": {"study": "image"}},
    "log_every": 1,
  }
  studies = {"image": {"kind": "target_maps", "source": "image"}}
  plan = {**config(), "models": {"student": augmented}, "studies": studies}
  Experiment(plan, tmp_path).run(command="")
  with (tmp_path / "models" / "student" / "seed_0" / "metrics.csv").open() as file:
    rows = [line.split(",") for line in file.read().splitlines()]
  distances = [float(row[rows[0].index("difference")]) for row in rows[1:]]
  assert len(distances) == 6
  np.testing.assert_allclose(distances, 0, atol=1e-9)


@pytest.mark.slow
def test_students_of_teachers_that_have_diverged_count_as_diverged_and_the_others_do_not(tmp_path):
  broken = {**PLAIN, "optimizer": {"name": "adam", "learning_rate": 1e30}}
  plan = config({"teacher": broken, "other": PLAIN, "of edges": student("edges")}, {
    "edges": {"kind": "target_maps", "source": "edges"},
    "untrained": maps_of(source="untrained"),
  })  # fmt: skip
  for together in (False, True):
    workdir = tmp_path / str(together)
    Experiment(plan, workdir, together=together).run(command="")
    _, networks = read_networks(workdir)
    assert {name: bool(of[0].diverged) for name, of in networks.items()} == {
      "student": True,
      "teacher": True,
      "other": False,
      "of edges": False,
    }
    assert "the teacher of its maps map has diverged" in (workdir / "report.html").read_text()
    assert list(about_maps(workdir, "edges")) == ["all"]
    assert list(about_maps(workdir, "untrained")) == ["0", "1"]
    about = workdir / "studies" / files.slug(OF_TEACHER) / "result.json"
    assert json.loads(about.read_text())["metadata"]["maps"] == {}


@pytest.mark.slow
def test_students_trained_as_one_program_have_each_their_own_maps(finished, tmp_path):
  Experiment(config(), tmp_path, together=True).run(command="")
  of_both = [read_networks(workdir)[1]["student"] for workdir in (finished, tmp_path)]
  for alone, together in zip(*of_both, strict=True):
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
      alone.variables,
      together.variables,
    )


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    (
      {"models": {"student": student("techer's gradient")}},
      r"model 'student': maps.map.study must be one of accuracy, .*did you mean \"teacher's gradi",
    ),
    (
      {"models": {"student": student("accuracy")}},
      "model 'student': maps.map.study must be a study of kind 'target_maps', got 'accuracy' of",
    ),
    (
      {"studies": {OF_TEACHER: maps_of(split="test")}},
      "model 'student': maps.map.study must make maps of the split 'train', got .* of 'test'",
    ),
    (
      {"models": {"student": {**student(), "maps": None}}},
      "model 'student': the term 'alignment' needs the map 'map' of each image; name in maps the",
    ),
    (
      {
        "models": {
          "other": {**PLAIN, "objective": {"cross_entropy": {}, "perceptual_alignment": {}}}
        }
      },
      "model 'other': the term 'perceptual_alignment' needs the maps 'class_maps', one for each",
    ),
    (
      {"models": {"student": {**student(), "maps": {"mop": {"study": OF_TEACHER}}}}},
      "model 'student': map of maps must be one of map; got 'mop'",
    ),
    (
      {"models": {"other": {**PLAIN, "maps": {"map": {"study": OF_TEACHER}}}}},
      "model 'other': maps must be left out, since no term of objective needs any, got 'map'",
    ),
    (
      {"models": {"student": {**student(), "maps": [OF_TEACHER]}}},
      "model 'student': maps must be a mapping",
    ),
    (
      {"models": {"student": student(permuted=1.5)}},
      "model 'student': maps.map.permuted must be a number between 0 and 1, got 1.5",
    ),
    (
      {"models": {"student": student(threshold=-1)}},
      "model 'student': maps.map.threshold must be a number >= 0, got -1",
    ),
    (
      {"models": {"student": student(permute=1)}},
      r"model 'student': field of maps.map must be .*\(did you mean 'permuted'\?\)",
    ),
    (
      {"studies": {OF_TEACHER: maps_of("student")}},
      "models and studies must not need one another; got model 'student', which needs study "
      "\"teacher's gradient\", which needs model 'student'",
    ),
    (
      {"studies": {OF_TEACHER: maps_of("techer")}},
      "teacher of a study must be one of .*did you mean 'teacher'",
    ),
    (
      {"models": {"teacher": {**PLAIN, "seeds": (1,)}}},
      "model 'student': maps.map.study \"teacher's gradient\" must make maps of all of its seeds "
      r"\[0, 1\], \[0\] are missing",
    ),
  ],
)
def test_maps_that_a_model_could_not_have_are_refused_before_anything_runs(
  change, sentence, tmp_path
):
  with pytest.raises((ValueError, TypeError), match=sentence) as caught:
    Experiment(config(**change), tmp_path / "new")
  assert "\n" not in str(caught.value)
  assert not (tmp_path / "new").exists()


def test_every_field_of_a_map_is_one_of_the_config_s_schema():
  fields = fields_at(config(), ["models", "student", "maps", "map"])
  assert {name: flag_type(kind) for name, kind in fields.items()} == {
    "study": str,
    "permuted": float,
    "threshold": float,
    "seed": int,
  }


def chosen_twice():
  """A teacher is chosen, its maps teach students, and one of these is chosen, too."""
  choice = {"kind": "selection", "attack": {"name": "fgsm"}, "epsilon": 0.05, "keep": 0.0}
  choice |= {"reference": "plain", "source": "plain", "standard_errors": 100}
  term_of = {"alignment": "strength"}
  return {
    "title": "Choices",
    "dataset": {"name": "digits", "validation": 50},
    "seeds": (0, 1),
    "models": {
      "final": {**student("maps"), "choices": term_of},
      "weak": {**student("maps", weight=0.5), "seeds": (0,)},
      "strong": {**student("maps", weight=2.0), "seeds": (0,)},
      "plain": PLAIN,
      "short": {**PLAIN, "steps": 3},
      "long": {**PLAIN, "steps": 9},
    },
    "studies": {
      "which strength": {
        **choice, "families": {"strength": {"weak": 0.5, "strong": 2.0}}, "seeds": (0,),
      },
      "maps": maps_of("teacher"),
      "which teacher": {**choice, "families": {"teacher": {"short": 3, "long": 9}}},
      "accuracy": {"kind": "accuracy", "models": ("final", "strength"), "seeds": (0,),
                   "examples": 20},
    },
  }  # fmt: skip


def test_choices_and_maps_may_follow_one_another(tmp_path):
  stages = Experiment(chosen_twice(), tmp_path).plan.stages
  assert [
    stage.name.removesuffix(", seed 0") for stage in stages if "seed 1" not in stage.name
  ] == [
    "training plain",
    "training short",
    "training long",
    "study which teacher",
    "study maps",
    "training weak",
    "training strong",
    "study which strength",
    "training final",
    "study accuracy",
  ]


@pytest.mark.slow
def test_maps_of_a_chosen_teacher_teach_students_of_which_one_is_chosen(tmp_path, monkeypatch):
  Experiment(chosen_twice(), tmp_path).run(command="")
  _, networks = read_networks(tmp_path)
  about = {
    name: json.loads((tmp_path / "studies" / name / "result.json").read_text())["metadata"]
    for name in ("which-teacher", "which-strength")
  }
  # All count as equal, so that the larger number is chosen; it multiplies the weight 1.
  assert about["which-teacher"]["chosen"] == {"teacher": "long"}
  assert about["which-strength"]["chosen"] == {"strength": "strong"}
  assert same(networks["final"][0], networks["strong"][0])
  monkeypatch.setattr(checkpoints, "save", lambda *a, **k: pytest.fail("a step was taken"))
  Experiment(chosen_twice(), tmp_path).run(command="")
