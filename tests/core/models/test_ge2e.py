import torch

from core.models.ge2e import GE2E, GE2EConfig, network_state

PUBLISHED = {
    "lstm.weight_ih_l0": (1024, 40),
    **{f"lstm.weight_ih_l{layer}": (1024, 256) for layer in (1, 2)},
    **{f"lstm.weight_hh_l{layer}": (1024, 256) for layer in (0, 1, 2)},
    **{f"lstm.bias_{kind}_l{layer}": (1024,) for kind in ("ih", "hh") for layer in (0, 1, 2)},
    "linear.weight": (256, 256),
    "linear.bias": (256,),
}


def test_names_and_shapes_are_those_of_the_published_checkpoint():
    network = GE2E()
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == PUBLISHED
    scalars = 2  # similarity_weight and similarity_bias belong to its loss
    assert sum(p.numel() for p in network.parameters()) + scalars == 1_423_618


def test_a_published_file_loads_strictly_without_its_loss():
    state = {name: torch.randn(shape) for name, shape in PUBLISHED.items()}
    scalars = {"similarity_weight": torch.ones(1), "similarity_bias": torch.ones(1)}
    checkpoint = {"step": 1, "model_state": {**scalars, **state}}
    bare = network_state(checkpoint)
    network = GE2E(GE2EConfig.of(bare))
    network.load_state_dict(bare, strict=True)
    assert torch.equal(network.linear.weight, state["linear.weight"])


def test_sizes_are_read_from_the_tensors():
    small = GE2EConfig(n_mels=20, hidden_size=8, embedding_size=12, n_layers=2)
    assert GE2EConfig.of(GE2E(small).state_dict()) == small


def test_embeddings_are_unit_length_and_not_negative():
    torch.manual_seed(0)
    with torch.no_grad():
        embeddings = GE2E(GE2EConfig(8, 16, 32, 2))(torch.rand(3, 20, 8))
    assert embeddings.shape == (3, 32)
    assert (embeddings >= 0).all()
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3), atol=1e-3, rtol=0)
