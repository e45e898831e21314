"""What `keepstone diff` says of two checkpoints is what NumPy says."""

from __future__ import annotations

import pathlib

import numpy as np
import torch
from keepstone import Checkpointer
from real_agent import Agent
from safetensors.torch import save_file


def numbers(a: torch.Tensor, b: torch.Tensor) -> tuple[float, float, float, int, int]:
    x, y = (tensor.to(torch.float64).numpy().ravel() for tensor in (a, b))
    both = np.isfinite(x) & np.isfinite(y)
    bad = int((~np.isfinite(x)).sum()), int((~np.isfinite(y)).sum())
    x, y = x[both], y[both]
    norm = np.linalg.norm
    return float(np.abs(x - y).max()), norm(x - y) / norm(x), x @ y / norm(x) / norm(y), *bad


def test_numbers_are_those_of_numpy_for_every_kind_of_element(
    agent: Agent, store: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    generator = torch.Generator().manual_seed(7)
    kinds = [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2]
    before = {str(kind)[6:]: torch.randn(300, 1000, generator=generator).to(kind) for kind in kinds}
    before |= {str(k)[6:]: torch.randint(-99, 99, (777,), generator=generator).to(k) for k in (torch.int8, torch.int64)}
    after = {
        name: (tensor.to(torch.float64) + torch.randint(0, 3, tensor.shape, generator=generator)).to(tensor.dtype)
        for name, tensor in before.items()
    }
    before["float32"][7, 7], after["float32"][8, 8], after["float16"][0, 0] = torch.nan, torch.inf, -torch.inf
    before["recast"], after["recast"] = (torch.randn(70_000, generator=generator) for _ in range(2))
    after["recast"] = after["recast"].to(torch.bfloat16)
    before["same"] = after["same"] = torch.arange(9)
    before["old.name"] = after["new.name"] = torch.randn(5, generator=generator)
    with Checkpointer(store, "run") as ckpt:
        ckpt.save(1, {"t": before, "lr": 0.1, "seen": {3: 1}}, wait=True)
    with Checkpointer(store, "run", resume="never") as ckpt:
        ckpt.save(2, {"t": after, "lr": 0.2, "seen": {3: 2}}, wait=True)
    found = agent.keepstone("diff", f"{store}/run@1-1", f"{store}/run@2-2", status=1)
    assert found["unchanged"] == 1 and not found["added"] and not found["removed"]
    assert [(r["from"], r["to"]) for r in found["renamed"]] == [("old.name", "new.name")]
    assert sorted(change["name"] for change in found["changed"]) == sorted(set(before) - {"same", "old.name"})
    for change in found["changed"]:
        name = change["name"]
        assert change["kind"] == ("dtype" if name == "recast" else "values")
        expected = numbers(before[name], after[name])
        got = [change[key] for key in ("max_abs", "rel_l2", "cosine", "nonfinite_a", "nonfinite_b")]
        np.testing.assert_allclose(got, expected, rtol=1e-9, err_msg=name)
    paths = {difference["path"]: (difference.get("a"), difference.get("b")) for difference in found["state"]}
    assert paths['state["lr"]'] == (0.1, 0.2) and paths['state["seen"][3]'] == (1, 2)

    save_file(after, tmp_path / "theirs.safetensors")
    found = agent.keepstone("diff", f"{store}/run@2-2", tmp_path / "theirs.safetensors")
    assert found["equal"] and found["unchanged"] == len(after)
