"""What is installed on nodes: the archive and the wheels, without a JDK on the PATH and without a network."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

TRAINER = """
import sys, torch, keepstone
torch.manual_seed(0)
model = torch.nn.Linear(8, 4)
optimizer = torch.optim.AdamW(model.parameters())
state = {"model": model, "optimizer": optimizer}
with keepstone.Checkpointer(sys.argv[1], run="packed", every=1, on_busy="wait") as ckpt:
    at = ckpt.restore(state)
    start = at.step if at else 0
    for step in range(start, start + 3):
        model(torch.ones(2, 8)).sum().backward()
        optimizer.step()
        ckpt.step(step + 1, state)
print(start, "durable")
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    to = tmp_path_factory.mktemp("dist")
    answer = subprocess.run([ROOT / "keepstone", "dist", "--to", to, "--json"], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    files = {Path(one["file"]).suffix: Path(one["file"]) for one in json.loads(answer.stdout)["files"][:1]}
    names = [Path(one["file"]) for one in json.loads(answer.stdout)["files"]]
    assert sorted(os.listdir(to)) == sorted(name.name for name in names)
    return {"archive": files[".gz"], "client": names[1], "agent": names[2]}


@pytest.fixture(scope="module")
def offline():
    """What a command is prefixed with to have no network, where the machine allows that."""
    unshare = shutil.which("unshare")
    allowed = unshare and subprocess.run([unshare, "--net", "true"], capture_output=True).returncode == 0
    return [unshare, "--net"] if allowed else []


@pytest.fixture()
def bare(tmp_path):
    """An environment without a JDK, without Keepstone, and with an agent's folder of its own."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "env", "readlink", "mktemp", "mv", "rm", "stty", "sleep"):
        (tools / tool).symlink_to(subprocess.check_output(["which", tool], text=True).strip())
    place = Path(f"/dev/shm/ks-dist-{os.getpid()}")
    yield {"PATH": str(tools), "HOME": str(tmp_path), "KEEPSTONE_AGENT_DIR": str(place), "OMP_NUM_THREADS": "1"}
    subprocess.run(["rm", "-rf", place])


def unpacked(archive, to):
    with tarfile.open(archive) as packed:
        packed.extractall(to, filter="tar")
    (home,) = to.iterdir()
    return home


def test_the_archive_serves_a_trainer_and_its_store_without_jdk_and_network(made, offline, bare, tmp_path):
    home = unpacked(made["archive"], tmp_path / "opt")
    keepstone = home / "keepstone"
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", site, *(home / "python").glob("*.whl")],
        check=True,
    )
    trainer = tmp_path / "trainer.py"
    trainer.write_text(TRAINER)
    store = tmp_path / "ckpts"
    environment = {**bare, "KEEPSTONE_HOME": str(home), "PYTHONPATH": str(site)}

    def run(*command):
        return subprocess.run([*offline, *map(str, command)], env=environment, capture_output=True, text=True)

    try:
        for start in (0, 3):
            trained = run(sys.executable, trainer, store)
            assert trained.stdout.split() == [str(start), "durable"], trained.stdout + trained.stderr
        listed = run(keepstone, "ls", store, "--json")
        assert [one["step"] for one in json.loads(listed.stdout)["runs"][0]["checkpoints"]][0] == 6
        assert run(keepstone, "verify", store, "--deep").returncode == 0
        assert run(keepstone, "export", f"{store}/packed@latest", tmp_path / "out.safetensors").returncode == 0
        assert run(keepstone, "prune", f"{store}/packed", "--keep-last", "1", "--dry-run").returncode == 0
        assert run(keepstone, "doctor", store).returncode == 0
        refused = run(keepstone, "quickstart")
        assert refused.returncode == 2 and "checkout" in refused.stderr
        assert run(keepstone, "dist").returncode == 7
    finally:
        run(keepstone, "agent", "stop", "--now")
    pages = {page.name for page in (home / "share" / "man" / "man1").iterdir()}
    assert {"keepstone.1", "keepstone-ls.1", "keepstone-agent-start.1"} <= pages
    completion = home / "share" / "bash-completion" / "completions" / "keepstone"
    asked = f'source {completion}; COMP_WORDS=(keepstone ver); COMP_CWORD=1; _complete_keepstone; echo "${{COMPREPLY[*]}}"'
    assert subprocess.check_output(["bash", "-c", asked], text=True).split() == ["verify"]


def test_the_client_finds_the_agent_in_its_own_wheel(made, offline, bare, tmp_path):
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--find-links", made["client"].parent, "--target", site, "keepstone[agent]"],
        check=True,
    )
    trainer = tmp_path / "trainer.py"
    trainer.write_text(TRAINER)
    environment = {**bare, "PYTHONPATH": str(site)}
    try:
        trained = subprocess.run(
            [*offline, sys.executable, trainer, tmp_path / "ckpts"], env=environment, capture_output=True, text=True
        )
        assert trained.stdout.split() == ["0", "durable"], trained.stdout + trained.stderr
    finally:
        subprocess.run([site / "keepstone_agent" / "home" / "keepstone", "agent", "stop", "--now"], env=environment)


def test_without_any_of_them_the_client_says_which_are_missing(made, bare, tmp_path):
    site = tmp_path / "site"
    with zipfile.ZipFile(made["client"]) as wheel:
        wheel.extractall(site)
    trainer = tmp_path / "trainer.py"
    trainer.write_text(TRAINER)
    environment = {**bare, "PYTHONPATH": str(site)}
    trained = subprocess.run([sys.executable, trainer, tmp_path / "ckpts"], env=environment, capture_output=True, text=True)
    assert trained.returncode != 0
    for missing in ("KEEPSTONE_HOME is not set", "no keepstone is on the PATH", "keepstone-agent is not installed", "pip install"):
        assert missing in trained.stderr
