"""Reading a checkpoint without a template and without an agent."""

from __future__ import annotations

import logging
import mmap as mapping
import os
import zlib
from collections.abc import Iterable
from typing import Any, Callable, TypeVar

from . import _dtypes, _state
from ._errors import IntegrityError
from ._results import Restored
from ._segment import array, view
from ._selection import Patterns, Selection
from ._store import Checkpoint, Id, Run, needs_library, open_stored, read_shard, resolve
from ._targets import Key, Stored, Stream, Wanted, copies, new_tensor, stored_tensors, whole

_GRANULE = 1 << 20

_log = logging.getLogger("keepstone")


def load(
    ref: str, *, include: Patterns = None, exclude: Patterns = None, device: Any = "cpu", mmap: bool = False
) -> tuple[dict[Any, Any], Restored]:
    """The state of a checkpoint as plain values and tensors, and what it is.

    `ref` is `STORE/RUN@WHICH`. Modules come back as dicts of tensors by name, optimizers with their state by parameter name. `include` and `exclude` are
    patterns (`"model"`, `"optimizer.*.exp_avg"`) of component.name and all below; tensors left out are missing in the tree. With `mmap` the tensors are
    private copy-on-write mappings of the shards. Every checksum is checked either way. Where `@latest` is meant, said or not, and is damaged, the checkpoint
    before it is read and a warning says so.
    """
    run, found = resolve(ref)
    return first_whole(found, lambda id: _loaded(run, id, include, exclude, device, mmap), lambda loaded: loaded[1])


Result = TypeVar("Result")


def _itself(result: Any) -> Restored:
    return result  # type: ignore[no-any-return]


def first_whole(
    found: list[Id], read: Callable[[Id], Result], about: Callable[[Result], Restored] = _itself
) -> Result:
    """What reading gives of the first candidate that is whole; those passed over are named in its warnings. All damaged: the first one's error."""
    passed: list[tuple[Id, IntegrityError]] = []
    for id in found:
        try:
            result = read(id)
        except IntegrityError as damaged:
            passed.append((id, damaged))
            continue
        warnings = [f"checkpoint {one} is damaged, {id} is read instead: {error.what} ({error.on})" for one, error in passed]
        for warning in warnings:
            _log.warning("keepstone: %s", warning)
        about(result).warnings[:0] = warnings
        return result
    raise passed[0][1]


def _loaded(
    run: Run, found: Id, include: Patterns, exclude: Patterns, device: Any, mmap: bool
) -> tuple[dict[Any, Any], Restored]:
    checkpoint = run.checkpoint(found)
    needs_library(checkpoint)
    tensors = stored_tensors(checkpoint.pieces())
    root = checkpoint.tree().get("state", {})
    selection = Selection(include, exclude)
    chosen = {key for key in tensors if selection.has(".".join(key))}
    selection.require_matches(f"{run.path}@{found}")
    root = pruned(root, chosen)
    leaves = {(leaf["component"], leaf["name"]): leaf for leaf in leaves_of(root)}
    for key in leaves:
        if key not in tensors:
            raise IntegrityError(
                f"the state tree names a tensor {'.'.join(key)} that the checkpoint does not hold", checkpoint.directory
            )
    made: dict[Key, Any] = {}
    if mmap and _dtypes.torch() is not None:
        made = _mapped(checkpoint, tensors, leaves)
    fresh = {key: new_tensor(tensors[key], leaf.get("like")) for key, leaf in leaves.items() if key not in made}
    read_tensors(checkpoint, tensors, {key: [whole(tensors[key], one)] for key, one in fresh.items()})
    made.update(fresh)
    torch = _dtypes.torch()
    if torch is not None and str(device) != "cpu":
        made = {key: one.to(device) if isinstance(one, torch.Tensor) else one for key, one in made.items()}
    shared: dict[Key, Any] = {}

    def take(leaf: dict[str, Any], path: str) -> Any:
        key = (leaf["component"], leaf["name"])
        if key not in shared:
            one = made[key]
            if leaf.get("like") == "bytes":
                one = bytes(one)
            elif leaf.get("parameter") and torch is not None and isinstance(one, torch.Tensor):
                one = torch.nn.Parameter(one, requires_grad=one.is_floating_point() or one.is_complex())
            shared[key] = one
        return shared[key]

    tree = _state.decode(root, "state", take)
    restored = Restored(
        step=found.step,
        id=str(found),
        metrics=_state.decode(checkpoint.manifest.get("metrics", {}), "metrics", take),
        source="store",
        state=tree,
    )
    return tree, restored


def read_tensors(checkpoint: Checkpoint, tensors: dict[Key, Stored], wanted: Wanted) -> None:
    """Fills the wanted boxes from the shards; pieces of which nobody wants anything are not read."""
    planned = copies(tensors, wanted)
    touched = {one.piece.at for one in planned}
    stream = Stream(planned)
    position = 0
    for path, shard in checkpoint.shards():
        indexes, begin = set(), position
        for index, piece in enumerate(shard["pieces"]):
            if begin in touched and piece["bytes"]:
                indexes.add(index)
            begin += piece["bytes"]
        if indexes:
            for at, data in read_shard(path, shard, indexes):
                stream.feed(position + at, data)
        position += sum(piece["bytes"] for piece in shard["pieces"])
    stream.finish()


def leaves_of(node: Any) -> Iterable[dict[str, Any]]:
    """The tensor leaves of a tree."""
    if isinstance(node, dict):
        if node.get("~") == "tensor":
            yield node
            return
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            if isinstance(item, (dict, list)):
                yield from leaves_of(item)


def _mapped(checkpoint: Checkpoint, tensors: dict[Key, Stored], leaves: dict[Key, Any]) -> dict[Key, Any]:
    """Tensors that lie whole in one shard, as private mappings of it."""
    made: dict[Key, Any] = {}
    for path, shard in checkpoint.shards():
        pieces = [
            (key, piece)
            for piece in shard["pieces"]
            if (key := (shard["component"], piece["name"])) in leaves
            and tensors[key].is_whole()
            and leaves[key].get("like") not in ("bytes", "bytearray")
        ]
        if not pieces:
            continue
        with open_stored(path) as file:
            if os.fstat(file.fileno()).st_size != shard["bytes"]:
                raise IntegrityError(f"the shard does not have the {shard['bytes']} bytes that were committed", path)
            memory = mapping.mmap(file.fileno(), shard["bytes"], access=mapping.ACCESS_COPY)
        for key, piece in pieces:
            with memoryview(memory) as seen:
                for number, done in enumerate(range(0, piece["bytes"], _GRANULE)):
                    begin = piece["at"] + done
                    end = min(begin + _GRANULE, piece["at"] + piece["bytes"])
                    if f"{zlib.crc32(seen[begin:end]):08x}" != piece["crcs"][number * 8 : number * 8 + 8]:
                        raise IntegrityError(
                            f"bytes {begin}..{end - 1} do not match their checksum, in tensor {piece['name']}", path
                        )
            build = array if leaves[key].get("like") == "numpy" else view
            made[key] = build(memory, piece["at"], tensors[key].dtype, tensors[key].shape, piece["bytes"])
    return made


def pruned(node: Any, chosen: set[Key]) -> Any:
    """The tree without the members that are, or consist only of, tensors left out."""
    if isinstance(node, list):
        return [pruned(item, chosen) for item in node]
    if not isinstance(node, dict) or node.get("~") == "tensor":
        return node
    if node.get("~") in ("dict", "odict", "ddict", "counter"):
        return {**node, "v": [[key, pruned(item, chosen)] for key, item in node["v"] if _keep(item, chosen)]}
    return {key: pruned(item, chosen) for key, item in node.items() if _keep(item, chosen)}


def _keep(node: Any, chosen: set[Key]) -> bool:
    leaves = list(leaves_of(node))
    if isinstance(node, list):  # a list keeps its length, so it stays or goes whole
        return all((leaf["component"], leaf["name"]) in chosen for leaf in leaves)
    return not leaves or any((leaf["component"], leaf["name"]) in chosen for leaf in leaves)
