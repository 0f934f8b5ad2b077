"""What a model has learnt, read from models that River has taught."""

from river import compose, linear_model, preprocessing, tree

from learners.inspection import sizes_of, weights_of


def test_the_weights_of_a_pipeline_are_those_of_its_linear_model():
    model = preprocessing.StandardScaler() | linear_model.LinearRegression(intercept_init=0.5)
    for x in range(20):
        model.learn_one({"a": float(x), "b": 1.0}, 2.0 * x)

    last = model["LinearRegression"]

    expected = {name: last.weights[name] for name in ("a", "b")}
    assert weights_of(model) == {**expected, "(intercept)": last.intercept}
    assert sizes_of(model) == {}


def test_the_size_of_a_tree_within_a_pipeline():
    model = compose.Discard("b") | tree.HoeffdingTreeClassifier(grace_period=20, delta=0.1)
    for number in range(400):
        model.learn_one({"a": number % 2, "b": 1}, number % 2 == 0)

    grown = model["HoeffdingTreeClassifier"]

    assert grown.n_nodes > 1
    assert sizes_of(model)["HoeffdingTreeClassifier n_nodes"] == grown.n_nodes
    assert sizes_of(model)["HoeffdingTreeClassifier height"] == grown.height
    assert weights_of(model) == {}


def test_a_tree_that_has_seen_nothing_has_no_size_that_fails():
    assert all(size >= 0 for size in sizes_of(tree.HoeffdingTreeClassifier()).values())
