"""Whatever a bare term is given, it is refused in a sentence that names the argument."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import objectives
from robust_saliency.attacks import fgsm, pgd
from robust_saliency.objectives import arguments

NOT_TERMS = ("register", "term", "weighted_sum")
TERMS = {
  name: function
  for name in objectives.__all__
  if inspect.isfunction(function := getattr(objectives, name)) and name not in NOT_TERMS
}
WEIGHTS = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)), jnp.float32)


def network(x):
  return x.reshape(len(x), -1) @ WEIGHTS


GOOD = {
  "key": jax.random.key(0),
  "logits_fn": network,
  "x": jnp.full((2, 2, 2, 1), 0.5),
  "y": jnp.array([0, 2]),
  "targets": jnp.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]),
  "maps": jnp.ones((2, 2, 2, 1)),
  "class_maps": jnp.ones((2, 2, 2, 1, 3)),
  "class_images": jnp.ones((3, 2, 2, 1)),
  "attack": partial(fgsm, epsilon=0.1),
  "mask": jnp.ones(2),
  "temperature": 2.0,
  "clean_weight": 0.5,
  "attack_labels": "true",
  "scaling": "per_example",
  "constant_labels": False,
  "output": "logits",
  "absolute": False,
  "threshold": 1.0,
  "projections": 1,
}
# What one function takes in the place of that.
ITS_OWN = {"trades": {"attack": partial(pgd, epsilon=0.1, steps=1)}}
NUMBERS = [None, "abc", "1", True, -1, np.nan, np.inf, 10**400, [0.5, 0.5], jnp.ones(3), {}]
WORDS = [None, "abc", "", 3, True, ["true"], jnp.ones(2), {}]
NONSENSE = {
  "logits_fn": [
    None, "net", 5,
    lambda: WEIGHTS,
    lambda x, y: network(x),
    lambda x: network(x)[0],
    lambda x: network(x)[..., None],
    lambda x: network(x)[:1],
    lambda x: network(x)[:, :0],
    lambda x: (network(x), network(x)),
    lambda x: jnp.argsort(network(x)),
    lambda x: network(x) > 0,
    lambda x: None,
  ],
  "x": [None, 5, "abc", [[0.5]], {}, jnp.ones(2), jnp.float32(1), jnp.ones((2, 2, 2, 1), int),
        jnp.ones((2, 2, 2, 1), bool), jnp.full((2, 2, 2, 1), np.nan), jnp.full((2, 4), np.inf)],
  "y": [None, 0, "abc", [0, 2], jnp.array([-1, 0]), jnp.array([0, 3]), jnp.array([0.0, 1.0]),
        jnp.array([True, False]), jnp.array([0]), jnp.array([[0, 1]]), jnp.zeros((2, 3), int),
        jnp.zeros((2, 3)), jnp.array(0)],
  "targets": [None, 0.5, "abc", [[0.2, 0.3, 0.5]] * 2, jnp.array([0, 2]), jnp.ones((2, 3)),
              jnp.array([0.2, 0.3, 0.5]), jnp.array([[0.2, 0.3, 0.5]]), jnp.ones((2, 4)) / 4,
              jnp.ones((2, 3, 1)), jnp.array([[1, 0, 0]] * 2), jnp.full((2, 3), np.nan),
              jnp.array([[1.5, -0.5, 0.0]] * 2), jnp.array([[np.inf, 0.0, 0.0]] * 2),
              jnp.zeros((2, 3)), jnp.ones((2, 2, 2, 1)) / 3],
  "maps": [None, 0.5, "abc", [[0.2]], jnp.ones((2, 2, 2)), jnp.ones((2, 2, 2, 3)),
           jnp.ones((2, 2, 2, 1), int), jnp.ones((2, 2, 2, 1), bool),
           jnp.full((2, 2, 2, 1), np.nan)],
  "class_maps": [None, 0.5, "abc", jnp.ones((2, 2, 2, 1)), jnp.ones((2, 2, 2, 1, 4)),
                 jnp.ones((2, 2, 2, 1, 3), int), jnp.full((2, 2, 2, 1, 3), np.inf)],
  "class_images": [0.5, "abc", [[0.2]], jnp.ones((2, 2, 2, 1)), jnp.ones((3, 2, 2)),
                   jnp.ones((3, 2, 2, 1), int), jnp.full((3, 2, 2, 1), np.nan)],
  "attack": [None, "pgd", {"name": "pgd"}, 5, lambda key, f, x, y: x[:1],
             lambda key, f, x, y: None],
  "mask": [1.0, "abc", [1.0, 1.0], jnp.ones(3), jnp.ones((2, 1)), jnp.array([True, False]),
           jnp.array([1, 0]), jnp.array([-1.0, 1.0]), jnp.array([np.nan, 1.0])],
  "temperature": [*NUMBERS, 0, -0.5],
  "clean_weight": [*NUMBERS, 1.5, -0.5],
  "attack_labels": WORDS,
  "scaling": WORDS,
  "constant_labels": [None, "False", "", 2, 0.5, [], [True]],
  "output": WORDS,
  "absolute": [None, "False", "", 2, 0.5, [], [True]],
  "threshold": [number for number in NUMBERS if number is not None],
  "projections": [*NUMBERS, 0, 1.5],
}  # fmt: skip


def call(name, **changes):
  parameters = inspect.signature(TERMS[name]).parameters
  good = GOOD | ITS_OWN.get(name, {})
  given = {argument: good[argument] for argument in parameters} | changes
  positional = [given.pop(one) for one, p in parameters.items() if p.kind is not p.KEYWORD_ONLY]
  return TERMS[name](*positional, **given)


CASES = [
  (name, argument)
  for name, function in TERMS.items()
  for argument in inspect.signature(function).parameters
  if argument != "key"  # the attack's, or of `core.example_keys`
]


@pytest.mark.parametrize(("name", "argument"), CASES, ids=[f"{n}-{a}" for n, a in CASES])
def test_nonsense_is_refused_in_a_short_sentence_that_names_the_argument(name, argument):
  for value in NONSENSE[argument]:
    with pytest.raises((ValueError, TypeError)) as refused:
      call(name, **{argument: value})
    sentence = str(refused.value)
    assert argument in sentence, (value, sentence)
    assert len(sentence) < 300


@pytest.mark.parametrize("name", TERMS)
def test_shapes_and_dtypes_are_checked_where_values_are_traced(name):
  wrong = {
    "x": jnp.ones((2, 4), int),
    "y": jnp.zeros((2, 3), int),
    "targets": jnp.ones((1, 3)),
    "maps": jnp.ones((2, 3, 2, 1)),
    "class_maps": jnp.ones((2, 2, 2, 1)),
    "class_images": jnp.ones((1, 2, 2, 1)),
  }
  arrays = [one for one in wrong if one in inspect.signature(TERMS[name]).parameters]

  def traced(**given):
    result = call(name, **given)
    return result.logits if name == "forward_pass" else result

  jax.eval_shape(traced, **{one: GOOD[one] for one in arrays})
  for one in arrays:
    with pytest.raises((ValueError, TypeError), match=one):
      jax.eval_shape(traced, **{other: GOOD[other] for other in arrays} | {one: wrong[one]})


@pytest.mark.parametrize("name", TERMS)
def test_checks_leave_no_trace_in_the_compiled_program(name):
  arrays = ("x", "y", "targets", "maps", "class_maps", "class_images")
  given = {one: GOOD[one] for one in arrays if one in inspect.signature(TERMS[name]).parameters}

  def program():
    def values(**arrays):
      result = call(name, **arrays)
      return result.logits if name == "forward_pass" else result

    return str(jax.make_jaxpr(lambda: values(**given))()), str(jax.make_jaxpr(values)(**given))

  with_checks = program()
  with pytest.MonkeyPatch.context() as patch:
    for module in (arguments, arguments.checks):
      for check in ("probabilities", "attacked_images", "check_mask", "images",
                    "labels", "scalar", "positive", "fraction", "non_negative", "finite",
                    "maps", "class_images"):  # fmt: skip
        if hasattr(module, check):
          patch.setattr(module, check, lambda *args, **kwargs: None)
    patch.setattr(arguments, "checked", lambda logits_fn, x: logits_fn)
    assert program() == with_checks


def test_probabilities_of_half_precision_and_of_rounded_files_are_probabilities():
  random = np.random.default_rng(0)
  shares = random.dirichlet(np.ones(1000), 4)
  for dtype in (jnp.float32, jnp.bfloat16, jnp.float16):
    arguments.probabilities(jnp.asarray(shares, dtype), jnp.zeros((4, 1000)))
  arguments.probabilities(jnp.full((1, 3), 0.333), jnp.zeros((1, 3)))
  arguments.probabilities(jnp.ones((0, 3)), jnp.zeros((0, 3)))


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({"weight": [1.0, 2.0]}, "objective term 'cross_entropy': weight must be one number"),
    ({"weight": np.nan}, "objective term 'cross_entropy': weight must be >= 0, got nan"),
    ({"weight": "1"}, "objective term 'cross_entropy': weight must be a number >= 0, got '1'"),
  ],
)
def test_a_weight_that_is_none_is_refused_with_its_term(settings, sentence):
  with pytest.raises((ValueError, TypeError), match=sentence):
    objectives.weighted_sum({"cross_entropy": settings})


@pytest.mark.parametrize("bounds", [None, 1.0, (1, 0), (0, np.nan), (0,), "ab"])
def test_bounds_that_are_none_are_refused_by_an_objective(bounds):
  with pytest.raises((ValueError, TypeError), match="bounds must be"):
    objectives.weighted_sum({"cross_entropy": {}}, bounds=bounds)


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    ({"name": 5}, "the name of a term must be text"),
    ({"name": "loss"}, "name of a term must be a new one"),
    ({"function": "f"}, "function must be a function, got 'f'"),
    ({"title": ""}, "title must be text"),
    ({"needs": ["labels"]}, "needs must be a mapping"),
    ({"needs": {"a": "lables"}}, "needs of term 'mine' must be one of labels, map"),
    ({"passes": "clean"}, "passes of term 'mine' must be a list of clean, attacked"),
    ({"passes": ("clen",)}, "passes of term 'mine' must be one of .* mean 'clean'"),
  ],
)
def test_a_declaration_that_is_none_is_refused(change, sentence):
  declaration = {"name": "mine", "function": lambda passes: passes, "title": "Mine", **change}
  with pytest.raises((ValueError, TypeError), match=sentence):
    objectives.register(declaration.pop("name"), declaration.pop("function"), **declaration)
  assert "mine" not in objectives.TERMS
