"""VideoLLaMA2 behind one question: a video file and a prompt in, the answer in words out.

Its own code is needed for that: https://github.com/DAMO-NLP-SG/VideoLLaMA2, branch audio_visual, at `COMMIT`, and an
environment of its own, because it works with an older torch than all else here. Used as its demo of sound and frames
does: `model_init`, the processor of videos with `va=True`, `mm_infer`.
"""

import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

from avrobust.program import UserError

COMMIT = "8cedfbda23e779246112cb963416b95415448a91"
# An answer is the name of an object, in a sentence.
LONGEST_ANSWER = 64
NEEDED = "docs/videollama.md says what is needed"


class VideoLLaMA2:
    """The model, loaded once on a GPU: about 16 GB of weights in half precision."""

    def __init__(self, weights: Path, repository: Path):
        """Load the folder `weights` of a checkpoint that hears by the code of the checkout `repository`.

        Weights are read as safetensors or by torch as tensors alone (docs/videollama.md says how safe that is).

        Raises:
            UserError: the checkout is another commit or was changed, a package, ffmpeg or a GPU is missing.
        """
        check_commit(repository)
        if shutil.which("ffmpeg") is None:
            raise UserError(f"no ffmpeg is found, and VideoLLaMA2 hears clips through it alone; {NEEDED}")
        sys.path.insert(0, str(repository.resolve()))
        try:
            import torch
            from videollama2 import mm_infer, model_init
            from videollama2.mm_utils import load_audio_from_video
        except ImportError as error:
            raise UserError(
                f"{sys.executable} cannot run VideoLLaMA2 ({error}); make its environment from envs/videollama.yaml "
                f"and name that under videollama in config.yaml, or give Snakemake --sdm conda; {NEEDED}"
            ) from None
        if not torch.cuda.is_available():
            raise UserError(f"VideoLLaMA2 needs a GPU with 24 GB, and torch sees none here; {NEEDED}")
        torch.load = _tensors_alone(torch.load)
        # The checkpoint names the file of its audio tower as if it was looked for from beside it.
        with chdir(weights):
            self._model, self._processors, self._tokenizer = model_init(str(Path.cwd()), use_safetensors=True)
        self._infer, self._hear = mm_infer, load_audio_from_video

    def ask(self, path: Path, prompt: str) -> str:
        """Return the most likely answer to `prompt` about the frames and the sound of a video file.

        Raises:
            RuntimeError: its sound cannot be read, in whose place the model would hear silence.
        """
        self._hear(str(path))
        seen = self._processors["video"](str(path), va=True)
        told = {"model": self._model, "tokenizer": self._tokenizer, "modal": "video"}
        return self._infer(seen, prompt, **told, do_sample=False, max_new_tokens=LONGEST_ANSWER)


def check_commit(repository: Path) -> None:
    """Raise UserError unless the checkout is at `COMMIT`, with its tracked files as they were committed."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(repository), *words]
        try:
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        except FileNotFoundError:
            raise UserError(f"{repository}: its commit cannot be looked at, because there is no git") from None
        except subprocess.CalledProcessError as error:
            raise UserError(f"{repository}: no checkout of VideoLLaMA2 ({error.stderr.strip()}); {NEEDED}") from None

    if (found := git("rev-parse", "HEAD")) != COMMIT:
        raise UserError(f"{repository} is at commit {found}; `git -C {repository} checkout {COMMIT}`")
    if changed := git("status", "--porcelain", "--untracked-files=no"):
        raise UserError(f"{repository}: {changed.split()[1]} was changed since commit {COMMIT[:8]}; put it back")


def _tensors_alone(load):
    """Return a `torch.load` that never runs what a file says, whatever it is called with."""
    return lambda *where, **how: load(*where, **{**how, "weights_only": True})
