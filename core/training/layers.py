"""What a teacher's layers know after each step, as hints for a student's layers.

Asked for its answers alone, a student of three recurrent layers comes to a stand long before it can do what its teacher
does: each layer waits for the others to be of use. Told what the teacher's layer at its height knows after every step,
each has something of its own to learn from the first step on: at first alone, reading what the teacher's layer below it
says, then apart, reading what its own lower one has come to, then together. Each of a layer's first units is told what
one unit of the teacher's says at the end of a step; what that said at the frames before is read off all of them by a
linear map. Told by a linear map alone, of no unit in particular, a layer leaves twice as much unlearnt after equal
minutes. No weight of the teacher's is used, and the student has its own number of units and its own, longer steps.
(FitNets: Romero et al. 2015, arXiv 1412.6550.)
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from core.models.ge2e import GE2E
from core.models.voiceprint import Voiceprint, in_steps

PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
FIRST = 5
"""Steps of a window after which too little is known to be told."""
BEGINNING = 0.3
"""How large the readers' weights are at first, beside ordinary ones."""
RIDGE = 1e-3
"""Of the variance of a student's states, added to it where the readers are fitted."""


def layer_states(lstm: nn.LSTM, x: Tensor, passed: float = 1.0, below: Sequence[Tensor] | None = None) -> list[Tensor]:
    """What each layer says after each step. x: (B, T, n) -> for each layer (B, T, hidden_size).

    passed: how much of what a layer is taught changes the ones below it; below: what the second layer and those above
    it read, (B, T, hidden_size) each, in place of what the layer below them says.
    """
    states = []
    for number in range(lstm.num_layers):
        weights = {f"{part}_l0": getattr(lstm, f"{part}_l{number}") for part in PARTS}
        if number and below is not None:
            x = below[number - 1]
        elif number:
            x = x.detach() + passed * (x - x.detach()) if passed else x.detach()
        one = nn.LSTM(x.shape[2], lstm.hidden_size, batch_first=True, device="meta")
        x = functional_call(one, weights, (x,))[0]
        states.append(x)
    return states


def can_be_told(network: Voiceprint | GE2E, teacher: GE2E) -> bool:
    """Whether its units can be told what the teacher's know: not those of a network that hears frame by frame as the
    teacher does, which would come out as its copy, nor of one narrower."""
    if not isinstance(network, Voiceprint) or network.config.stacked == 1:
        return False
    return network.config.hidden_size >= teacher.config.hidden_size


class Hints(nn.Module):
    """Reads the states of a teacher's layers off those of a student's, and gives a layer alone the teacher's to read.

    n_layers: of both; hidden_size: units of the student's layers, told_size: of the teacher's, not more; stacked: the
    teacher's steps in one of the student's, all of which are told.
    """

    def __init__(self, n_layers: int, hidden_size: int, told_size: int, stacked: int):
        super().__init__()
        self.stacked, self.told_size = stacked, told_size
        self.readers = nn.ModuleList(nn.Linear(hidden_size, (stacked - 1) * told_size) for _ in range(n_layers))
        for reader in self.readers:
            nn.init.uniform_(reader.weight, -BEGINNING / hidden_size**0.5, BEGINNING / hidden_size**0.5)
        self.register_buffer("variances", torch.ones(n_layers))
        self.register_buffer("axes", torch.zeros(n_layers - 1, stacked * told_size, hidden_size))

    @torch.no_grad()
    def begin(self, told: list[Tensor]) -> None:
        """Lets the readers of new layers begin at the mean of what the teacher's say, (B, T, told_size) each, and lays
        the axes."""
        self.lay_axes(told)
        for number, (reader, theirs) in enumerate(zip(self.readers, told, strict=True)):
            theirs = in_steps(theirs.float(), self.stacked)[:, FIRST:].flatten(0, 1).double()
            there = theirs.mean(dim=0)
            reader.bias.copy_(there[: reader.out_features])
            self.variances[number] = (theirs - there).square().mean()

    @torch.no_grad()
    def lay_axes(self, told: list[Tensor]) -> None:
        """Finds, for each layer but the last, the axes along which most happens in what the teacher's says, (B, T,
        told_size): as many as a layer of the student's can read."""
        for axes, theirs in zip(self.axes, told, strict=False):
            theirs = in_steps(theirs.float(), self.stacked).flatten(0, 1).double()
            vectors = torch.linalg.eigh(theirs.T @ theirs)[1].flip(1)
            n = min(axes.shape)
            axes[:, :n] = vectors[:, :n]

    def below(self, told: list[Tensor]) -> list[Tensor]:
        """What each layer but the first reads while it is alone, (B, T // stacked, hidden_size), of what the teacher's
        layer below it says, (B, T, told_size)."""
        return [in_steps(theirs.float(), self.stacked) @ axes for theirs, axes in zip(told, self.axes, strict=False)]

    def read(self, states: list[Tensor]) -> list[Tensor]:
        """What is read off each of the student's layers, (B, T, hidden_size): the teacher's at each of a step's frames,
        (B, T, stacked * told_size)."""
        return [
            torch.cat([reader(mine), mine[..., : self.told_size]], dim=-1)
            for reader, mine in zip(self.readers, states, strict=True)
        ]

    @torch.no_grad()
    def put_together(self, lstm: nn.LSTM) -> None:
        """Lets layers that learnt alone read the student's own layer below, through what is read off it."""
        for number, (axes, reader) in enumerate(zip(self.axes, self.readers, strict=False), 1):
            weight, bias = (getattr(lstm, f"{part}_ih_l{number}") for part in ("weight", "bias"))
            before, last = axes.split([reader.out_features, self.told_size])  # as `read` has them side by side
            told = before.T @ reader.weight
            told[:, : self.told_size] += last.T
            bias.add_(weight @ (before.T @ reader.bias))
            weight.copy_(weight @ told)

    @torch.no_grad()
    def fit(self, states: list[Tensor], told: list[Tensor]) -> list[Tensor]:
        """Sets the readers of layers that have learnt something to what reads best, by ridge regression: whatever they
        know already is found, but for what units are told one by one.

        Not for new layers, which hardly tell one thing from another: their readers would come out so large that nothing
        is learnt under them.

        states: of the student's layers, (B, T // stacked, hidden_size) each; told: of the teacher's, (B, T, told_size).
        Returns what `forward` then does.
        """
        for reader, mine, theirs in zip(self.readers, states, told, strict=True):
            theirs = in_steps(theirs.float(), self.stacked)[:, FIRST:].flatten(0, 1).double()
            mine = mine.float()[:, FIRST:].flatten(0, 1).double()
            theirs = theirs[:, : reader.out_features]
            here, there = mine.mean(dim=0), theirs.mean(dim=0)
            mine, theirs = mine - here, theirs - there
            squares = mine.T @ mine
            squares.diagonal().add_(RIDGE * squares.diagonal().mean())
            weight = torch.linalg.solve(squares, mine.T @ theirs).T
            reader.weight.copy_(weight)
            reader.bias.copy_(there - weight @ here)
        return self(states, told)

    def forward(self, states: list[Tensor], told: list[Tensor]) -> list[Tensor]:
        """For each layer how far what is read off the student's states is from the teacher's: the mean square of the
        difference, of their variance. Arguments as for `fit`."""
        apart = []
        for read, theirs, variance in zip(self.read(states), told, self.variances, strict=True):
            difference = (read.float() - in_steps(theirs.float(), self.stacked))[:, FIRST:]
            apart.append(difference.square().mean() / variance)
        return apart
