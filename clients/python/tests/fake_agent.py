"""An agent of a few lines that speaks the wire of docs/spec, for tests of the client alone. It keeps checkpoints in its own memory."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import mmap
import os
import shutil
import socket
import struct
import tempfile
import threading
import zlib

SLOT_OFFSET = 2 << 20
HEAD = struct.Struct("<8sIIQQQQQQI")


class FakeAgent:
    def __init__(self, from_store: bool = False) -> None:
        self.directory = tempfile.mkdtemp(prefix="ks-fake-", dir="/dev/shm")
        self.from_store = from_store
        self.drain = threading.Event()  # cleared: nothing is drained, slots stay busy
        self.drain.set()
        self.due = 0  # what `preempt` says, not what the record says
        self.replan = False  # what answers to seals say
        self.cut_off = 0  # so many calls of next are answered with Busy
        self.runs: dict[tuple[str, str], dict] = {}
        self.requests: list[dict] = []
        self.clients: dict[str, dict] = {}
        self._segments = 0
        self._lock = threading.Condition()
        self._connections: list[socket.socket] = []
        self._listen()

    def _listen(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(os.path.join(self.directory, "agent.sock"))
        self.socket.listen()
        threading.Thread(target=self._accept, args=(self.socket,), daemon=True).start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def die(self) -> None:
        """Ends every connection and the socket; what is sealed stays in the segments."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        os.unlink(os.path.join(self.directory, "agent.sock"))
        for connection in self._connections:
            with_shutdown(connection)
        self._connections = []

    def be_followed(self) -> None:
        """Dies and is followed by another agent, with no moment without one."""
        before, self._connections = self._connections, []
        os.unlink(os.path.join(self.directory, "agent.sock"))
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self._listen()
        for connection in before:
            with_shutdown(connection)

    def live_again(self) -> None:
        self._listen()

    def close(self) -> None:
        self.drain.set()
        self.die()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _serve(self, connection: socket.socket) -> None:
        greeted: dict = {}
        try:
            while True:
                (length,) = struct.unpack("<I", exactly(connection, 4))
                request = json.loads(exactly(connection, length))
                self.requests.append(request)
                try:
                    client = greeted if request["do"] == "hello" else self.clients[greeted["name"]]
                    answer = {"ok": True, **getattr(self, "do_" + request["do"])(client, request)}
                except Wrong as wrong:
                    answer = {
                        "ok": False,
                        "error": {"type": wrong.args[0], "what": wrong.args[1], "on": "fake", "next": ""},
                    }
                body = json.dumps(answer).encode()
                connection.sendall(struct.pack("<I", len(body)) + body)
        except (OSError, EOFError):
            return

    def do_hello(self, client: dict, request: dict) -> dict:
        name = client["name"] = request["client"]
        known = self.clients.setdefault(name, {"name": name, "layouts": 0})
        if request["sealed"]:
            self._finish(known, request["sealed"])
        return {
            "v": 1,
            "nonce": "00000000",
            "pid": os.getpid(),
            "version": "fake",
            "budget": 1 << 30,
            "outlives": "process",
        }

    def do_start(self, client: dict, request: dict) -> dict:
        run = self.runs.setdefault((request["store"], request["run"]), {"starts": 0, "tokens": {}, "ids": {}, "parts": {}})
        had = bool(run["ids"])
        if request["token"] not in run["tokens"]:
            wanted = request["wanted"]
            ids = list(run["ids"])
            parent = None
            if wanted in ("latest", "must"):
                parent = ids[-1] if ids else None
            elif wanted in ids:
                parent = wanted
            elif wanted != "fresh":
                parent = next((one for one in ids if one.endswith("-" + wanted)), "void")
            if parent == "void" or (wanted == "must" and parent is None):
                raise Wrong("NotFound", "no such checkpoint")
            run["starts"] += 1
            run["tokens"][request["token"]] = (run["starts"], parent, had)
        start, parent, had = run["tokens"][request["token"]]
        client.update(run=run, start=start, rank=request["rank"], world=request["world"])
        step = int(parent.split("-")[1]) if parent else None
        return {"uid": "0" * 32, "start": start, "parent": parent, "step": step, "has_checkpoints": had, "skipped": [], "by": "00000000"}

    def do_register(self, client: dict, request: dict) -> dict:
        capacity = max(65536, (2 * request["state_bytes"] + 4095) // 4096 * 4096)
        at, position = [0] * len(request["pieces"]), capacity
        order = sorted(range(len(at)), key=lambda i: -width(request["pieces"][i]["dtype"]))
        constant = 0
        for index in order:
            if request["pieces"][index].get("frozen"):
                at[index], constant = constant, constant + size(request["pieces"][index])
            else:
                at[index] = position
                position += size(request["pieces"][index])
        stride = (position + (2 << 20) - 1) // (2 << 20) * (2 << 20)
        self._segments += 1
        client["layouts"] += 1
        path = os.path.join(self.directory, f"{client['name']}.{self._segments}.segment")
        constant_offset = SLOT_OFFSET + request["slots"] * stride
        total = constant_offset + constant
        with open(path, "wb+") as file:
            file.truncate(total)
            memory = mmap.mmap(file.fileno(), total)
        head = HEAD.pack(b"KSTNSEG1", 1, request["slots"], total, 0, SLOT_OFFSET, stride, capacity, position, 0)
        memory[:72] = head + struct.pack("<I", zlib.crc32(head))
        client.update(
            memory=memory,
            path=path,
            request=request,
            at=at,
            constant_offset=constant_offset,
            stride=stride,
            sequence=0,
            lent=None,
            generation=0,
            states=["FREE"] * request["slots"],
            kept=None,
            ended=[],
        )
        self._lend(client)
        return {
            "layout": client["layouts"], "segment": path, "file_bytes": total, "slots": request["slots"], "slot_offset": SLOT_OFFSET,
            "slot_stride": stride, "state_capacity": capacity, "constant_offset": constant_offset, "at": at, "bytes": position - capacity, "free": 1 << 40, "retained": 4,
        }  # fmt: skip

    def _lend(self, client: dict) -> bool:
        if client["lent"] is None and "FREE" in client["states"]:
            slot = client["states"].index("FREE")
            client["generation"] += 1
            client["lent"] = (slot, client["generation"])
            client["states"][slot] = "LENT"
        client["sequence"] += 1
        slot, generation = client["lent"] or (-1, 0)
        record = struct.pack("<8sQiIQ", b"KSTNAGT1", client["sequence"], slot, 0, generation).ljust(168, b"\0")
        at = 4096 + 4096 * (client["sequence"] % 2)
        client["memory"][at : at + 172] = record + struct.pack("<I", zlib.crc32(record))
        return client["lent"] is not None

    def do_lend(self, client: dict, request: dict) -> dict:
        with self._lock:
            if not self._lock.wait_for(lambda: self._lend(client), request["timeout_ms"] / 1000):
                raise Wrong("Busy", "both slots are busy")
        slot, generation = client["lent"]
        return {"slot": slot, "generation": generation}

    def do_sealed(self, client: dict, request: dict) -> dict:
        with self._lock:
            seal = client["memory"][12288 + 4096 * request["slot"] :][:128]
            generation, step, used, crc, slot = struct.unpack_from("<QQQII", seal, 8)
            assert (generation, step, slot) == (request["generation"], request["step"], request["slot"])
            assert zlib.crc32(seal[:64]) == struct.unpack_from("<I", seal, 64)[0]
            base = SLOT_OFFSET + slot * client["stride"]
            state = client["memory"][base : base + used]
            assert zlib.crc32(state) == crc
            client["lent"], client["states"][slot] = None, "SEALED"
            id = f"{client['start']}-{step}"
            threading.Thread(target=self._drain, args=(client, client["memory"], slot, id, state), daemon=True).start()
            self._lend(client)
            ended, client["ended"] = client["ended"], []
        return {"id": id, "ended": ended, "replan": self.replan}

    def _drain(self, client: dict, memory: mmap.mmap, slot: int, id: str, state: bytes) -> None:
        self.drain.wait()
        with self._lock:
            base = SLOT_OFFSET + slot * client["stride"]
            values = json.loads(state)
            pieces, data = [], []
            # Counted from the slot, behind which the constant area lies.
            frozen = [piece.get("frozen", False) for piece in client["request"]["pieces"]]
            beyond = client["constant_offset"] - base
            places = [at + beyond if frozen[index] else at for index, at in enumerate(client["at"])]
            order = sorted(range(len(places)), key=lambda i: places[i])
            for index in order:
                piece = client["request"]["pieces"][index]
                at, length = places[index], size(piece)
                data.append(memory[base + at : base + at + length])
                box = {"offset": piece.get("offset") or [0] * len(piece["shape"]), "extent": extent(piece)}
                pieces.append({**piece, **box, "bytes": length, "at": at})
            client["run"]["parts"].setdefault(id, {})[client["rank"]] = {
                "pieces": pieces, "data": data, "metrics": values["metrics"],
                "state": filled(client["request"]["state"], values["values"]), "slot": (client["path"], base),
            }  # fmt: skip
            if len(client["run"]["parts"][id]) == client["world"]:
                client["run"]["ids"][id] = [client["run"]["parts"][id][rank] for rank in range(client["world"])]
            if client["memory"] is memory:
                if client["kept"] is not None:
                    client["states"][client["kept"]] = "FREE"
                client["states"][slot], client["kept"] = "KEPT", slot
                self._lend(client)
            client["ended"].append({"id": id, "state": "committed", "durable_ms": 1.0})
            self._lock.notify_all()

    def _finish(self, client: dict, generation: int) -> None:
        """After the agent's death: a seal whose announcement was lost is drained now."""
        for slot in range(client["request"]["slots"]):
            found, step = struct.unpack_from("<QQ", client["memory"], 12288 + 4096 * slot + 8)
            if found == generation and client["states"][slot] == "LENT":
                self.do_sealed(client, {"slot": slot, "generation": generation, "step": step})

    def do_report(self, client: dict, request: dict) -> dict:
        return {"id": f"{client['start']}-{request['which']}" if request["which"].isdigit() else request["which"]}

    def do_wait(self, client: dict, request: dict) -> dict:
        def over() -> bool:
            if request["id"] is not None:
                return request["id"] in client["run"]["ids"]
            return not any(state == "SEALED" for state in client.get("states", []))

        with self._lock:
            if not self._lock.wait_for(over, request["timeout_ms"] / 1000):
                raise Wrong("Busy", "not yet")
            client["ended"] = []
            ids = [request["id"]] if request["id"] else list(client["run"]["ids"])
            return {"ended": [{"id": id, "state": "committed", "durable_ms": 1.0} for id in ids]}

    def do_open(self, client: dict, request: dict) -> dict:
        parts = client["run"]["ids"][request["id"]]
        tensors: dict[tuple[str, str], dict] = {}
        for part in parts:
            for piece in part["pieces"]:
                about = {key: piece[key] for key in ("component", "name", "dtype", "shape")}
                tensors.setdefault((piece["component"], piece["name"]), about)
        same_world = len(parts) == client["world"]
        rank = client["rank"] if same_world else 0
        client["open"] = {"parts": parts, "tensors": list(tensors)}
        answer = {
            "id": request["id"],
            "step": int(request["id"].split("-")[1]),
            "world": len(parts),
            "rank": rank,
            "metrics": parts[0]["metrics"],
            "tensors": list(tensors.values()),
            "state": parts[rank]["state"],
        }
        return answer if same_world else {**answer, "others": [part["state"]["keepstone"] for part in parts]}

    def do_want(self, client: dict, request: dict) -> dict:
        tensors = client["open"]["tensors"]
        wanted = {one["tensor"]: one.get("slices") for one in request["tensors"]}
        sources, pieces, stream = [], [], b""
        ranges: list[tuple[int, int]] = []  # of the stream, what somebody wants
        for part in client["open"]["parts"]:
            path, base = part["slot"]
            sources.append({"segment": path, "slot_at": base})
            for piece, data in zip(part["pieces"], part["data"]):
                index = tensors.index((piece["component"], piece["name"]))
                if index not in wanted or not touched(piece, wanted[index]):
                    continue
                answer = {"tensor": index, "offset": piece["offset"], "extent": piece["extent"], "bytes": len(data)}
                if self.from_store:
                    ranges += granules(piece, wanted[index], len(stream), len(data))
                    pieces.append({**answer, "at": len(stream)})
                    stream += data
                else:
                    pieces.append({**answer, "at": piece["at"], "source": len(sources) - 1})
        client["stream"] = [stream, ranges]
        if not self.from_store:
            return {"sources": sources, "pieces": pieces, "total": 0}
        client["window"] = os.path.join(self.directory, client["name"] + ".window")
        with open(client["window"], "wb") as file:
            file.truncate(1 << 16)
        window = {"file": client["window"], "bytes": 1 << 16, "chunk": 1 << 14}
        return {"sources": [], "pieces": pieces, "total": len(stream), **({"window": window} if ranges else {})}

    def do_next(self, client: dict, request: dict) -> dict:
        if self.cut_off > 0:
            self.cut_off -= 1
            raise Wrong("Busy", "cut off: other ranks waited for this one")
        data, ranges = client["stream"]
        chunks, position = [], 100
        with open(client["window"], "rb+") as file:
            while ranges and position < 50_000:
                begin, end = ranges.pop(0)
                if end - begin > 20_000:
                    ranges.insert(0, (begin + 20_000, end))
                    end = begin + 20_000
                file.seek(position)
                file.write(data[begin:end])
                chunks.append({"at": begin, "bytes": end - begin, "in": position})
                position += end - begin
        # Of what is left, neither order nor nearness is promised.
        return {"chunks": chunks[::-1], "end": not ranges}

    def do_preempt(self, client: dict, request: dict) -> dict:
        return {"due": self.due, "needs_ms": None, "grace_ms": request.get("grace_ms")}

    def do_refuse(self, client: dict, request: dict) -> dict:
        return {}

    def do_done(self, client: dict, request: dict) -> dict:
        return {}

    def do_close(self, client: dict, request: dict) -> dict:
        return {}


class Wrong(Exception):
    pass


def with_shutdown(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def exactly(connection: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        part = connection.recv(count - len(received))
        if not part:
            raise EOFError
        received += part
    return received


def width(dtype: str) -> int:
    from keepstone import _dtypes

    return _dtypes.TYPES[dtype][0]


def extent(piece: dict) -> list[int]:
    return piece.get("extent") or piece["shape"]


def size(piece: dict) -> int:
    from keepstone import _dtypes

    return _dtypes.size_of(piece["dtype"], tuple(extent(piece)))


GRANULE = 1000  # not the real one, so that small tensors have several and none ends with an element


def touched(piece: dict, slices: list | None) -> bool:
    """Whether a piece holds something wanted, by asking every element: slow and plain."""
    return bool(wanted_elements(piece, slices))


def wanted_elements(piece: dict, slices: list | None) -> list[int]:
    """The numbers of the wanted elements of a piece."""
    found = []
    for number, place in enumerate(itertools.product(*(range(o, o + e) for o, e in zip(piece["offset"], piece["extent"])))):
        inside = slices is None or any(
            all(o <= p < o + e for o, p, e in zip(one["offset"], place, one["extent"])) for one in slices
        )
        if inside:
            found.append(number)
    return found


def granules(piece: dict, slices: list | None, at: int, length: int) -> list[tuple[int, int]]:
    """The ranges of the stream, in granules of the piece, that hold something wanted."""
    count = math.prod(piece["extent"])
    if slices is None:
        found = range((length + GRANULE - 1) // GRANULE)
    else:
        found = sorted({byte // GRANULE for n in wanted_elements(piece, slices) for byte in (n * length // count, (n + 1) * length // count - 1)})
    return [(at + n * GRANULE, at + min((n + 1) * GRANULE, length)) for n in found]


def filled(node: object, values: list) -> object:
    if isinstance(node, dict):
        if node.get("~") == "hole":
            return values[node["v"]]
        return {key: filled(item, values) for key, item in node.items()}
    return [filled(item, values) for item in node] if isinstance(node, list) else node
