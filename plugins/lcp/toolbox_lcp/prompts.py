"""Prompts of clusters: learnt context words around the class name (LCP-GAN; CoOp, Zhou et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from toolbox.catalog import near_miss
from toolbox.interfaces import PromptLearner
from toolbox.ranges import check_not_negative, check_whole
from toolbox_lcp.layout import ClusterLayout

POSITIONS = ("end", "middle", "front")
FORMAT = "cluster-prompts/1"
_PLACEHOLDER = "X"  # one token of CLIP's vocabulary; holds the place of a context vector


class ClusterPrompts(PromptLearner):
    """t_{y,i} = [v_{y,i}^(1)] ... [v_{y,i}^(R)] [name of y]: R learnt vectors for each cluster of each class.

    Args:
        clip: the text encoder; not kept, its word embeddings are copied.
        class_names: names of the C classes; underscores become blanks.
        clusters: k_y, a number or {class name: number}.
        context: R, number of context vectors. Unknown in the paper; 16 is CoOp's main setting.
        position: where the name stands: 'end' (the paper), 'middle' or 'front' of the context.
        init: words to start the context from, such as 'a photo of a' (R is their number of tokens);
            None = N(0, init_std^2).
        init_std: of the random start, or of the noise that keeps clusters apart when they start from words.
            Unknown in the paper; 0.02 is CoOp's.
        shared: one context for all classes and clusters (plain CoOp), an ablation.
        learn: False = no context, the fixed sentence ``template``, an ablation.
        template: hand-written prompt with one ``{}`` for the name, used when ``learn`` is False.
        period: end the prompt with a full stop, as CoOp does. Unknown in the paper.

    Attributes:
        n_prompts: S, one for each cluster.
        context: parameter (S, R, d_token), or (1, R, d_token) if ``shared``; (0, 0, d_token) if nothing is
            learnt.

    Raises:
        ValueError: for prompts longer than CLIP's context, an unknown position, a template without ``{}``.
    """

    ids: Tensor
    words: Tensor
    order: Tensor
    class_of: Tensor

    def __init__(
        self,
        clip: Any,
        class_names: Sequence[str],
        clusters: int | Mapping[str, int] = 5,
        context: int = 16,
        position: str = "end",
        init: str | None = None,
        init_std: float = 0.02,
        shared: bool = False,
        learn: bool = True,
        template: str = "a photo of a {}",
        period: bool = True,
    ) -> None:
        super().__init__()
        if position not in POSITIONS:
            raise ValueError(
                f"position={position!r} must be one of {', '.join(POSITIONS)}{near_miss(position, POSITIONS)}"
            )
        if template.count("{}") != 1:
            raise ValueError(f"template={template!r} must contain '{{}}' once, where the class name goes")
        check_whole(1, context=context)
        check_not_negative(init_std=init_std)
        self.layout = ClusterLayout(class_names, clusters)
        self.n_prompts = self.layout.total
        self.position = position
        self.shared = shared
        self.learn = learn
        self.context = nn.Parameter(self._start(clip, context, init, init_std), requires_grad=learn)
        self._lay_out(clip, self._sentences(template), period)
        self.register_buffer("class_of", torch.tensor(self.layout.class_of_row), persistent=False)

    @property
    def length(self) -> int:
        """L: tokens of the longest prompt; what follows the end of the text is never computed."""
        return self.ids.shape[1]

    def _start(self, clip: Any, context: int, init: str | None, std: float) -> Tensor:
        """Context vectors to start from: random, or the embeddings of words with a little noise."""
        if not self.learn:
            return torch.zeros(0, 0, clip.token_width)
        rows = 1 if self.shared else self.n_prompts
        if init is None:
            return std * torch.randn(rows, context, clip.token_width)
        ids = clip.tokenize([init])[0]
        words_only = ids[None, 1 : int(ids.argmax())]  # between start and end, whose id is the largest
        words = clip.embed_tokens(words_only.to(_device(clip))).detach().cpu()  # (1, R, d_token)
        return words + std * torch.randn(rows, words.shape[1], clip.token_width)

    @property
    def _names(self) -> list[str]:
        return [name.replace("_", " ") for name in self.layout.class_names]

    def _sentences(self, template: str) -> list[str]:
        """One for each class, with placeholders before the name where context is learnt."""
        if not self.learn:
            return [template.format(name) for name in self._names]
        placeholders = [_PLACEHOLDER] * self.context.shape[1]
        return [" ".join([*placeholders, name]) for name in self._names]

    def _lay_out(self, clip: Any, sentences: Sequence[str], period: bool) -> None:
        """Token ids and embeddings of the sentences, and the order that puts context vectors into them."""
        slots = self.context.shape[1]
        ids = clip.tokenize([sentence + "." * period for sentence in sentences])  # (C, CLIP's length)
        ends = ids.argmax(dim=1)  # (C,); the end-of-text token has the largest id
        lengths = clip.tokenize(self._names).argmax(dim=1) - 1  # (C,) tokens of each name
        self._check_length(clip, ends, lengths + slots)
        ids = ids[:, : int(ends.max()) + 1]  # the causal mask makes this exact
        order = [_order(self.position, slots, int(n), ids.shape[1]) for n in lengths]
        with torch.no_grad():
            words = clip.embed_tokens(ids.to(_device(clip))).clone()
        self.register_buffer("ids", ids.to(words.device), persistent=False)  # (C, L)
        self.register_buffer("words", words, persistent=False)  # (C, L, d_token), placeholders included
        self.register_buffer("order", torch.tensor(order).to(words.device), persistent=False)  # (C, L)

    def _check_length(self, clip: Any, ends: Tensor, lengths: Tensor) -> None:
        cut = ends + 1 >= clip.context_length  # a text that just fits cannot be told from one that was cut
        if cut.any():
            worst = int(lengths.argmax())
            raise ValueError(
                f"the prompt of class {self._names[worst]!r} (context and name: {int(lengths[worst])} "
                f"tokens, start and end more) does not fit into CLIP's {clip.context_length} tokens: "
                "lower context, or shorten it"
            )

    def forward(self, which: Tensor, name: str | None = None) -> Tensor:
        """Token embeddings (N, L, d_token) of prompts ``which`` (N,): rows of the cluster table."""
        self.named(name)
        classes = self.class_of[which]
        sentences = self.words[classes]  # (N, L, d_token)
        if not self.learn:
            return sentences
        context = self.context[torch.zeros_like(which) if self.shared else which]  # (N, R, d_token)
        both = torch.cat([context, sentences], dim=1)  # (N, R + L, d_token)
        order = self.order[classes][:, :, None]  # (N, L, 1)
        return both.gather(1, order.expand(-1, -1, both.shape[2]))

    def encode(self, clip: Any, which: Tensor | None = None, name: str | None = None) -> Tensor:
        """Text features (N, d_clip) of prompts ``which`` (default: all S), differentiable in the context.

        Prompts that are alike (shared or hand-written ones of a class) are encoded once.
        """
        self.named(name)
        if which is None:
            which = torch.arange(self.n_prompts, device=self.class_of.device)
        if self.learn and not self.shared:
            return clip.encode_embeddings(self(which), self.ids[self.class_of[which]])
        classes, place = self.class_of[which].unique(return_inverse=True)
        first = torch.tensor(self.layout.offsets, device=which.device)[classes]  # any prompt of the class
        return clip.encode_embeddings(self(first), self.ids[classes])[place]

    def nearest_words(
        self, clip: Any, top: int = 1, which: Tensor | None = None
    ) -> list[list[list[tuple[str, float]]]]:
        """For each prompt and context slot the ``top`` nearest whole words with their Euclidean distance."""
        if which is not None:
            found = self.nearest_words(clip, top)
            return [found[int(row)] for row in which]
        rows, slots = self.context.shape[:2]
        if not slots:
            return [[] for _ in range(self.n_prompts)]
        found = clip.nearest_tokens(self.context.detach().flatten(0, 1), top)
        by_row = [found[row * slots : (row + 1) * slots] for row in range(rows)]
        return by_row * self.n_prompts if self.shared else by_row

    def export(self) -> dict[str, Any]:
        """dict(format, position, shared, prompts).

        Each prompt is a dict(class, cluster, context (R, d_token)); there are none if nothing is learnt.
        """
        prompts: list[dict[str, Any]] = []
        for row, context in enumerate(self.context.detach().cpu()):
            name, cluster = (None, None) if self.shared else self.layout.place(row)
            prompts.append({"class": name, "cluster": cluster, "context": context.clone()})
        return {"format": FORMAT, "position": self.position, "shared": self.shared, "prompts": prompts}

    def restore(self, record: Mapping[str, Any]) -> None:
        """Take over contexts that :meth:`export` wrote, by class name and cluster.

        A shared context fits any classes.

        Raises:
            ValueError: another format, position or kind of context, a missing or unknown prompt, another
                shape. Nothing is changed then.
        """
        for key, own in {"format": FORMAT, "position": self.position, "shared": self.shared}.items():
            if record.get(key) != own:
                raise ValueError(f"the prompts to import have {key}={record.get(key)!r}, here it is {own!r}")
        rows = {self._row(prompt): prompt["context"] for prompt in record["prompts"]}
        self._check_contexts(rows)
        with torch.no_grad():
            for row, context in rows.items():
                self.context[row] = context.to(self.context)

    def _check_contexts(self, rows: Mapping[int, Tensor]) -> None:
        missing = [self.layout.names[row] for row in range(len(self.context)) if row not in rows]
        if missing:
            raise ValueError(
                f"the prompts to import lack {len(missing)} of {len(self.context)}: {', '.join(missing[:5])}"
            )
        for row, context in rows.items():
            if context.shape != self.context.shape[1:]:
                raise ValueError(
                    f"the imported context of {self.layout.names[row]!r} is {tuple(context.shape)}, "
                    f"expected {tuple(self.context.shape[1:])} (context vectors, width of CLIP's token "
                    "embeddings)"
                )

    def _row(self, prompt: Mapping[str, Any]) -> int:
        return 0 if self.shared else self.layout.row(prompt["class"], int(prompt["cluster"]))


def _order(position: str, slots: int, name: int, length: int) -> list[int]:
    """Places in [context (slots), sentence (length)] that make up the prompt.

    end: [start][context][name . end]; middle: [start][half the context][name][other half][. end];
    front: [start][name][context][. end]. The end-of-text token keeps its place. ``name`` is the number of
    tokens of the name.
    """
    context = list(range(slots))
    sentence = list(range(slots, slots + length))  # [start][placeholders (slots)][name . end]
    words = sentence[1 + slots : 1 + slots + name]
    rest = sentence[1 + slots + name :]
    before = {"end": slots, "middle": slots // 2, "front": 0}[position]
    return [sentence[0], *context[:before], *words, *context[before:], *rest]


def _device(clip: nn.Module) -> torch.device:
    return next(clip.parameters()).device
