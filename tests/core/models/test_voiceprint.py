import torch

from core.models.voiceprint import Voiceprint, VoiceprintConfig

TINY = VoiceprintConfig(n_mels=8, hidden_size=12, n_layers=2, embedding_size=10)


def tiny() -> Voiceprint:
    torch.manual_seed(0)
    return Voiceprint(TINY)


def test_any_length_becomes_a_unit_vector_without_negative_values():
    for n_frames in (50, 51, 97, 160):
        with torch.no_grad():
            embeddings = tiny()(torch.rand(3, n_frames, 8))
        assert embeddings.shape == (3, 10)
        assert torch.isfinite(embeddings).all() and (embeddings >= 0).all()
        torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))


def test_a_window_is_judged_alone_whatever_its_batch():
    mels = torch.rand(4, 80, 8)
    with torch.no_grad():
        torch.testing.assert_close(tiny()(mels)[2:3], tiny()(mels[2:3]))


def test_after_each_step_it_answers_for_the_window_so_far():
    network, mels = tiny(), torch.rand(2, 20, 8).tile(1, 3, 1)  # as loud from beginning to end
    with torch.no_grad():
        each = network.soft_each(mels)
        assert each.shape == (2, 30, 10)
        torch.testing.assert_close(each[:, -1], network.soft(mels))
        torch.testing.assert_close(each[:, 9], network.soft(mels[:, :20]))


def test_short_and_long_are_heard_together_as_alone():
    network, short = tiny(), torch.rand(3, 40, 8)
    with torch.no_grad():
        for n_frames in (30, 40, 41, 90):
            long = torch.rand(2, n_frames, 8)
            answers = network.together(short, long)
            for answer, alone in zip(answers, (network(short), network(long)), strict=True):
                torch.testing.assert_close(answer, alone)


def test_loudness_is_no_part_of_a_voice():
    mels = torch.rand(3, 60, 8)
    with torch.no_grad():
        torch.testing.assert_close(tiny()(mels), tiny()(50 * mels))


def test_every_weight_learns():
    network = tiny()
    network.soft(torch.rand(6, 60, 8))[:, :3].sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_the_full_network_fits_its_budget():
    n_parameters = sum(p.numel() for p in Voiceprint().parameters())
    assert 2 * n_parameters < 6_000_000  # bytes in the published file, two for each
