"""Strangers are known people's speech with lasting traits of others: part of the way, all of one's speech alike."""

import pytest

torch = pytest.importorskip("torch")

from core.training.strangers import strangers, transport  # noqa: E402


def people(n_speakers: int = 4, per_speaker: int = 2) -> torch.Tensor:
    """Energies of voices that differ in their spectrum and in how it moves, (n_speakers * per_speaker, 120, 40)."""
    generator = torch.Generator().manual_seed(1)
    colours = torch.randn(n_speakers, 1, 40, generator=generator).repeat_interleave(per_speaker, dim=0)
    movements = torch.randn(n_speakers, 3, 40, generator=generator).repeat_interleave(per_speaker, dim=0)
    moments = torch.randn(n_speakers * per_speaker, 120, 3, generator=generator)
    return 0.01 * torch.exp(colours + moments @ movements / 3)


def spectra(mels: torch.Tensor) -> torch.Tensor:
    """Mean logarithms of each speaker's two windows, up to their level, (n_speakers, 40)."""
    logs = mels.log().reshape(len(mels) // 2, -1, 40).mean(dim=1)
    return logs - logs.mean(dim=1, keepdim=True)


def test_transport_carries_one_covariance_to_another():
    samples = torch.randn(2, 500, 6, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 7)
    here, there = (torch.cov(x.T)[None] for x in (samples[0], samples[1].flip(1)))
    carried = torch.cov((samples[0] @ transport(here, there)[0]).T)
    torch.testing.assert_close(carried, there[0], rtol=1e-3, atol=1e-2)


def test_strangers_lie_between_two_speakers_and_are_as_loud():
    mels = people()
    made = strangers(mels, 2, torch.Generator().manual_seed(0), share=1.0)
    assert made.shape == mels.shape and made.isfinite().all() and (made > 0).all()
    torch.testing.assert_close(made.mean(dim=(1, 2)), mels.mean(dim=(1, 2)))
    own, now, other = spectra(mels), spectra(made), spectra(mels).roll(1, 0)
    there = (now - own).norm(dim=1) / (other - own).norm(dim=1)
    assert (there > 0.02).all() and (there < 1).all()
    assert torch.cosine_similarity(now - own, other - own).min() > 0.98


def test_all_of_a_strangers_speech_is_changed_alike():
    window = people(per_speaker=1)
    made = strangers(window.repeat_interleave(2, dim=0), 2, torch.Generator().manual_seed(0), share=1.0)
    torch.testing.assert_close(made[::2], made[1::2])


def test_who_meets_nobody_stays_as_they_are():
    mels = people(n_speakers=1)
    torch.testing.assert_close(strangers(mels, 2, torch.Generator(), share=1.0), mels, rtol=0.02, atol=1e-5)


def test_a_share_of_the_speakers_become_strangers():
    mels = people(n_speakers=40)
    changed = (strangers(mels, 2, torch.Generator().manual_seed(0), share=0.5) != mels).any(dim=2).any(dim=1)
    assert (changed[::2] == changed[1::2]).all()
    assert 10 < int(changed[::2].sum()) < 30
    assert strangers(mels, 2, torch.Generator(), share=0.0).equal(mels)
