"""The log-mel front: a tone by its transform, torchaudio's own, silence, and steps of time."""

import math

import pytest
import torch
import torch.nn.functional as F
import torchaudio
from hypothesis import given
from hypothesis import strategies as st

from avrobust.models.log_mel import LogMel, averaging_matrix

RATE = 16_000


def tone(frequency: float, samples: int, amplitude: float = 0.5) -> torch.Tensor:
    """Return (1, 1, samples), float64."""
    return (
        amplitude * torch.cos(2 * math.pi * frequency / RATE * torch.arange(samples, dtype=torch.float64))[None, None]
    )


@pytest.mark.parametrize(("spectrum", "power"), [("power", 2), ("magnitude", 1)])
def test_a_pure_tone_has_the_energy_of_its_transform(spectrum, power):
    """A Hann window of W samples sums to W / 2, its neighbours' terms to -W / 4, so a tone of amplitude a on a
    frequency of the transform has |X| = a / 2 * W / 2 there and half of that on both sides."""
    front = LogMel(RATE, n_fft=512, window=512, hop=256, mels=20, spectrum=spectrum, log_constant=0.0).double()
    peak = 0.5 / 2 * 512 / 2
    spectrum_of_tone = torch.zeros(257, dtype=torch.float64)
    spectrum_of_tone[63:66] = torch.tensor([peak / 2, peak, peak / 2]) ** power
    expected = (spectrum_of_tone + (1e-5 if power == 1 else 0)) @ front.filters
    got = front(tone(64 * RATE / 512, 4096))[0, 0, :, 8].exp()
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=2e-4 * expected.max().item())


@pytest.mark.parametrize(("spectrum", "power"), [("power", 2.0), ("magnitude", 1.0)])
@pytest.mark.parametrize(("n_fft", "window", "hop"), [(1024, 400, 160), (512, 512, 128), (2048, 1024, 400)])
def test_it_is_torchaudios_mel_spectrogram(spectrum, power, n_fft, window, hop):
    """torchaudio fills up the window at both ends and cuts the spectrum's frames from a sound padded by n_fft / 2."""
    front = LogMel(RATE, n_fft, window, hop, mels=40, spectrum=spectrum, log_constant=1e-3).double()
    theirs = torchaudio.transforms.MelSpectrogram(
        RATE, n_fft, window, hop, n_mels=40, power=power, center=True, pad_mode="constant"
    ).double()
    sound = torch.rand(2, 1, 9_001, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) - 0.5
    got, wanted = front(sound), (theirs(sound) + 1e-3).log()
    assert got.shape == (2, 1, 40, 1 + 9_001 // hop)
    torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("spectrum", ["power", "magnitude"])
def test_decibels_are_torchaudios(spectrum):
    """A constant of 1e-10 in place of a bound there: less than 1e-5 dB for what is louder than -30 dB."""
    sound = torch.rand(2, 1, 4_000, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) - 0.5
    given = {"n_fft": 512, "mels": 40, "spectrum": spectrum, "log_constant": 1e-10}
    mel = LogMel(RATE, **given).double()(sound).exp()
    got = LogMel(RATE, **given, logarithm="decibel").double()(sound)
    torch.testing.assert_close(got, torchaudio.transforms.AmplitudeToDB("power")(mel), rtol=0, atol=1e-5)
    assert LogMel(RATE, **given, logarithm="decibel")(sound.float()).dtype == torch.float32


@pytest.mark.parametrize("logarithm", ["natural", "decibel"])
@pytest.mark.parametrize("spectrum", ["power", "magnitude"])
def test_silence_has_a_finite_gradient(spectrum, logarithm):
    front = LogMel(RATE, spectrum=spectrum, logarithm=logarithm)
    sound = torch.cat([torch.zeros(1, 1, 4000), torch.rand(1, 1, 4000)], dim=2).requires_grad_()
    picture = front(sound)
    picture.sum().backward()
    assert picture.isfinite().all() and sound.grad.isfinite().all()
    assert (sound.grad[..., 4400:] != 0).any()


@pytest.mark.parametrize("logarithm", ["natural", "decibel"])
def test_an_autocast_leaves_it_in_float32(logarithm):
    front, sound = LogMel(RATE, logarithm=logarithm), torch.rand(1, 1, 4000) - 0.5
    with torch.autocast("cpu", torch.bfloat16):
        within = front(sound)
    assert within.dtype == torch.float32 and torch.equal(within, front(sound))


def test_a_clip_does_not_depend_on_its_batch():
    front, sounds = LogMel(RATE), torch.rand(5, 1, 4000) - 0.5
    torch.testing.assert_close(front(sounds), torch.cat([front(sound[None]) for sound in sounds]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spectrum": "decibel"}, "'decibel'"),
        ({"logarithm": "db"}, "logarithm is 'natural' or 'decibel', not 'db'"),
        ({"window": 2048}, "not 160, 2048, 1024"),
        ({"hop": 0}, "not 0, 400"),
        ({"mels": 0}, "mels: at least 1 is needed, not 0"),
        ({"n_fft": 400, "mels": 128}, "of 128 mel bands are without a frequency"),
    ],
)
@pytest.mark.filterwarnings("ignore:At least one mel filterbank")
def test_sizes_that_contradict_each_other_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LogMel(RATE, **options)


@given(positions=st.integers(1, 40), steps=st.integers(1, 40))
def test_steps_are_those_of_adaptive_pooling(positions, steps):
    if positions < steps:
        with pytest.raises(ValueError, match=f"{positions} positions in time make no {steps} steps"):
            averaging_matrix(positions, steps, torch.device("cpu"))
        return
    x = torch.rand(2, 3, positions, generator=torch.Generator().manual_seed(positions))
    got = x @ averaging_matrix(positions, steps, torch.device("cpu"))
    torch.testing.assert_close(got, F.adaptive_avg_pool1d(x, steps))
