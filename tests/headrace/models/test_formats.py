from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import skops.io
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from headrace.errors import CorruptArtifact
from headrace.models.formats import FORMATS

X = np.array([[0.0], [1.0], [2.0], [3.0]])
Y = np.array([0.0, 0.0, 1.0, 1.0])
TOLD = {"task": "binary", "classes": 2, "present": [0, 1]}


def test_two_fits_of_the_same_data_have_the_same_skops_bytes():
    first, second = (
        FORMATS["skops"].dump({"model": DecisionTreeClassifier(random_state=c).fit(X, Y)})
        for c in (7, int("7"))
    )
    assert first == second


def test_a_skops_file_comes_back_exactly():
    fitted = DecisionTreeClassifier().fit(X, Y)
    again = FORMATS["skops"].load(FORMATS["skops"].dump({**TOLD, "model": fitted}))["model"]
    assert again.predict_proba(X).tobytes() == fitted.predict_proba(X).tobytes()


def test_a_type_outside_the_list_is_refused_before_it_is_loaded():
    foreign = skops.io.dumps(KNeighborsClassifier(1).fit(X, Y))
    with pytest.raises(CorruptArtifact, match="KNeighborsClassifier, which is not on the list"):
        FORMATS["skops"].load(foreign)


def test_a_function_in_a_skops_file_is_refused():
    with pytest.raises(CorruptArtifact, match="not on the list of trusted types"):
        FORMATS["skops"].load(skops.io.dumps({"f": np.sum}))


def test_a_skops_file_names_no_class_of_ours_and_no_time():
    data = FORMATS["skops"].dump({"model": DecisionTreeClassifier().fit(X, Y)})
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert b"headrace" not in file.read("schema.json")
        assert {member.date_time[0] for member in file.infolist()} == {1980}


def test_json_refuses_a_number_that_json_does_not_know():
    with pytest.raises(ValueError, match="not JSON compliant"):
        FORMATS["json"].dump({"prior": float("nan")})
