"""The pictures that evaluations and trainers leave: everything here that needs matplotlib."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from core.evaluation.encoder import HEADLINE
from core.training.data import SAMPLE_RATE


def speech_bars(path: Path, report: dict, titles: dict[str, str]) -> None:
    """Bars of the main measures, one colour per system, as a PNG."""
    keys = [
        k
        for k in ("wer", "similarity_resemblyzer", "similarity_ours", "nearest_is_right_resemblyzer", "dnsmos")
        if any(k in s for s in report["systems"].values())
    ]
    figure = Figure(figsize=(2.6 * len(keys), 3.2), layout="constrained")
    for axis, key in zip(figure.subplots(1, len(keys), squeeze=False)[0], keys, strict=True):
        systems = {name: summary[key] for name, summary in report["systems"].items() if key in summary}
        axis.bar(
            range(len(systems)),
            systems.values(),
            color=["#4878a8" if "ours" in name else "#b0b0b0" for name in systems],
        )
        axis.set_xticks(range(len(systems)), systems, rotation=60, ha="right", fontsize=7)
        axis.set_title(titles[key], fontsize=9)
    figure.savefig(path, dpi=110)


def similarity_histograms(path: Path, histograms: dict[str, tuple], report: dict) -> None:
    """The similarities of pairs of one speaker and of two, a panel per model, as a PNG."""
    figure = Figure(figsize=(9, 3.2 * len(histograms)), layout="constrained")
    for axes, (who, (same, different)) in zip(
        figure.subplots(len(histograms), 1, squeeze=False)[:, 0], histograms.items(), strict=True
    ):
        bins = np.linspace(0, 1, 81)
        axes.hist(different, bins, density=True, alpha=0.7, label="two speakers", color="#c0563b")
        axes.hist(same, bins, density=True, alpha=0.7, label="one speaker", color="#2f7f86")
        eer = report["by_length"][f"{HEADLINE} s and more"][who]["eer_pairs"]
        axes.set(
            title=f"{who}: equal error rate of pairs {100 * eer:.2f} %",
            xlabel="cosine similarity of two utterances",
            ylabel="density",
        )
        axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def spectrogram_table(path: Path, pairs: list[tuple[str, dict[str, np.ndarray]]]) -> None:
    """One column per utterance, one row per version, PNG."""
    figure = Figure((6 * len(pairs), 9), layout="constrained", dpi=80)
    axes = figure.subplots(len(pairs[0][1]), len(pairs), squeeze=False)
    for column, (title, versions) in enumerate(pairs):
        for axis, (name, samples) in zip(axes[:, column], versions.items(), strict=True):
            _spectrogram(axis, samples[: 3 * SAMPLE_RATE])
            axis.set_title(f"{title}: {name}")
            axis.set_ylabel("Hz")
    figure.savefig(path)


def training_sample(path: Path, real: np.ndarray, made: np.ndarray) -> None:
    """Spectrograms of two sounds, float32 (n,) at 16 kHz, the real one over the made one."""
    axes = (figure := Figure((12, 6), layout="constrained")).subplots(2, 1)
    for axis, samples in zip(axes, (real, made), strict=True):
        _spectrogram(axis, samples)
    figure.savefig(path)


def _spectrogram(axis, samples: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(0, 1e-7, len(samples))  # digital silence has no logarithm
    axis.specgram(samples + noise, NFFT=512, noverlap=400, Fs=SAMPLE_RATE, vmin=-140, vmax=-30)
