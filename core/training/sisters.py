"""Several processes that teach the same network, each with batches of its own, and meet to go on from their mean.

Two processes of one thread learn half as much again in a minute as one of two threads, and the mean of networks that
went different ways for a few steps is better than either (local SGD: Stich 2019, arXiv 1805.09767).
"""

from collections.abc import Callable
from threading import Barrier, BrokenBarrierError

import torch
from torch import Tensor

PATIENCE = 600
"""Seconds to wait for the others: the first one judges and publishes meanwhile."""


class Sisters:
    """One of the processes: where it meets the others. vectors: (n, size), shared by all; place: its own among them."""

    def __init__(self, place: int, vectors: Tensor, barrier: Barrier):
        self.place, self.vectors, self.barrier = place, vectors, barrier

    def mean(self, mine: Tensor) -> Tensor:
        """The mean of what all bring, (size,). Waits for them. Raises BrokenBarrierError once one of them has ended."""
        self.vectors[self.place] = mine
        self.barrier.wait(PATIENCE)
        mean = self.vectors.mean(dim=0)
        self.barrier.wait(PATIENCE)  # nobody brings something new before everybody has read
        return mean

    def end(self) -> None:
        """Whoever waits for this one, now or later, learns that it has ended."""
        self.barrier.abort()


def begin_sisters(n: int, size: int, learn: Callable[..., None], *arguments: object) -> Sisters:
    """Starts n - 1 processes that call learn(sisters, *arguments), and returns this process's own place among them.

    size: of the vectors that they will meet with.
    """
    context = torch.multiprocessing.get_context("spawn")
    vectors, barrier = torch.zeros(n, size).share_memory_(), context.Barrier(n)
    for place in range(1, n):
        context.Process(
            target=_learn_along, args=(Sisters(place, vectors, barrier), learn, *arguments), daemon=True
        ).start()
    return Sisters(0, vectors, barrier)


def _learn_along(sisters: Sisters, learn: Callable[..., None], *arguments: object) -> None:
    """A process: until another one ends, or the keyboard says so."""
    try:
        learn(sisters, *arguments)
    except (BrokenBarrierError, KeyboardInterrupt):
        pass
    finally:
        sisters.end()
