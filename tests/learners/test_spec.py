"""A model in the configuration is parsed, refused with the nearest name, built and seeded."""

from __future__ import annotations

import hashlib
import importlib
import sys
import textwrap

import pytest
from pydantic import BaseModel, ValidationError
from river import compose, forest, linear_model, optim, preprocessing, utils

from learners.errors import ModelSpecError, TaskError
from learners.settings import ModelSettings, SeedSettings, TaskSettings
from learners.spec import build_model, parse_model
from learners.tasks import parse_task

LOGISTIC = "linear_model.LogisticRegression"
SCALER = "preprocessing.StandardScaler"


def build(obj, task="binary", seed=42):
    return build_model(parse_model(obj), parse_task(task), seed)


def refusal(obj, task="binary"):
    with pytest.raises(ModelSpecError) as caught:
        build(obj, task)
    assert "\n" not in str(caught.value)
    return str(caught.value), caught.value.hint


# --- the grammar ---


def test_a_list_is_a_pipeline_and_a_mapping_carries_parameters():
    model = build([SCALER, {LOGISTIC: {"l2": 0.25, "optimizer": {"optim.Adam": {"lr": 0.5}}}}])
    assert isinstance(model, compose.Pipeline)
    assert list(model.steps) == ["StandardScaler", "LogisticRegression"]
    last = model["LogisticRegression"]
    assert last.l2 == 0.25
    assert isinstance(last.optimizer, optim.Adam)
    assert last.optimizer.learning_rate == 0.5


def test_a_union_joins_branches_of_several_steps():
    model = build(
        [{"union": [[{"compose.SelectType": ["str"]}, "preprocessing.OneHotEncoder"],
                    [{"compose.Select": ["wind"]}, SCALER],
                    {"compose.SelectType": ["number", "bool"]}]},
         LOGISTIC]
    )  # fmt: skip
    union = model["TransformerUnion"]
    assert isinstance(union, compose.TransformerUnion)
    assert union.transform_one({"wind": 3.0, "carrier": "AA"}) == {"carrier_AA": 1, "wind": 0.0}


def test_a_wrapped_model_may_be_a_name_a_mapping_or_a_pipeline():
    wrapped: object
    spec: dict[str, object]
    for wrapped in (LOGISTIC, {LOGISTIC: None}, {LOGISTIC: {}}):
        spec = {"imblearn.RandomUnderSampler": {"classifier": wrapped,
                                                "desired_dist": {0: 0.5, 1: 0.5}}}  # fmt: skip
        model = build(spec)
        assert isinstance(model.classifier, linear_model.LogisticRegression)
        assert model.desired_dist == {False: 0.5, True: 0.5}
    for pipeline in ([SCALER, LOGISTIC], {"pipeline": [SCALER, LOGISTIC]}):
        model = build({"ensemble.BaggingClassifier": {"model": pipeline, "n_models": 2}})
        assert all(isinstance(each, compose.Pipeline) for each in model.models)


def test_a_list_where_several_models_are_wanted_stays_a_list():
    model = build({"ensemble.VotingClassifier": {"models": [LOGISTIC, [SCALER, LOGISTIC]]}})
    assert [type(each) for each in model.models] == [
        linear_model.LogisticRegression,
        compose.Pipeline,
    ]


def test_text_that_means_text_is_no_class():
    model = build({"tree.HoeffdingTreeClassifier": {"split_criterion": "gini"}})
    assert model.split_criterion == "gini"
    spec = [{"compose.Discard": ["stats.Mean"]},
            {"feature_extraction.TargetAgg": {"by": "stats.Mean", "how": "stats.Mean"}},
            LOGISTIC]  # fmt: skip
    model = build(spec)
    assert model["Discard"].keys == {"stats.Mean"}
    assert model["TargetAgg"].by == ["stats.Mean"]
    assert type(model["TargetAgg"].how).__name__ == "Mean"


def test_an_aggregate_may_roll_over_events():
    how = {"utils.Rolling": {"cls": "stats.Mean", "window_size": 5}}
    model = build([{"feature_extraction.TargetAgg": {"by": "a", "how": how}}, LOGISTIC])
    assert isinstance(model["TargetAgg"].how, utils.Rolling)


def test_exponents_that_yaml_takes_for_text_are_numbers():
    assert build({LOGISTIC: {"l2": "1e-4"}}).l2 == 0.0001


def test_a_leading_river_is_allowed_and_dropped():
    assert parse_model(f"river.{LOGISTIC}") == parse_model({LOGISTIC: {}}) == parse_model(LOGISTIC)


def test_the_order_of_parameters_does_not_matter():
    one = parse_model({"forest.ARFClassifier": {"n_models": 3, "delta": 0.1}})
    other = parse_model({"forest.ARFClassifier": {"delta": 0.1, "n_models": 3}})
    assert one == other
    assert str(one.to_json()) == str(other.to_json())
    assert one != parse_model({"forest.ARFClassifier": {"n_models": 4, "delta": 0.1}})


def test_a_spec_reads_as_its_classes():
    spec = parse_model([{"union": ["compose.Select", SCALER]}, LOGISTIC])
    assert str(spec) == "(Select + StandardScaler) | LogisticRegression"


# --- refusals, each with the way on ---


@pytest.mark.parametrize(
    ("obj", "message", "hint"),
    [
        ("linear_model.LogisticRegresion", "River has no class", f"did you mean {LOGISTIC}?"),
        ("LogisticRegression", "River has no class", f"did you mean {LOGISTIC}?"),
        ("tree.ARFClassifier", "River has no class", "did you mean forest.ARFClassifier?"),
        ("linear_model.base.GLM", "River has no class", None),
        ("os.Path", "River has no class", None),
        ("datasets.Phishing", "River has no class", None),
        ({LOGISTIC: {"l3": 1}}, "has no parameter 'l3'", "did you mean l2?"),
        ({LOGISTIC: {"l2": "much"}}, "l2 of linear_model.LogisticRegression must be a number", ""),
        ({LOGISTIC: {"l2": True}}, "must be a number", ""),
        ({LOGISTIC: {"l2": float("inf")}}, "finite", ""),
        ({LOGISTIC: {"optimizer": "SGD"}}, "must be a River object", "name a class"),
        ({LOGISTIC: {"optimizer": "optim.SDG"}}, "River has no class", "did you mean optim.SGD?"),
        ({LOGISTIC: 0.5}, "are a mapping of names", ""),
        ({"compose.Select": "wind"}, "are a mapping of names", "compose.Select: [wind]"),
        ({"compose.SelectType": ["text"]}, "knows the types str, number", ""),
        ({"tree.HoeffdingTreeClassifier": {"split_criterion": "ginni"}}, "must be one of gini",
         "did you mean gini?"),
        ({"forest.ARFClassifier": {"leaf_prediction": "x"}}, "must be one of mc, nb, nba", ""),
        ({"imblearn.RandomUnderSampler": {"classifier": LOGISTIC}}, "value for desired_dist",
         "imblearn.RandomUnderSampler: {desired_dist: ...}"),
        ({"forest.ARFRegressor": {"aggregation_method": "x"}}, "refused its parameters: Val", ""),
        ({"ensemble.BaggingClassifier": {"model": "linear_model.LinearRegression"}},
         "model of ensemble.BaggingClassifier must be a classifier", ""),
        ("stats.KolmogorovSmirnov", "process-wide random state", ""),
        ("utils.TimeRolling", "needs the time", "utils.Rolling"),
        ("compose.FuncTransformer", "Python function", "factory"),
        ([], "one or more steps", ""),
        (None, "a step is a class path", ""),
        ({LOGISTIC: None, "l2": 0.1}, "a step is a class path", "one level deeper"),
        ({"union": [LOGISTIC]}, "transformers", ""),
        ([LOGISTIC, LOGISTIC], "only the last step", "ensemble"),
        ([{"feature_selection.SelectKBest": {"similarity": "stats.PearsonCorr"}}, LOGISTIC],
         "does not apply feature_selection.SelectKBest", ""),
        ([SCALER], "gives features, not predictions", "end the pipeline with a model"),
    ],
)  # fmt: skip
def test_an_impossible_model_is_refused_with_the_way_on(obj, message, hint):
    text, found = refusal(obj)
    assert message in text
    if hint:
        assert found is not None
        assert hint in found


@pytest.mark.parametrize(
    ("obj", "task", "message", "hint"),
    [
        ("tree.HoeffdingTreeRegressor", "binary", "needs a classifier",
         "use tree.HoeffdingTreeClassifier"),
        (LOGISTIC, "regression", "needs a regressor", "use linear_model.LinearRegression"),
        ([SCALER, LOGISTIC], "multiclass", "only two classes", "multiclass.OneVsRestClassifier"),
        ({"ensemble.BaggingClassifier": {"model": LOGISTIC}}, "multiclass", "only two classes", ""),
        ("anomaly.HalfSpaceTrees", "binary", "needs a classifier", "use task: anomaly"),
        (LOGISTIC, "anomaly", "needs an anomaly detector", "anomaly.HalfSpaceTrees"),
        ("anomaly.GaussianScorer", "anomaly", "scores an event by its label", ""),
        ([{"feature_extraction.TargetAgg": {"by": "a", "how": "stats.Mean"}},
          "anomaly.HalfSpaceTrees"], "anomaly", "learns from labels", ""),
        ({"time_series.SNARIMAX": {"p": 1, "d": 0, "q": 0}}, "regression",
         "forecasting is not built yet", ""),
        ("cluster.KMeans", "multiclass", "clustering is not built yet", ""),
        ("reco.Baseline", "regression", "user and item", ""),
        ({"multioutput.ClassifierChain": {"model": LOGISTIC}}, "binary", "several labels", ""),
        ("optim.SGD", "binary", "needs a classifier", ""),
    ],
)  # fmt: skip
def test_a_model_that_cannot_do_the_task_says_so(obj, task, message, hint):
    text, found = refusal(obj, task)
    assert message in text
    assert task in text
    if hint:
        assert found is not None
        assert hint in found


def test_a_list_nested_in_itself_is_refused():
    knot: list[object] = [SCALER]
    knot.append(knot)
    assert "nested deeper" in refusal(knot)[0]
    assert refusal({"ensemble.BaggingClassifier": {"model": knot}})


# --- seeds ---


def test_open_seeds_become_the_services_at_every_depth():
    model = build(
        [{"feature_extraction.RBFSampler": {"n_components": 3}},
         {"ensemble.BaggingClassifier": {"model": {"forest.ARFClassifier": {"n_models": 2}}}}],
        seed=11,
    )  # fmt: skip
    assert model["RBFSampler"].seed == 11
    assert model["BaggingClassifier"].seed == 11
    assert all(each.seed == 11 for each in model["BaggingClassifier"].models)


def test_a_seed_that_is_given_stays_and_null_is_open():
    assert build({"forest.ARFClassifier": {"seed": 3}}).seed == 3
    assert build({"forest.ARFClassifier": {"seed": 0}}).seed == 0
    assert build({"forest.ARFClassifier": {"seed": None}}).seed == 42
    assert isinstance(build("forest.ARFClassifier"), forest.ARFClassifier)


def test_generators_that_river_makes_for_itself_are_seeded():
    one, other = build("neighbors.KNNClassifier", seed=5), build("neighbors.KNNClassifier", seed=5)
    assert one._nn.seed == 5
    assert one._nn._rng.random() == other._nn._rng.random()


# --- factories ---


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes a module of the user's and forgets it afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    written = []

    def write(source, name="my_models"):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        written.append(name)
        return hashlib.sha256((tmp_path / f"{name}.py").read_bytes()).hexdigest()

    yield write
    for name in written:
        sys.modules.pop(name, None)


FACTORY = """
    from river import forest, preprocessing

    def build(n_models, seed):
        return preprocessing.StandardScaler() | forest.ARFClassifier(n_models=n_models, seed=seed)

    def unseeded():
        return forest.ARFClassifier(n_models=2)

    def broken():
        raise ValueError("no such luck")

    def lambdas():
        return (lambda x: x) | forest.ARFClassifier(n_models=2, seed=1)

    def number():
        return 3
"""


def test_a_factory_is_called_with_its_parameters_and_the_seed(package):
    sha256 = package(FACTORY)
    spec = parse_model({"factory": "my_models:build", "n_models": 2})
    assert spec.to_json() == {"factory": "my_models:build", "sha256": sha256, "n_models": 2}
    assert parse_model(spec.to_json()) == spec
    model = build_model(spec, parse_task("binary"), 9)
    assert isinstance(model["StandardScaler"], preprocessing.StandardScaler)
    assert model["ARFClassifier"].seed == 9


def test_a_changed_factory_shows_and_its_old_record_is_refused(package):
    package(FACTORY)
    recorded = parse_model({"factory": "my_models:build", "n_models": 2})
    package(FACTORY + "\n    # changed\n")
    assert parse_model({"factory": "my_models:build", "n_models": 2}) != recorded
    text, hint = refusal(recorded)
    assert "was recorded with SHA-256" in text
    assert hint is not None
    build({"factory": "my_models:build", "n_models": 2})


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        ({"factory": "my_models:unseeded"}, "left the seed of forest.ARFClassifier open"),
        ({"factory": "my_models:broken"}, "raised ValueError: no such luck"),
        ({"factory": "my_models:lambdas"}, "cannot be pickled"),
        ({"factory": "my_models:number"}, "must return a River estimator, not int"),
        ({"factory": "my_models:nothing"}, "has no function nothing"),
        ({"factory": "my_models:build"}, "raised TypeError"),
        ({"factory": "no_such_module:build"}, "cannot be found"),
        ({"factory": "no.such.module:build"}, "cannot be found"),
        ({"factory": "my_models"}, "package.module:function"),
        ({"factory": 3}, "package.module:function"),
        ({"factory": "sys:exit"}, "cannot be found as a file"),
    ],
)
def test_a_factory_that_cannot_serve_says_why(package, obj, message):
    package(FACTORY)
    assert message in refusal(obj)[0]


def test_a_factorys_model_must_do_the_task(package):
    package(FACTORY)
    text, _ = refusal({"factory": "my_models:build", "n_models": 2}, task="regression")
    assert "the task regression needs a regressor" in text


# --- in the configuration ---


class Configuration(BaseModel):
    task: TaskSettings
    model: ModelSettings
    seed: SeedSettings = 42


def configuration(task, model, seed=42):
    return Configuration.model_validate({"task": task, "model": model, "seed": seed})


def test_the_configuration_dumps_canonical_json_that_reads_back_equal():
    sampler = {"classifier": LOGISTIC, "desired_dist": {0: 0.5, 1: 0.5}}
    given = configuration(
        {"binary": {"positive": "UP"}}, [{"imblearn.RandomUnderSampler": sampler}]
    )
    assert Configuration.model_validate_json(given.model_dump_json()) == given
    assert given.model_dump() == given.model_dump(mode="json")


def test_refusals_pass_through_pydantic_with_their_hint():
    with pytest.raises(ModelSpecError, match="River has no class"):
        configuration("binary", "linear_model.Logistic")
    with pytest.raises(TaskError, match="not built yet"):
        configuration("clustering", LOGISTIC)
    for seed in (-1, 2**32, "x"):
        with pytest.raises(ValidationError):
            configuration("binary", LOGISTIC, seed)
