"""Transformer blocks as the released code of Li et al. (ICASSP 2022) has them: normalised last, without positions."""

import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """Attention over the steps and two fully connected layers, (N, T, D) -> (N, T, D).

    x <- norm(x + attention(x)), then x <- norm(x + inner(x)), with ReLU between the layers (Vaswani et al., NeurIPS
    2017). `dropout`: of the attention, and of what each of both adds.
    """

    def __init__(self, features: int, heads: int, inner: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.projections = nn.Linear(features, 3 * features)
        self.output = nn.Linear(features, features)
        self.inner = nn.Sequential(nn.Linear(features, inner), nn.ReLU(), nn.Linear(inner, features))
        self.norms = nn.ModuleList(nn.LayerNorm(features) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norms[0](x + self._dropped(self.output(self._attention(x))))
        return self.norms[1](x + self._dropped(self.inner(x)))

    def _attention(self, x: Tensor) -> Tensor:
        query, key, value = self.projections(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        heard = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return heard.transpose(1, 2).flatten(2)

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class Transformer(nn.Module):
    """`passes` blocks, (N, T, D) -> (N, T, D): the same one again, as released, or each with weights of its own.

    `inner`: the size between a block's fully connected layers; None for `features`.

    Raises:
        ValueError: `heads` do not divide the features.
    """

    def __init__(
        self,
        features: int,
        passes: int = 2,
        shared: bool = True,
        heads: int = 8,
        inner: int | None = None,
        dropout: float = 0.75,
    ):
        super().__init__()
        if passes and features % heads:
            raise ValueError(f"{heads} heads do not divide {features} features; give another number of heads")
        self.passes = passes
        blocks = min(passes, 1) if shared else passes
        self.blocks = nn.ModuleList(Block(features, heads, inner or features, dropout) for _ in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        for number in range(self.passes):
            x = self.blocks[number % len(self.blocks)](x)
        return x
