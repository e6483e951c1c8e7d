import torch

from core.models.voiceprint import Voiceprint, VoiceprintConfig

TINY = VoiceprintConfig(n_mels=8, early=8, channels=12, dilations=(1, 2), pooled=16, attention=4, embedding_size=10)


def test_any_length_becomes_a_unit_vector_without_negative_values():
    torch.manual_seed(0)
    network = Voiceprint(TINY).eval()
    for n_frames in (50, 51, 97, 160):
        with torch.no_grad():
            embeddings = network(torch.randn(3, n_frames, 8))
        assert embeddings.shape == (3, 10)
        assert torch.isfinite(embeddings).all() and (embeddings >= 0).all()
        torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))


def test_a_window_is_judged_alone_whatever_its_batch():
    torch.manual_seed(0)
    network = Voiceprint(TINY).eval()
    mels = torch.randn(4, 80, 8)
    with torch.no_grad():
        torch.testing.assert_close(network(mels)[2:3], network(mels[2:3]))


def test_every_weight_learns():
    torch.manual_seed(0)
    network = Voiceprint(TINY).train()
    network.soft(torch.randn(6, 60, 8))[:, :3].sum().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # A softmax over time does not notice a constant added to all its scores.
    assert silent in ([], ["pool.score.2.bias"])


def test_the_full_network_fits_its_budget():
    n_parameters = sum(p.numel() for p in Voiceprint().parameters())
    assert 2 * n_parameters < 6_000_000  # bytes in the published file, two for each
