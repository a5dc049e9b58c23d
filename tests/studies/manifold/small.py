"""The settings of a small study."""

SETTINGS = {
  "kind": "manifold",
  "autoencoder": "g",
  "standards": ["s1", "s2", "s3"],
  "panels": {"l2": ["a1", "a2"], "linf": ["b1", "b2"]},
  "compared": {"l2": "linf"},
  "attack": {"name": "fgsm", "norm": "l2", "epsilon": 6.0, "label": "FGSM"},
  "components": 3,
  "examples": 40,
  "tangent_examples": 5,
}
