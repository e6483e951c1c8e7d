"""A trained network built into one of more units, to go on learning from there."""

from torch import Tensor


def widened(narrow: dict[str, Tensor], wide: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of an LSTM and its last layer, in a network of more units that answers exactly as they do.

    The new units listen with what `wide` holds for them (random numbers), but nobody listens to them yet.
    Raises RuntimeError where `wide` is narrower, KeyError where it has other layers.
    """
    if narrow.keys() != wide.keys():
        raise KeyError("other layers")
    grown = {}
    for name, tensor in wide.items():
        gates = 4 if name.startswith("lstm") else 1
        old, new = narrow[name].float().unflatten(0, (gates, -1)), tensor.clone().unflatten(0, (gates, -1))
        n_units = old.shape[1]
        if old.dim() > 2 and new.shape[2] > old.shape[2]:
            new[:, :n_units, old.shape[2] :] = 0
            new[:, :n_units, : old.shape[2]] = old
        else:
            new[:, :n_units] = old
        grown[name] = new.flatten(0, 1)
    return grown
