"""What a served model does not know is refused, through MLflow's own loading and checking."""

from __future__ import annotations

import mlflow
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.pyfunc.model import PythonModel
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType

from truelift.serving.pyfunc import PARAMETERS
from truelift.strict_requests import check_columns, check_parameters, refuse_unknown

COLUMNS = ("items", "times")


class Counting(PythonModel):
    """Gives back the parameters that reached it."""

    def load_context(self, context):
        refuse_unknown(COLUMNS, PARAMETERS)

    def predict(self, context, model_input: pd.DataFrame, params=None):
        return [(params or {}).get("count", 0)] * len(model_input)


class Lenient(Counting):
    """Somebody else's model in the same process."""

    def load_context(self, context):
        pass


def loaded(model, folder, *names: str, with_example: bool = False):
    signature = ModelSignature(
        inputs=Schema([ColSpec(AnyType(), "items"), ColSpec(AnyType(), "times", required=False)]),
        params=ParamSchema([ParamSpec(n, DataType.long, 1) for n in names]) if names else None,
    )
    example = (
        ({"items": [["a"]], "times": [[1]]}, dict.fromkeys(names, 1)) if with_example else None
    )
    mlflow.pyfunc.save_model(
        str(folder),
        python_model=model,
        signature=signature,
        pip_requirements=[],
        input_example=example,
    )
    return mlflow.pyfunc.load_model(str(folder))


ROWS = pd.DataFrame({"items": [["a"]]})


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return loaded(Counting(), tmp_path_factory.mktemp("m") / "model", *PARAMETERS)


def test_known_parameters_are_taken(model):
    assert model.predict(ROWS, params={"count": 7}) == [7]
    assert model.predict(ROWS) == [1]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"cout": 3}, r"found 'cout', expected 'count', 'seen_items'\. Did you mean 'count'"),
        ({"count": 3, "k": 5}, "found 'k', expected 'count'"),
        ({"Count": 3}, "Did you mean 'count'"),
        ({"seen-items": 1}, "Did you mean 'seen_items'"),
    ],
)
def test_an_unknown_parameter_is_refused_with_the_known_ones(model, params, message):
    with pytest.raises(MlflowException, match=message) as refused:
        model.predict(ROWS, params=params)
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_column_that_is_nearly_a_known_one_is_refused_and_others_pass(model):
    with pytest.raises(MlflowException, match="Did you mean 'times'"):
        model.predict(ROWS.assign(time=[[1]]))
    assert model.predict(ROWS.assign(user="u1")) == [1]


def test_models_of_others_in_the_same_process_are_left_alone(model, tmp_path):
    other = loaded(Lenient(), tmp_path / "other", "count")
    assert other.predict(ROWS, params={"cout": 3}) == [1]


class WithoutParameters(Counting):
    def load_context(self, context):
        refuse_unknown(COLUMNS, ())


def test_a_model_without_parameters_takes_none(tmp_path):
    bare = loaded(WithoutParameters(), tmp_path / "bare")
    assert bare.predict(ROWS) == [0]
    with pytest.raises(MlflowException, match="found 'count', expected none"):
        bare.predict(ROWS, params={"count": 3})


def test_loading_twice_wraps_once(model):
    before = mlflow.pyfunc._validate_prediction_input
    refuse_unknown(COLUMNS, PARAMETERS)
    assert mlflow.pyfunc._validate_prediction_input is before


def test_a_model_is_saved_with_its_example_where_another_was_loaded_before(model, tmp_path):
    again = loaded(Counting(), tmp_path / "again", *PARAMETERS, with_example=True)
    assert again.predict(ROWS, params={"count": 7}) == [7]


def test_nothing_given_is_nothing_unknown():
    check_parameters(None, PARAMETERS)
    check_parameters({}, PARAMETERS)
    check_columns([], ["items"])
