"""Tempo: a feed-forward synthesizer with explicit durations, pitch, level and pauses.

Symbols and a voice in, a mel out, in one pass: nothing is attended to, so nothing can be skipped, repeated or babbled.

    ids (B, N, 4) -> text blocks -> prosody blocks -> frames, F0, voicing, level of every symbol
                          |                |
                          +---- repeated by frames, with the F0 as a comb over the mel bands
                                           |
                                     frame blocks at half the frame rate -> mel (B, T, 80)

All blocks are ConvNeXt's in one dimension, each normalisation scaled and shifted by the voice (FiLM). Ideas used:
FastSpeech 2 (Ren et al. 2021, explicit durations, pitch and energy), ConvNeXt (Liu et al. 2022) for speech as in
Vocos (Siuzdak 2023), FiLM (Perez et al. 2018). Differences: durations come from a forced aligner, phones are
encoded by their letters, pauses are symbols placed by a small network of their own where the text has no punctuation.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

N_PROSODY = 6
"""Per symbol: log frames, F0 at three points, voicing, level; F0 and level normalised by the trainer's constants."""
PAUSE_KINDS = 3
"""At a word boundary: none, short, long."""


@dataclass(frozen=True)
class TempoConfig:
    """Every size. n_letters: of the alphabet. n_kinds: kinds of recording told apart in training (0: clean)."""

    n_letters: int
    n_kinds: int = 4
    n_mels: int = 80
    d_voice: int = 256
    d_condition: int = 128
    d_text: int = 256
    text_blocks: int = 5
    d_prosody: int = 192
    prosody_blocks: int = 3
    d_pause: int = 96
    pause_blocks: int = 3
    d_frame: int = 320
    frame_blocks: int = 6
    reduction: int = 2
    comb_bands: int = 32
    band_hz: float = 37.2
    """Distance of the lowest mel bands, which is even below 1 kHz."""
    f0_mean: float = 5.0
    f0_std: float = 0.3


class Block(nn.Module):
    """ConvNeXt block: depthwise convolution, normalisation shaped by the condition, pointwise expansion, residual."""

    def __init__(self, width: int, d_condition: int, kernel: int = 7, expansion: int = 3, dropout: float = 0.0):
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.film = nn.Linear(d_condition, 2 * width)
        self.expand = nn.Linear(width, expansion * width)
        self.reduce = nn.Linear(expansion * width, width)
        self.gain = nn.Parameter(torch.full((width,), 0.3))
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, x: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        """X (B, L, C), condition (B, d_condition), mask (B, L, 1) of 0 and 1 -> (B, L, C)."""
        h = self.depthwise((x * mask).transpose(1, 2)).transpose(1, 2)
        scale, shift = self.film(condition).unsqueeze(1).chunk(2, -1)
        h = self.norm(h) * (1 + scale) + shift
        return x + self.gain * self.dropout(self.reduce(F.gelu(self.expand(h), approximate="tanh")))


class Letters(nn.Module):
    """Embeds symbols by their letters and stress: the sum over the slots."""

    def __init__(self, n_letters: int, width: int):
        super().__init__()
        self.first = nn.Embedding(n_letters, width)
        self.more = nn.Embedding(n_letters, width)
        self.stress = nn.Embedding(3, width)

    def forward(self, ids: Tensor) -> Tensor:
        """Ids (B, N, 4): letters and stress -> (B, N, width)."""
        more = self.more(ids[..., 1:-1]) * (ids[..., 1:-1] > 0)[..., None]
        return self.first(ids[..., 0]) + more.sum(2) + self.stress(ids[..., -1])


def length_mask(lengths: Tensor, longest: int) -> Tensor:
    """(B, longest, 1) float: 1 within each length."""
    return (torch.arange(longest, device=lengths.device)[None] < lengths[:, None]).float()[..., None]


def as_spoken(guess: Tensor) -> Tensor:
    """What `decode` takes of the prosody network's output: (B, N, N_PROSODY) -> (B, N, 5), voicing as a share."""
    return torch.cat([guess[..., 1:4], guess[..., 4:5].sigmoid(), guess[..., 5:]], -1)


class Tempo(nn.Module):
    """The network. Use `condition`, then `encode`, `prosody` and `decode`; `pauses` stands alone."""

    def __init__(self, config: TempoConfig):
        super().__init__()
        self.config = c = config
        self.voice = nn.Sequential(
            nn.Linear(c.d_voice, c.d_condition), nn.GELU(), nn.Linear(c.d_condition, c.d_condition)
        )
        self.kind = nn.Embedding(c.n_kinds, c.d_condition)
        self.letters = Letters(c.n_letters, c.d_text)
        self.text = nn.ModuleList(Block(c.d_text, c.d_condition, dropout=0.1) for _ in range(c.text_blocks))
        self.text_norm = nn.LayerNorm(c.d_text)
        self.prosody_in = nn.Linear(c.d_text, c.d_prosody)
        self.prosody_blocks = nn.ModuleList(
            Block(c.d_prosody, c.d_condition, 5, 2, 0.2) for _ in range(c.prosody_blocks)
        )
        self.prosody_out = nn.Linear(c.d_prosody, N_PROSODY)
        self.pause_letters = Letters(c.n_letters, c.d_pause)
        self.pause_blocks = nn.ModuleList(Block(c.d_pause, c.d_condition, 15, 2, 0.1) for _ in range(c.pause_blocks))
        self.pause_out = nn.Linear(c.d_pause, PAUSE_KINDS)
        self.with_prosody = nn.Linear(N_PROSODY - 1, c.d_text)
        self.frame_in = nn.Linear(c.reduction * (c.d_text + 4 + c.comb_bands), c.d_frame)
        self.frame_blocks = nn.ModuleList(Block(c.d_frame, c.d_condition) for _ in range(c.frame_blocks))
        self.frame_norm = nn.LayerNorm(c.d_frame)
        self.mel_out = nn.Linear(c.d_frame, c.reduction * c.n_mels)

    def condition(self, voice: Tensor, kind: Tensor) -> Tensor:
        """Voice (B, d_voice) of norm 1, kind (B,) -> (B, d_condition)."""
        return self.voice(voice * 16) + self.kind(kind)

    def encode(self, ids: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        """Ids (B, N, 4), mask (B, N, 1) -> states of the symbols (B, N, d_text)."""
        x = self.letters(ids)
        for block in self.text:
            x = block(x, condition, mask)
        return self.text_norm(x) * mask

    def prosody(self, states: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        """(B, N, N_PROSODY): means of log frames, F0 x 3, voicing (a logit), level. Does not disturb the states;
        the condition is to know how a voice speaks as well as how it sounds."""
        x = self.prosody_in(states.detach())
        for block in self.prosody_blocks:
            x = block(x, condition, mask)
        return self.prosody_out(x)

    def pauses(self, ids: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        """Logits (B, N, PAUSE_KINDS) of a pause at each symbol; they mean something at word boundaries only.

        ids: every pause written as a word boundary.
        """
        x = self.pause_letters(ids)
        for block in self.pause_blocks:
            x = block(x, condition.detach(), mask)
        return self.pause_out(x)

    def decode(self, states: Tensor, prosody: Tensor, frames: Tensor, condition: Tensor, length: int) -> Tensor:
        """The mel (B, length, n_mels), normalised by the trainer's constants.

        states (B, N, d_text). prosody (B, N, 5): F0 x 3, voicing in [0, 1], level. frames (B, N) int64.
        length: at least the largest sum of frames, a multiple of the reduction.
        """
        c = self.config
        states = states + self.with_prosody(prosody)
        owner, lasts, place = self._owners(frames, length)
        x = torch.gather(states, 1, owner[..., None].expand(-1, -1, states.shape[-1]))
        points = torch.gather(prosody, 1, owner[..., None].expand(-1, -1, prosody.shape[-1]))
        f0 = self._contour(points[..., :3].float(), place)
        comb = self._comb(f0, points[..., 3].float())
        x = torch.cat(
            [x, f0[..., None], place[..., None], 1 - place[..., None], 0.5 * lasts.log()[..., None], comb], -1
        )
        x = self.frame_in(x.reshape(len(x), length // c.reduction, -1))
        mask = length_mask((frames.sum(1) + c.reduction - 1) // c.reduction, length // c.reduction)
        for block in self.frame_blocks:
            x = block(x, condition, mask)
        return self.mel_out(self.frame_norm(x)).reshape(len(x), length, c.n_mels)

    def melody(self, prosody: Tensor, frames: Tensor) -> Tensor:
        """The F0 in Hz, (B, T), that `decode` of the same prosody and frames is asked for; it means something where the
        mel is voiced."""
        owner, _, place = self._owners(frames, int(frames.sum(1).max()))
        points = torch.gather(prosody[..., :3].float(), 1, owner[..., None].expand(-1, -1, 3))
        return self._hertz(self._contour(points, place))

    @staticmethod
    def _owners(frames: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of every frame (B, length): which symbol it belongs to, how many frames that lasts, the frame's place in it
        from 0 to 1. frames (B, N) int64."""
        ends = frames.cumsum(1)
        time = torch.arange(length, device=frames.device)[None].expand(len(frames), length).contiguous()
        owner = torch.searchsorted(ends, time, right=True).clamp(max=frames.shape[1] - 1)
        lasts = torch.gather(frames, 1, owner).clamp(min=1).float()
        return owner, lasts, (time - torch.gather(ends - frames, 1, owner) + 0.5) / lasts

    @staticmethod
    def _contour(points: Tensor, place: Tensor) -> Tensor:
        """F0 of every frame (B, T), straight lines through the points at 1/6, 1/2 and 5/6 of its symbol.

        points (B, T, 3), place (B, T) in [0, 1].
        """
        early = ((place - 1 / 6) * 3).clamp(0, 1)
        late = ((place - 1 / 2) * 3).clamp(0, 1)
        a, b, c = points.unbind(-1)
        return a + (b - a) * early + (c - b) * late

    def _comb(self, f0: Tensor, voicing: Tensor) -> Tensor:
        """Where harmonics fall among the low mel bands: (B, T, comb_bands), 1 on a harmonic, -1 between two."""
        c = self.config
        bands = torch.arange(1, c.comb_bands + 1, device=f0.device) * c.band_hz
        return torch.cos(2 * torch.pi * bands / self._hertz(f0)[..., None]) * voicing[..., None]

    def _hertz(self, f0: Tensor) -> Tensor:
        """From F0 normalised by the trainer's constants."""
        return torch.exp((f0 * self.config.f0_std + self.config.f0_mean).clamp(3.5, 6.6))
