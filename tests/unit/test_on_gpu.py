"""What holds on a GPU: the same attacks as on the CPU, the same bits again, and fewer clips where memory ends."""

import pytest
import torch
from nets import FORMS, clips, objective_of, partners_of
from test_attacks import EVERY, IDS, LABELS, MADE, context, fitting
from torch import Tensor

from avrobust.attacks.budget import units
from avrobust.attacks.loop import perturb
from avrobust.attacks.loss import Loss
from avrobust.evaluation.memory import within_memory
from avrobust.models.log_mel import LogMel
from avrobust.runtime import prepare

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA GPU here")


@pytest.fixture(scope="module")
def cuda() -> torch.device:
    return prepare("cuda", 1)


def made(name: str, device: torch.device, dtype: torch.dtype, epsilons: dict[str, float]) -> dict[str, Tensor]:
    """Four clips attacked on `device` in `dtype`, and what they were."""
    net, inputs = fitting(name)
    net, inputs = net.to(device, dtype), {key: value.to(device, dtype) for key, value in inputs.items()}
    scales = {key: unit.to(device) for key, unit in units("normalised", FORMS).items()}
    budgets = {key: scales[key].budget(epsilon) for key, epsilon in epsilons.items()}
    loss = Loss(net, objective_of(MADE[name], net), inputs, LABELS.to(device), partner=partners_of(inputs))
    result = perturb(loss, budgets, MADE[name], context(name, inputs, budgets, IDS))
    assert all(parameter.grad is None for parameter in net.parameters())
    for key, value in result.items():
        assert value.device == inputs[key].device
        if key not in epsilons:
            assert value is inputs[key]
        elif MADE[name].keeps_ball:
            assert budgets[key].used(value - inputs[key]).max() <= 1 + (1e-9 if dtype == torch.float64 else 1e-4)
    return result


@pytest.mark.parametrize("epsilons", [{"audio": 0.01}, {"audio": 0.01, "visual": 0.01}], ids=["audio", "both"])
@pytest.mark.parametrize("name", EVERY)
def test_an_attack_goes_where_it_goes_on_the_cpu(name, epsilons, cuda):
    """In float64: there a sum in another order turns the sign of almost no gradient."""
    there, here = (made(name, torch.device(device), torch.float64, epsilons) for device in ("cuda", "cpu"))
    for key, value in here.items():
        same = (there[key].cpu() - value).abs() < 1e-9
        assert same.double().mean() > 0.999


@pytest.mark.parametrize("name", EVERY)
def test_an_attack_gives_the_same_bits_again(name, cuda):
    one, again = (made(name, cuda, torch.float32, {"audio": 0.01, "visual": 0.01}) for _ in range(2))
    assert all(torch.equal(one[key], again[key]) for key in one)


def test_log_mel_pictures_and_their_gradients_are_those_of_the_cpu_silence_included(cuda):
    front = LogMel(sample_rate=8000, n_fft=512, window=480, hop=240, mels=32)
    sound = clips(2)["audio"]
    sound[1] = 0
    pictures, gradients = [], []
    for device in ("cpu", "cuda"):
        given = sound.detach().to(device).requires_grad_()
        picture = front.to(device)(given)
        picture.sum().backward()
        pictures.append(picture.detach().cpu())
        gradients.append(given.grad.cpu())
    torch.testing.assert_close(*pictures, rtol=1e-3, atol=1e-3)
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_a_batch_that_the_gpu_cannot_hold_is_halved(cuda):
    """Of clips of 64 MiB each eight are one half too much for 300 MiB, and four are not."""
    torch.cuda.empty_cache()
    allowed = torch.cuda.memory_reserved() + (300 << 20)
    torch.cuda.set_per_process_memory_fraction(allowed / torch.cuda.get_device_properties(0).total_memory)
    try:
        batch = {"label": torch.arange(8), "clip_id": [str(number) for number in range(8)]}

        def work(part: dict) -> int:
            return len(torch.empty(len(part["label"]), 64 << 20, dtype=torch.uint8, device=cuda))

        assert list(within_memory(work, [batch])) == [4, 4]
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
