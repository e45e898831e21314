"""A plain reader of a store, without an agent: reference, line, manifest, parts, checksums (docs/spec/store.md)."""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, Optional

from . import _dtypes
from ._errors import IntegrityError, NotFound, Refused
from ._facts import Facts, read_facts

_GRANULE = 1 << 20
_OBJECT_LIMIT = 256 << 20
_TAIL = re.compile(rb',"crc32":"([0-9a-f]{8})"\}\n\Z')
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_ID = re.compile(r"([1-9][0-9]*)-(0|[1-9][0-9]*)\Z")
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,127}\Z")
_SHARD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")


class Id(NamedTuple):
    """A checkpoint's id; orders by start, then step."""

    start: int
    step: int

    def __str__(self) -> str:
        return f"{self.start}-{self.step}"

    @staticmethod
    def parse(text: str) -> Optional[Id]:
        found = _ID.match(text)
        return Id(int(found[1]), int(found[2])) if found else None


def read_object(path: str, kind: str) -> dict[str, Any]:
    """A JSON object of a store; refuses one that does not match its checksum or is of another kind or a newer version."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > _OBJECT_LIMIT:
            raise IntegrityError(f"the object is larger than {_OBJECT_LIMIT} bytes", path)
        data = file.read()
    tail = _TAIL.search(data)
    if tail is None:
        raise IntegrityError("the object is cut off: it does not end in its checksum", path)
    found = zlib.crc32(data[: tail.start()])
    if found != int(tail[1], 16):
        raise IntegrityError(
            f"the object does not match its checksum: expected {tail[1].decode()}, found {found:08x}", path
        )
    value = json.loads(data)
    if value.get("v") != 1:
        raise Refused(
            f"the object has format version {value.get('v')}; this client reads version 1",
            path,
            "use a newer keepstone",
        )
    if value.get("kind") != kind:
        raise IntegrityError(f"expected an object of kind {kind!r}, found {value.get('kind')!r}", path)
    return dict(value)


class Run:
    """One run of a store, as it stands when it is looked at."""

    def __init__(self, store: str, name: str) -> None:
        self.path = os.path.join(store, name)
        self.name = name
        if not os.path.isfile(os.path.join(self.path, "run.json")):
            raise NotFound(f"the store has no run {name!r}", store, f"runs here: {', '.join(runs_of(store)) or 'none'}")
        self.uid = read_object(os.path.join(self.path, "run.json"), "run")["uid"]

    def _names(self, directory: str) -> list[str]:
        try:
            return os.listdir(os.path.join(self.path, directory))
        except FileNotFoundError:
            return []

    def visible(self) -> list[Id]:
        """The committed checkpoints of the line that are not purged, oldest first. Manifests are listed before starts and ends."""
        manifests = {
            found for name in self._names("manifests") if name.endswith(".json") and (found := Id.parse(name[:-5]))
        }
        starts = self._names("starts")
        parents = {int(name[:-12]) for name in starts if re.fullmatch(r"[1-9][0-9]*\.parent\.json", name)}
        purged = set()
        for name in self._names("tombs"):
            end = re.fullmatch(r"([1-9][0-9]*-[0-9]+)\.[1-9][0-9]*\.end\.json", name)
            if end and self._object("tombs", name, "end")["outcome"] == "purged":
                purged.add(Id.parse(end[1]))
        line: set[Id] = set()
        limit: Optional[Id] = None
        start = self._newest(parents)
        while start is not None:
            line |= {one for one in manifests if one.start == start and (limit is None or one.step <= limit.step)}
            parent = self._parent(start)
            limit = Id.parse(parent) if parent else None
            if limit is not None and limit.start >= start:
                raise IntegrityError(f"start {start} names the later checkpoint {limit} as its parent", self.path)
            start = limit.start if limit else None
        known = self.facts().purged
        return sorted(one for one in line - purged if str(one) not in known)

    def was_committed(self, id: str) -> bool:
        """Whether this id is a checkpoint, or was one until retention took it away."""
        ended = any(name.startswith(f"{id}.") and name.endswith(".end.json") for name in self._names("tombs"))
        return ended or f"{id}.json" in self._names("manifests")

    def _parent(self, start: int) -> Optional[str]:
        parent = self._object("starts", f"{start}.parent.json", "parent")["parent"]
        return None if parent is None else str(parent)

    def _newest(self, parents: set[int]) -> Optional[int]:
        return next((start for start in sorted(parents, reverse=True) if self._parent(start) != "void"), None)

    def _object(self, directory: str, name: str, kind: str) -> dict[str, Any]:
        path = os.path.join(self.path, directory, name)
        value = read_object(path, kind)
        if value.get("uid") != self.uid:
            raise IntegrityError(f"the object belongs to another run ({value.get('uid')})", path)
        return value

    def facts(self) -> Facts:
        """What became known of its checkpoints after their commit."""
        return read_facts(os.path.join(self.path, "facts"), lambda name, kind: self._object("facts", name, kind))

    def find(self, which: str) -> Id:
        """The checkpoint that a WHICH names."""
        word, _, back = which.partition("~")
        visible = self.visible()
        found: Optional[Id] = None
        if not visible:
            raise NotFound("the run has no checkpoint", self.path)
        if word in ("", "latest", "best", "last-good"):
            found = self._chosen(word, visible)
        elif word == "first":
            found = visible[0]
        elif word.isdecimal():
            found = max((one for one in visible if one.step == int(word)), default=None)
        elif _ID.match(word):
            found = Id.parse(word)
        elif _TAG.match(word):
            tagged = self.facts().tagged(word)
            found = None if tagged is None else Id.parse(tagged)
        else:
            raise Refused(
                f"{word!r} is no choice that this client knows",
                self.path,
                "use latest, best, last-good, first, a step, an id, or a tag, and ~N after it",
            )
        if found in visible and (not back or back.isdecimal()):
            index = visible.index(found) - int(back or 0)
            if index >= 0:
                return visible[index]
        raise NotFound(f"no checkpoint {which!r}", self.path, f"checkpoints here: {', '.join(map(str, visible[-8:]))}")

    def _chosen(self, word: str, visible: list[Id]) -> Optional[Id]:
        """The newest, the best, or the newest healthy one that is not quarantined."""
        facts = self.facts()
        sound = [one for one in visible if not facts.quarantined(str(one))]
        if word in ("", "latest"):
            return sound[-1] if sound else None
        if word == "last-good":
            return next((one for one in reversed(sound) if self._manifest(one).get("health") == "ok"), None)
        policy = facts.policy()
        monitor = policy.get("monitor")
        if monitor is None:
            raise Refused(
                "the run does not say by which metric its checkpoints are compared",
                self.path,
                'give the trainer monitor="val_loss", mode="min", or name the checkpoint you mean',
            )
        sign = -1.0 if policy.get("mode") == "max" else 1.0
        best: Optional[tuple[float, Id]] = None
        for one in sound:
            value = facts.metric(str(one), monitor)
            number = _number(self._manifest(one).get("metrics", {}).get(monitor) if value is None else value)
            # Not "less" alone: of equal ones the newest counts.
            if number == number and (best is None or sign * number <= best[0]):
                best = (sign * number, one)
        return None if best is None else best[1]

    def _manifest(self, id: Id) -> dict[str, Any]:
        return self._object("manifests", f"{id}.json", "manifest")

    def candidates(self, which: str) -> list[Id]:
        """The checkpoint that a WHICH names; where that is the latest, those before it too, for the case that it is damaged."""
        found = self.find(which)
        if which not in ("", "latest"):
            return [found]
        facts = self.facts()
        return [one for one in reversed(self.visible()) if one == found or not facts.quarantined(str(one))]

    def checkpoint(self, found: Id) -> Checkpoint:
        manifest = self._object("manifests", f"{found}.json", "manifest")
        if manifest["id"] != str(found):
            raise IntegrityError(
                f"the manifest says it is {manifest['id']}", os.path.join(self.path, "manifests", f"{found}.json")
            )
        return Checkpoint(self, found, manifest)


class Checkpoint:
    """One committed checkpoint: its parts, checked against the manifest."""

    def __init__(self, run: Run, id: Id, manifest: dict[str, Any]) -> None:
        self.id, self.manifest = id, manifest
        self.directory = os.path.join(run.path, "checkpoints", str(id))
        self.parts = []
        for listed in manifest["parts"]:
            path = self._path(listed["file"])
            with open_stored(path) as file:
                data = file.read(_OBJECT_LIMIT)
            found = f"{zlib.crc32(data):08x}"
            if len(data) != listed["bytes"] or found != listed["crc32"]:
                raise IntegrityError(
                    f"the part is not the one committed: expected {listed['bytes']} bytes with crc32 {listed['crc32']}, "
                    f"found {len(data)} with {found}",
                    path,
                )
            self.parts.append(run._object(os.path.join("checkpoints", str(id)), listed["file"], "part"))

    def _path(self, file: str) -> str:
        return os.path.join(self.directory, self._name(file))

    def _name(self, file: str) -> str:
        if not _SHARD.match(file) or ".." in file:
            raise IntegrityError(f"{file!r} is no name of a stored object", self.directory)
        return file

    def tree(self, rank: int = 0) -> dict[str, Any]:
        """The state tree's JSON that a rank saved: the trainer's under `state`, the client's own under `keepstone`."""
        path = self._path(self.parts[rank]["state"]["file"])
        open_stored(path).close()
        tree = read_object(path, "state").get("tree")
        if not isinstance(tree, dict):
            raise IntegrityError("the state object holds no tree", path)
        return tree

    def shards(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Path and receipt of every shard; `from` names another checkpoint of the run whose folder holds it."""
        for part in self.parts:
            for shard in part["shards"]:
                home = Id.parse(shard["from"]) if shard.get("from") is not None else self.id
                if home is None:
                    raise IntegrityError(f"{shard['from']!r} is no checkpoint", self.directory)
                yield os.path.join(os.path.dirname(self.directory), str(home), self._name(shard["file"])), shard

    def pieces(self) -> list[dict[str, Any]]:
        """All pieces with their component; `at` is replaced by a running position, as in the agent's stream."""
        found, position = [], 0
        for _, shard in self.shards():
            for piece in shard["pieces"]:
                found.append({**piece, "component": shard["component"], "at": position})
                position += piece["bytes"]
        return found


def _number(value: Any) -> float:
    """A metric as it stands in an object; NaN for none."""
    if isinstance(value, dict):
        return float(str(value.get("v", "nan")).split(":")[0])
    return float(value) if isinstance(value, (int, float)) else float("nan")


def open_stored(path: str) -> BinaryIO:
    """Opens a file that a manifest names, unbuffered; one that is missing is damage like any other."""
    try:
        return open(path, "rb", buffering=0)
    except FileNotFoundError as gone:
        raise IntegrityError(
            "the file is missing", path, "restore an earlier checkpoint, or bring back a good copy"
        ) from gone


def read_shard(path: str, shard: dict[str, Any], wanted: set[int]) -> Iterator[tuple[int, memoryview]]:
    """The granules of the wanted pieces (by index) as (position in the shard's pieces, bytes), each checked against its checksum."""
    position = 0
    buffer = memoryview(bytearray(_GRANULE))
    with open_stored(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size != shard["bytes"]:
            raise IntegrityError(f"the shard has {size} bytes, {shard['bytes']} were committed", path)
        for index, piece in enumerate(shard["pieces"]):
            if index in wanted:
                file.seek(piece["at"])
                for number, done in enumerate(range(0, piece["bytes"], _GRANULE)):
                    part = buffer[: min(_GRANULE, piece["bytes"] - done)]
                    _exactly(file, part, path)
                    _check(part, piece, number, piece["at"] + done, path)
                    yield position + done, part
            position += piece["bytes"]


def _exactly(file: Any, into: memoryview, path: str) -> None:
    done = 0
    while done < len(into):
        count = file.readinto(into[done:])
        if not count:
            raise IntegrityError("the shard ends early", path)
        done += count


def _check(part: memoryview, piece: dict[str, Any], number: int, at: int, path: str) -> None:
    expected = piece["crcs"][number * 8 : number * 8 + 8]
    found = f"{zlib.crc32(part):08x}"
    if found != expected:
        raise IntegrityError(
            f"bytes {at}..{at + len(part) - 1} do not match their checksum: expected crc32 {expected}, found {found}, in tensor {piece['name']}",
            path,
            "restore an earlier checkpoint, or bring back a good copy",
        )


def runs_of(store: str) -> list[str]:
    """The runs of a store."""
    return sorted(
        name for name in os.listdir(store) if _RUN.match(name) and os.path.isfile(os.path.join(store, name, "run.json"))
    )


def resolve(reference: str) -> tuple[Run, list[Id]]:
    """The run and the candidates ([Run.candidates]) that `STORE/RUN@WHICH` names; the store is found by walking up to its marker."""
    if re.match(r"[a-z][a-z0-9+.-]*://", reference):
        raise Refused("only stores on a file system can be read yet", reference, "give a path")
    place, _, which = reference.partition("@")
    store = os.path.abspath(place)
    below: list[str] = []
    while not os.path.isfile(os.path.join(store, "keepstone.json")):
        parent, name = os.path.split(store)
        if parent == store:
            raise NotFound(
                "no store here: none of the directories above has a keepstone.json", place, "give STORE/RUN@WHICH"
            )
        store, below = parent, [name, *below]
    read_object(os.path.join(store, "keepstone.json"), "store")
    if len(below) > 1:
        raise NotFound(f"{'/'.join(below)!r} is no run", store, "give STORE/RUN@WHICH")
    if not below:
        names = runs_of(store)
        if len(names) != 1:
            raise NotFound(
                f"the store has {len(names)} runs; say which", store, f"runs here: {', '.join(names) or 'none'}"
            )
        below = names
    run = Run(store, below[0])
    return run, run.candidates(which or "latest")


def needs_library(checkpoint: Checkpoint) -> None:
    """Imports what the tensors of a checkpoint will be made of, where the caller has not: torch if it is there, else NumPy."""
    if _dtypes.torch() is None:
        try:
            __import__("torch")
        except ImportError:
            try:
                __import__("numpy")
            except ImportError as none:
                raise Refused(
                    "tensors need torch or NumPy", str(checkpoint.id), "pip install torch, or numpy"
                ) from none
