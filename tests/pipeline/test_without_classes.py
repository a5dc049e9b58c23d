"""A network without logits is handed only to what asks for it."""

import pytest

from robust_saliency.pipeline.plan import Plan
from robust_saliency.training import Network

PLAIN = {
  "architecture": {"name": "mlp", "hidden": [4]},
  "objective": {"cross_entropy": {}},
  "optimizer": {"name": "sgd", "learning_rate": 0.1},
  "batch_size": 100,
  "steps": 1,
}
VAE_GAN = {
  **PLAIN,
  "architecture": {"name": "vae_gan", "latent": 2, "width": 0.125},
  "objective": {},
  "trainer": "vae_gan",
  "trainer_settings": {"reconstruction": 0.1},
}
TAUGHT = {**PLAIN, "objective": {"distillation": {}}, "teacher": "g"}


def plan(studies, folder, **models):
  return Plan(
    {
      "title": "T",
      "dataset": {"name": "digits", "bounds": [-1.0, 1.0]},
      "seeds": [0],
      "models": {"m": PLAIN, "g": VAE_GAN, **models},
      "studies": studies,
    },
    folder=folder,
  )


@pytest.fixture(autouse=True)
def _untraced(monkeypatch):
  monkeypatch.setattr(Network, "check", lambda self: None)


def test_a_study_that_names_no_networks_is_handed_those_that_have_classes(tmp_path):
  found = plan({"accuracy": {"kind": "accuracy"}}, tmp_path)
  assert [*found.studies["accuracy"].networks] == ["m"]
  assert [stage.name for stage in found.trainings["g"]] == ["training g, seed 0"]


@pytest.mark.parametrize(
  ("studies", "models", "sentence"),
  [
    (
      {"accuracy": {"kind": "accuracy", "models": ["m", "g"]}}, {},
      "study 'accuracy': network 'g' of a study must have classes",
    ),
    ({}, {"t": TAUGHT}, "teacher of model 't' must have classes, 'g' has none"),
    (
      {}, {"p": {**PLAIN, "probe": {"source": "g"}}},
      "source of model 'p' must have classes, 'g' has none",
    ),
  ],
)  # fmt: skip
def test_whatever_else_asks_for_it_is_refused(studies, models, sentence, tmp_path):
  with pytest.raises(ValueError, match=sentence):
    plan(studies, tmp_path, **models)
