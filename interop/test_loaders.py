"""Eight loader configurations saved in mid-epoch: seven go on bit by bit, the eighth is warned of."""

from __future__ import annotations

import pathlib
import random
from typing import Any

import numpy as np
import pytest
import torch
from keepstone import Checkpointer
from real_agent import Agent
from test_loader import CONFIGURATIONS, loader_of, run


def seeded(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


@pytest.mark.parametrize("moment", [3, 7])
def test_data_after_a_restore_is_that_of_the_uninterrupted_run(agent: Agent, store: pathlib.Path, moment: int) -> None:
    warned = {}
    for index, (name, options) in enumerate(CONFIGURATIONS.items()):
        seeded(1)
        loader, expected = loader_of(**options), []
        with Checkpointer(store, f"run{index}") as ckpt:
            run(loader, 12, expected, lambda count: ckpt.save(count, {"loader": loader}) if count == moment else None)  # noqa: B023
        seeded(2)
        again, seen = loader_of(**options), []
        with Checkpointer(store, f"run{index}") as ckpt:
            at = ckpt.restore({"loader": again})
        assert at is not None and at.step == moment
        warned[name] = bool(at.warnings)
        run(again, 12 - moment, seen)
        identical: Any = seen == expected[moment:]
        assert identical or (name == "augmented, persistent workers" and warned[name]), name
    persistent = {name for name in CONFIGURATIONS if "persistent" in name}
    assert {name for name, told in warned.items() if told} == (persistent if moment > 5 else set())
