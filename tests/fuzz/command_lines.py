"""Command lines that nobody can mean, by hand: for each command a good line, and what spoils it."""

# Kind of a flag -> texts that it cannot have. "{folder}" is a folder of the test's.
TEXTS: dict[str, tuple[str, ...]] = {
  "config": ("", "missing.py", "{folder}", "/dev/null", "{folder}/empty.py", "{folder}/fails.py",
             "{folder}/nothing.py", "{folder}/binary.py", "{folder}/good.py:nope",
             "{folder}/good.py:0", "{folder}/raises.py"),
  "import": ("", "missing.py", "{folder}", "{folder}/fails.py", "{folder}/binary.py",
             "{folder}/text.txt"),
  "new workdir": ("", "/proc/nothing", "{folder}/text.txt", "{folder}/text.txt/below",
                  "/dev/null"),
  "workdir": ("", "missing", "/proc/nothing", "{folder}/text.txt", "{folder}/spoilt",
              "{folder}/empty", "/dev/null"),
  "count": ("", "abc", "0", "-1", "2.5", "1e30", "nan", "9" * 400, "[3]", "None", "0x", "1,2"),
  "flag": ("", "maybe", "2", "None", "[]"),
  "radius": ("", "abc", "-0.1", "nan", "inf", "-inf", "1e400", "[0.1]", "0,1", "None"),
  "norm": ("", "l3", "5", "LINF", "none", "l2,linf"),
  "models": ("nope", "net,nope", ",", "0", "net ,", "Net"),
  "methods": ("", "nope", "gradient,nope", ",", "gradient:steps=3", "GRADIENT", "[]"),
  "attacks": ("", ",", "nope", "fgsm,nope", ":", "fgsm:", "fgsm:loss", "fgsm:=3", "fgsm:nope=3",
              "fgsm:loss=nope", "fgsm:norm=l3", "fgsm:targeted=maybe", "fgsm:epsilon=-1",
              "fgsm:epsilon=abc", "fgsm:epsilon=None", "fgsm:name=pgd", "pgd:steps=0",
              "pgd:steps=-3", "pgd:steps=2.5", "pgd:steps=abc", "pgd:steps=None", "pgd:steps=[3]",
              "pgd:steps=2:steps=3", "pgd:steps=" + "-" * 3000 + "1", "pgd:steps=" + "9" * 5000,
              "pgd:keep=worst", "pgd:step_size=nan", "pgd:restarts=0", "pgd:unroll=yes",
              "pgd:bounds=(1,0)", "pgd:bounds=3", "pgd:random_start=2", "pgd:loss=5",
              "pgd:optimizer=adam", "square:queries=0", "square:p_init=2", "jsma:gamma=-1",
              "jsma:theta=abc", "autoattack:nope=3", "autoattack:steps=0", "autoattack:targets=-1",
              "autoattack:queries=abc", "autoattack:version=rand", "autoattack_nope",
              "fgsm:bounds={{}}", "fgsm:key=3", "fgsm:logits_fn=3", "pgd:steps=__import__('os')"),
  "title": ("", "5", "None", "[1]", " "),
  "seeds": ("", "5", "abc", "(0,0)", "(-1,)", "(1.5,)", "()", "(True,)", "[[0]]", "(0,"),
  "dataset": ("", "nope", "5", "None", "DIGITS"),
  "learning rate": ("", "abc", "0", "-1", "nan", "inf", "1e400", "None"),
  "epsilons": ("", "0.1", "abc", "(-0.1,)", "(0.1,0.1)", "()", "(nan,)", "('a',)"),
  "kind": ("", "nope", "5", "None"),
}  # fmt: skip

# Command -> its good line; flag -> the kind of its texts.
GOOD = {
  "main": ["--config={folder}/good.py", "--workdir={folder}/new"],
  "evaluate": ["--workdir={folder}/finished", "--attacks=fgsm", "--epsilon=0.1", "--examples=2",
               "--out={folder}/out"],
  "explain": ["--workdir={folder}/finished", "--methods=gradient", "--examples=2",
              "--out={folder}/out"],
  "data": [],
}  # fmt: skip
FLAGS = {
  "main": {
    "config": "config",
    "workdir": "new workdir",
    "import": "import",
    "together": "flag",
    "rerun_changed": "flag",
    "debug": "flag",
    "config.title": "title",
    "config.seeds": "seeds",
    "config.dataset.name": "dataset",
    "config.models.net.batch_size": "count",
    "config.models.net.steps": "count",
    "config.models.net.optimizer.learning_rate": "learning rate",
    "config.studies.robustness.epsilons": "epsilons",
    "config.studies.robustness.examples": "count",
    "config.studies.robustness.kind": "kind",
  },
  "evaluate": {
    "workdir": "workdir",
    "attacks": "attacks",
    "epsilon": "radius",
    "norm": "norm",
    "examples": "count",
    "batch_size": "count",
    "models": "models",
    "import": "import",
  },
  "explain": {
    "workdir": "workdir",
    "methods": "methods",
    "examples": "count",
    "models": "models",
    "import": "import",
  },
}
# Where a text means what the field is by default, or what only a person could doubt.
NO_NONSENSE = {
  ("config.title", "5"),  # becomes the text "5"
  ("config.title", "None"),
  ("config.title", "[1]"),
  ("config.dataset.name", "None"),
  ("config.seeds", "5"),  # ml-collections makes them tuples
  ("config.studies.robustness.epsilons", "0.1"),
}

# Command -> other lines, without the good one, and what the sentence must have.
OTHER: dict[str, tuple[tuple[list[str], str], ...]] = {
  "main": (
    ([], "--config"),
    (["--config={folder}/good.py"], "--workdir"),
    (["--workdir={folder}/new"], "--config"),
    (["--config={folder}/good.py", "--workdir={folder}/new", "extra"], "extra"),
    (["--config={folder}/good.py", "--workdir={folder}/new", "--nope"], "nope"),
    (["--config={folder}/good.py", "--workdir={folder}/new", "--wrkdir=x"], "wrkdir"),
    (["--config={folder}/good.py", "--workdir={folder}/new", "--config.nope=1"], "nope"),
    (["--config={folder}/good.py", "--workdir={folder}/new", "--config.=1"], "config"),
    (["--config={folder}/good.py", "--workdir={folder}/new", "--config.title.x=1"], "title"),
    (["--config={folder}/good.py", "--workdir={folder}/new", "--config.models.nat.steps=1"],
     "nat"),
    (["--config={folder}/good.py", "--workdir={folder}/new", "--config.models.net.stps=1"],
     "stps"),
    (["--config={folder}/good.py", "--workdir={folder}/new", "--config.seeds[9]=1"], "seeds"),
    (["--config={folder}/good.py", "--workdir={folder}/new", "--config.seeds[x]=1"], "seeds"),
    (["--config={folder}/good.py", "--workdir={folder}/new", "--config.seeds[=1"], "seeds"),
    (["--config={folder}/good.py", "--workdir={folder}/new", "--config.seeds[0]=-1"], "seeds"),
    (["--config={folder}/good.py", "--workdir={folder}/new", "--config.seeds[0]=1.5"], "seeds"),
    (["--config", "{folder}/good.py", "--config.nope=1", "--workdir={folder}/new"], "nope"),
    (["-config={folder}/good.py", "-config.nope=1", "-workdir={folder}/new"], "nope"),
    (["-config", "{folder}/good.py", "--config.nope=1", "-workdir", "{folder}/new"], "nope"),
    (["--config"], "config"),
    (["--config={folder}/good.py", "--config={folder}/good.py", "--workdir={folder}/new"],
     "config"),
    (["--workdir"], "workdir"),
    (["--config={folder}/good.py", "--workdir={folder}/new", "--config.models=5"], "models"),
    (["--config={folder}/good.py", "--workdir={folder}/new", "--config.models.net=5"], "net"),
    (["--config={folder}/good.py", "--workdir={folder}/new", "--config.models.net.objective=a"],
     "objective"),
    (["=", "--config={folder}/good.py", "--workdir={folder}/new"], "="),
    (["--", "--config={folder}/good.py"], "--config"),
    (["--flagfile=missing", "--config={folder}/good.py", "--workdir={folder}/new"], "missing"),
  ),
  "evaluate": (
    ([], "--workdir"),
    (["--workdir={folder}/finished"], "--epsilon"),
    (["--workdir={folder}/finished", "--epsilon=0.1", "extra"], "extra"),
    (["--workdir={folder}/finished", "--epsilon=0.1", "--stps=3"], "stps"),
    (["--workdir={folder}/finished", "--epsilon"], "epsilon"),
  ),
  "explain": (
    ([], "--workdir"),
    (["--workdir={folder}/finished", "extra"], "extra"),
    (["--workdir={folder}/finished", "--method=gradient"], "method"),
    (["--workdir={folder}/finished", "--methods"], "methods"),
    (["--workdir={folder}/finished", "--examples=100000"], "examples"),
  ),
  "data": (
    (["nope"], "nope"),
    (["prepare"], "name"),
    (["prepare", "nope"], "nope"),
    (["prepare", ""], "name"),
    (["prepare", "digits", "mnist"], "mnist"),
    (["prepare", "notmnist"], "notmnist"),
    (["prepare", "mnits"], "mnits"),
    (["list", "extra"], "extra"),
    (["--nope"], "nope"),
    (["--data_dir"], "data_dir"),
    (["list", "--data_dir"], "data_dir"),
    (["", ""], "prepare"),
    (["--data_dir=x", "nope"], "nope"),
    (["prepare", "../../etc"], "etc"),
  ),
}  # fmt: skip

# What lies in the test's folder.
FILES: dict[str, bytes] = {
  "good.py": b"""from robust_saliency import configs
def get_config(words=""):
  words = configs.variant(words, scale=("small", "large"), steps=int)
  net = {"architecture": {"name": "mlp", "hidden": ()}, "objective": {"cross_entropy": {}},
         "optimizer": {"name": "sgd", "learning_rate": 0.1}, "batch_size": 50, "steps": 1}
  robustness = {"kind": "robustness", "attacks": {"fgsm": {"name": "fgsm"}}, "epsilons": (0.1,),
                "examples": 5}
  return configs.ordered({"title": "T", "dataset": {"name": "digits"}, "seeds": (0,),
                          "models": {"net": net}, "studies": {"robustness": robustness}})
""",
  "empty.py": b"",
  "fails.py": b"1 / 0",
  "nothing.py": b"def get_config():\n  return None\n",
  "raises.py": b"def get_config():\n  raise KeyError('models')\n",
  "binary.py": bytes(range(256)),
  "text.txt": b"text",
  "spoilt/config.json": b"{",
  "empty/nothing": b"",
}
