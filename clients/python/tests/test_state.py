"""The state tree: everything reads back, what has no form is refused by path."""

from __future__ import annotations

import collections
import json
import socket
import threading

import pytest
import torch
from states import draws, generators, plain_values, same

from keepstone import IntegrityError, Opaque, Refused
from keepstone import _state as state_tree


def no_tensor(leaf: dict, path: str) -> None:
    raise AssertionError(f"no tensor was expected at {path}")


def through_json(value: object) -> object:
    text = json.dumps(state_tree.encode(value, "state"), ensure_ascii=False, allow_nan=False)
    text.encode()  # no lone surrogate may be left
    return state_tree.decode(json.loads(text), "state", no_tensor)


@pytest.mark.parametrize("name", sorted(plain_values()))
def test_every_kind_of_value_reads_back_the_same(name: str) -> None:
    value = plain_values()[name]
    assert same(value, through_json(value))


def test_generators_go_on_where_they_were() -> None:
    before = generators(7)
    after = through_json(before)
    assert draws(before) == draws(after)


def test_the_examples_of_the_spec_are_what_is_written() -> None:
    def written(value: object) -> object:
        return json.loads(json.dumps(state_tree.encode(value, "state")))

    assert written(123456789012345678901234567890) == {"~": "int", "v": "123456789012345678901234567890"}
    assert written(state_tree.decode({"~": "float", "v": "nan:7ff8000000000001"}, "state", no_tensor)) == {
        "~": "float",
        "v": "nan:7ff8000000000001",
    }
    assert written(1 - 2j) == {"~": "complex", "v": [1.0, -2.0]}
    assert written(torch.bfloat16) == {"~": "dtype", "of": "torch", "v": "bfloat16"}
    assert written(collections.defaultdict(list)) == {"~": "ddict", "factory": "builtins.list", "v": []}
    assert all(next(iter(node)) == "~" for node in (written(1j), written((1,)), written({1: 2})))


def test_a_cycle_is_refused_by_path() -> None:
    inner: dict = {"x": 1}
    inner["again"] = [inner]
    with pytest.raises(Refused) as refused:
        state_tree.encode({"a": inner}, "state")
    assert 'state["a"]["again"][0]' in str(refused.value)


@pytest.mark.parametrize("value", [socket.socket, threading.Lock(), object(), lambda: 1, collections.deque([1])])
def test_what_has_no_form_is_refused_by_path(value: object) -> None:
    with pytest.raises(Refused) as refused:
        state_tree.encode({"extra": {"socket": value}}, "state")
    assert refused.value.on == 'state["extra"]["socket"]'


def test_deep_nesting_is_refused() -> None:
    value: list = []
    for _ in range(300):
        value = [value]
    with pytest.raises(Refused, match="levels"):
        state_tree.encode(value, "state")


def test_nothing_is_imported_on_a_checkpoints_word() -> None:
    import sys

    sys.modules.pop("antigravity", None)
    node = {"~": "enum", "type": "antigravity.Colour", "name": "RED"}
    assert isinstance(state_tree.decode(node, "state", no_tensor), Opaque)
    assert "antigravity" not in sys.modules
    node = {"~": "namedtuple", "type": "subprocess.Popen", "fields": ["args"], "v": ["id"]}
    assert isinstance(state_tree.decode(node, "state", no_tensor), Opaque)
    with pytest.raises(IntegrityError):
        state_tree.decode({"~": "ddict", "factory": "os.system", "v": []}, "state", no_tensor)


@pytest.mark.parametrize(
    "node", [{"~": "new"}, {"~": "int"}, {"~": "int", "v": "x"}, {"~": "bytes", "v": "§"}, {"~": "tuple", "v": 3}]
)
def test_a_malformed_node_is_refused_by_path(node: dict) -> None:
    with pytest.raises(IntegrityError) as broken:
        state_tree.decode({"a": [node]}, "state", no_tensor)
    assert broken.value.on == 'state["a"][0]'
