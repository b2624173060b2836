"""Batches that do not fit into memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from nets import CROSS_ENTROPY, attacked_rows, budgets, build_attack, clips, narrow_spec, net_with_memory

from avrobust.attacks.threat import Threat
from avrobust.evaluation.attention import localise
from avrobust.evaluation.embedding import embed
from avrobust.evaluation.memory import within_memory
from avrobust.metrics.examples import Chosen
from avrobust.models.build import build
from avrobust.models.files import Trained
from avrobust.models.late_fusion import LateFusion
from avrobust.program import UserError
from avrobust.spec.conditions import Condition

HERE = Path(__file__).parent


def batches(*sizes: int) -> list[dict]:
    numbers = iter(range(100))
    made = [[next(numbers) for _ in range(size)] for size in sizes]
    return [{"label": torch.tensor(part), "clip_id": [str(number) for number in part]} for part in made]


def fits(most: int, tried: list[int]):
    """Work that runs out of memory above `most` clips, as a GPU does."""

    def work(batch: dict) -> list[str]:
        tried.append(len(batch["label"]))
        if len(batch["label"]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        assert batch["label"].tolist() == [int(name) for name in batch["clip_id"]]
        return batch["clip_id"]

    return work


@pytest.mark.parametrize(
    ("most", "tried"),
    [(8, [8, 8, 3]), (7, [8, 4, 4, 4, 4, 3]), (3, [8, 4, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1]), (1, None)],
)
def test_batches_are_halved_until_they_fit_and_keep_their_order(most, tried):
    seen: list[int] = []
    made = list(within_memory(fits(most, seen), batches(8, 8, 3)))
    assert [name for part in made for name in part] == [str(number) for number in range(19)]
    assert seen == tried if tried else max(seen[-19:]) == 1


def test_a_clip_that_does_not_fit_is_an_error():
    with pytest.raises(UserError, match="1 clip does not fit into memory"):
        list(within_memory(fits(0, []), batches(4)))


def test_a_batch_that_must_stay_whole_is_not_halved():
    seen: list[int] = []
    with pytest.raises(UserError, match="8 clips do not fit into memory, and cannot be halved"):
        list(within_memory(fits(7, seen), batches(8, 3), group=8))
    assert seen == [8]


@pytest.mark.parametrize(
    ("most", "tried"),
    [
        # Half of 28 is 14, no whole number of groups of 4; 12 is the most below it.
        (27, [28, 12, 12, 4, 12, 12, 4, 6]),
        # Half of 12 is 6, and a group is 4.
        (11, [28, 12, *[4] * 7, *[4] * 7, 4, 2]),
        (4, [28, 12, *[4] * 7, *[4] * 7, 4, 2]),
    ],
)
def test_batches_are_cut_between_groups_only(most, tried):
    seen: list[int] = []
    made = list(within_memory(fits(most, seen), batches(28, 28, 6), group=4))
    assert seen == tried
    assert [name for part in made for name in part] == [str(number) for number in range(62)]


def test_a_group_that_does_not_fit_is_an_error():
    seen: list[int] = []
    with pytest.raises(UserError, match="4 clips do not fit into memory, and cannot be halved"):
        list(within_memory(fits(3, seen), batches(28), group=4))
    assert seen == [28, 12, 4]


def test_a_batch_that_breaks_a_group_is_refused():
    assert len(list(within_memory(fits(9, []), batches(8, 4, 3), group=4))) == 3
    with pytest.raises(ValueError, match="6 clips is no whole number of groups of 4"):
        list(within_memory(fits(9, []), batches(8, 6, 2), group=4))


def test_other_errors_are_no_lack_of_memory():
    def broken(batch):
        raise RuntimeError("sizes differ")

    with pytest.raises(RuntimeError, match="sizes differ"):
        list(within_memory(broken, batches(4)))


def of_threes() -> list[dict]:
    """Six clips in two batches."""
    inputs = clips(6)
    whole = {
        "audio": inputs["audio"], "visual": (255 * inputs["visual"]).to(torch.uint8),
        "label": torch.arange(6) % 5, "clip_id": [str(number) for number in range(6)],
    }  # fmt: skip
    return [{name: value[start : start + 3] for name, value in whole.items()} for start in (0, 3)]


def looking_net() -> LateFusion:
    torch.manual_seed(0)
    return build(narrow_spec("attended_concat", pooling="none"), 5).eval()


CONDITIONS, CPU = [Condition("both", "small")], torch.device("cpu")
BUDGETS = budgets(small=0.01)


def in_a_cell(threat: Threat) -> object:
    return attacked_rows(threat, of_threes(), CONDITIONS, BUDGETS)


def in_embeddings(threat: Threat) -> object:
    return embed(threat.model, threat, of_threes(), BUDGETS, CONDITIONS, CPU)


def in_localisation(threat: Threat) -> object:
    trained = Trained(threat.model, CROSS_ENTROPY, ["a", "b", "c", "d", "e"], {})
    boxes = dict.fromkeys(map(str, range(6)))
    return localise(trained, threat, of_threes(), boxes, BUDGETS, CONDITIONS, CPU, Chosen(()))


@pytest.mark.parametrize(
    ("name", "net", "work"),
    [
        ("fgsm", net_with_memory, in_a_cell),
        ("fgsm", net_with_memory, in_embeddings),
        ("mim_official", net_with_memory, in_a_cell),
        ("mim_official", net_with_memory, in_embeddings),
        ("mim_official", looking_net, in_localisation),
    ],
)
def test_whatever_attacks_knows_the_groups_of_its_threat(name, net, work):
    """Batches of three: whole groups of 3, and none of 2."""
    for group in (3, 2):
        model = net_with_memory(group) if net is net_with_memory else net()
        threat = Threat(build_attack(name), model, CROSS_ENTROPY, group if name == "mim_official" else None)
        if group == 3:
            assert work(threat)
            continue
        with pytest.raises(ValueError, match="3 clips is no whole number of groups of 2"):
            work(threat)


# Attacks so many clips in one batch, a net without a memory or with one of which 4 clips stop together. It gets no more
# than the last argument says beyond what is in use, and prints last how many bytes that took.
PROGRAM = """
import logging, resource, sys
from pathlib import Path
from nets import CROSS_ENTROPY, attacked_rows, budgets, clips, narrow_net, net_with_memory
import torch
from avrobust.attacks.fgsm import fgsm
from avrobust.attacks.threat import Threat
from avrobust.spec.conditions import Condition

def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))

logging.basicConfig(format="%(message)s")
torch.set_num_threads(1)
torch.backends.mkldnn.enabled = False  # which ends in a crash where there is no memory
count = int(sys.argv[2])
net, inputs = {"plain": narrow_net, "memory": net_with_memory}[sys.argv[1]](), clips(count, size=128)
batch = {
    "audio": inputs["audio"], "visual": (255 * inputs["visual"]).to(torch.uint8),
    "label": torch.arange(count) % 5, "clip_id": [f"{k:02d}" for k in range(count)],
}
few = {name: value[:1] for name, value in batch.items()}
threat, given = Threat(fgsm(), net, CROSS_ENTROPY), budgets(small=0.05)
cell = lambda batch: attacked_rows(threat, [batch], [Condition("visual", "small")], given)
cell(few)
before = memory("VmSize")
if len(sys.argv) > 3:
    resource.setrlimit(resource.RLIMIT_AS, (before + int(sys.argv[3]),) * 2)
rows, _ = cell(batch)
for row in rows.to_pylist():
    print(row["clip_id"], row["modality"], row["prediction"], row["loss"])
print(memory("VmPeak") - before)
"""


# What is free is given back at once. Else glibc keeps some, from run to run another part, and a limit may not bind.
ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells and limits memory so")
@pytest.mark.parametrize(("net", "clips", "parts"), [("plain", 32, 16), ("memory", 26, 12)])
def test_an_attack_that_runs_out_of_memory_goes_on_with_the_same_result(net, clips, parts):
    """Really: the system gives the process no more. Half of 26 clips would break a group of 4."""

    def attack(*limit: int) -> tuple[list[list[str]], int, str]:
        path = f"import sys; sys.path[:0] = [{str(HERE)!r}, {str(HERE.parents[1] / 'scripts')!r}]\n"
        command = [sys.executable, "-c", path + PROGRAM, net, str(clips), *map(str, limit)]
        run = subprocess.run(command, env=os.environ | ALLOCATOR, capture_output=True, text=True, check=True)
        *rows, taken = run.stdout.splitlines()
        return [row.split() for row in rows], int(taken), run.stderr

    whole, taken, said = attack()
    assert len(whole) == 2 * clips and "memory" not in said
    scarce, _, said = attack(int(0.8 * taken))
    assert f"a batch of {clips} clips does not fit into memory; going on with {parts} at a time" in said
    assert [row[:3] for row in scarce] == [row[:3] for row in whole]
    # Sums of another batch are rounded otherwise.
    losses = ([float(row[3]) for row in rows] for rows in (scarce, whole))
    assert next(losses) == pytest.approx(next(losses), rel=1e-3)


def test_the_net_with_a_memory_of_these_tests_tells_where_its_batch_is_cut():
    """Else the test above could not fail: cut within a group, features change by far more than rounding."""
    net, inputs = net_with_memory(), clips(26, size=128)

    def features(*parts: int) -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([net.encode("visual", part) for part in inputs["visual"].split(parts)])

    whole = features(26)
    torch.testing.assert_close(features(12, 12, 2), whole, rtol=1e-4, atol=1e-5)
    assert ((features(13, 13) - whole).abs().amax(dim=1) > 1e-2 * whole.abs().max()).sum() == 3
