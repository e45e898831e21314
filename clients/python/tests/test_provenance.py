"""What is written down about how a checkpoint came to be, and what must never be."""

from __future__ import annotations

import pathlib
import subprocess

import pytest
from keepstone import _provenance


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["python", "train.py", "--lr", "0.1"], "python train.py --lr 0.1"),
        (["train", "--hf-token", "abc", "--steps", "5"], "train --hf-token *** --steps 5"),
        (["train", "--api_key=abc", "WANDB_API_KEY=xyz"], "train --api_key=*** WANDB_API_KEY=***"),
        (["train", "--password", "--steps", "5"], "train --password --steps 5"),
        (["train", "hf_abcdefghijklmnop1234"], "train ***"),
        (["train", "--data", "s3://user:secret@host/bucket"], "train --data s3://***@host/bucket"),
        (["train", "--x", "Zm9vYmFyYmF6MTIzNDU2Nzg5MGFiY2RlZg"], "train --x ***"),
        (["train", "--config", "configs/llama_7b_pretrain_2026.yaml"], "train --config configs/llama_7b_pretrain_2026.yaml"),
        (["train", "a b"], "train 'a b'"),
    ],
)
def test_the_command_is_kept_and_secrets_are_not(words: list[str], shown: str) -> None:
    assert _provenance.launch_command(words) == shown


def test_revision_and_dirty_flag_of_a_checkout(tmp_path: pathlib.Path) -> None:
    assert _provenance.revision(str(tmp_path)) is None

    def git(*words: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True, capture_output=True)

    git("init")
    (tmp_path / "train.py").write_text("pass\n")
    git("add", "train.py")
    git("commit", "-m", "first")
    found = _provenance.revision(str(tmp_path))
    assert found is not None and len(found["commit"]) == 40 and found["dirty"] is False
    (tmp_path / "train.py").write_text("pass  # changed\n")
    again = _provenance.revision(str(tmp_path))
    assert again == {**found, "dirty": True}


def test_a_start_finds_its_command_and_packages() -> None:
    found = _provenance.Provenance().found()
    assert found["python"] and found["command"]
    assert "numpy" in found["packages"]
