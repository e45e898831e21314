"""One rank of the sharded benchmarks: talks to sharded.py in lines of JSON over its standard streams, to other ranks over gloo."""

import json
import os
import sys
import time

import raw
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from segment_view import SegmentView
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard

import keepstone

COLUMNS = 1024


def state_of(mesh, byte_length, count, fill):
    """float32 matrices sharded by rows over all ranks; rows differ so that shards are uneven."""
    rows = max(byte_length // 4 // COLUMNS // count, mesh.size())
    state = {}
    for i in range(count):
        shape = (rows + i % 5, COLUMNS)
        local = _local(shape, mesh)
        local.fill_(fill * (i + 1))
        state[f"layers.{i}.weight"] = DTensor.from_local(
            local, mesh, [Shard(0)], run_check=False, shape=torch.Size(shape), stride=(COLUMNS, 1)
        )
    return state


def _local(shape, mesh):
    """This rank's rows as torch's Shard cuts them: chunks of the rounded-up share, the last ones shorter."""
    share = -(-shape[0] // mesh.size())
    first = min(share * mesh.get_local_rank(), shape[0])
    return torch.empty((min(share, shape[0] - first), shape[1]), dtype=torch.float32)


def bytes_of(state):
    return sum(t.to_local().numel() * 4 for t in state.values())


def answer(**fields):
    print(json.dumps(fields), flush=True)


def saves(store, folder, gib, count, rounds):
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    state = state_of(mesh, int(gib * 2**30), count, 0.01)
    mine = bytes_of(state)
    source = raw.resident(mine // 4096 * 4096 + 4096)
    with keepstone.Checkpointer(store, run="bench", every=1, keep_last=2, resume="never", rng=False, budget=int(3.2 * gib * 2**30)) as ckpt:
        for step in range(1, 4):
            ckpt.save(step, {"model": state}, wait=True)
        view = SegmentView(os.environ["KEEPSTONE_AGENT_DIR"], rank=dist.get_rank())
        for step in range(4, 4 + rounds):
            at, length = view.data_address()
            dist.barrier()
            copy = raw.copy_seconds(at, raw.address(source), length)
            for tensor in state.values():
                tensor.to_local()[:1] += 1
            dist.barrier()
            begin = time.perf_counter()
            saved = ckpt.save(step, {"model": state})
            stall = time.perf_counter() - begin
            saved.wait()
            dist.barrier()
            target = os.path.join(folder, f"dcp-{step}")
            begin = time.perf_counter()
            future = dcp.async_save({"model": state}, checkpoint_id=target)
            peer = time.perf_counter() - begin
            future.result()
            dist.barrier()
            answer(id=saved.id, copy=copy, stall=stall, peer=peer, bytes=length, tensors=len(state))
        del view
    dcp.save({"model": state}, checkpoint_id=os.path.join(folder, "peer.dcp"))


def restores(store, folder, gib, count, peer):
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    state = state_of(mesh, int(gib * 2**30), count, 0.0)
    dist.barrier()
    begin = time.perf_counter()
    if peer:
        dcp.load({"model": state}, checkpoint_id=os.path.join(folder, "peer.dcp"))
        source = "store"
    else:
        ckpt = keepstone.Checkpointer(store, run="bench", rng=False)
        source = ckpt.restore({"model": state}).source
    dist.barrier()
    seconds = time.perf_counter() - begin
    right = all(abs(float(t.to_local()[-1, -1]) - 0.01 * (i + 1)) < 0.001 for i, t in enumerate(state.values()) if len(t.to_local()) > 1)
    answer(seconds=seconds, source=source, right=right)
    dist.barrier()
    os._exit(0)


def main():
    what, store, folder, gib, count, rounds = sys.argv[1:7]
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    if what == "saves":
        saves(store, folder, float(gib), int(count), int(rounds))
    else:
        restores(store, folder, float(gib), int(count), what == "peer")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
