"""All pictures of a clustering run, as PNGs with captions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from toolbox_klish.pictures.clusters import best_samples, draw_clusters
from toolbox_klish.pictures.look import Labels, Look
from toolbox_klish.pictures.maps import Panel, draw_grid, draw_maps, draw_strip, paint
from toolbox_klish.pictures.palette import Colours
from toolbox_klish.pictures.separability import draw_bars, draw_iou
from toolbox_klish.pictures.step import draw_step
from toolbox_klish.pictures.tree import draw_tree
from toolbox_klish.runs.naming import Names
from toolbox_klish.runs.run import ClusterRun

_LEAVES = 40  # a larger tree is also drawn from this K on
_CAPTIONS = {
    "clusters": "The {k} clusters, each lit in those of {images} new samples that show most of it; all else "
    "is greyed. With share of the samples' pixels, and IoU (eq. 4).",
    "maps": "Every pixel in the colour of its cluster, K = {k}; shares of the pixels shown.",
    "strip": "The same samples while clusters are merged. A cluster keeps its colour until it is merged into "
    "a larger one. The last merges, where every IoU is high, mean little.",
    "algorithms": "After Figs. 5 and 7. Colours of the other algorithms are matched to those of {main} by "
    "the pixels that they share; a cluster without a partner has a colour of its own.",
    "bars": "How well a plane tells each cluster from all others: of {k}, {bad} below {low:g}.",
    "iou": "IoU rises as clusters are merged, though not at every step. The first K at which the lowest is "
    "high enough is a place to stop.",
    "tree": "Merges from K = {k} on. Leaves: colour as in the maps, number, share of the fitted rows. "
    "Joints: red = the removed cluster was badly separable, blue = well; merges at blue joints mean little.",
    "step": "After Fig. 6. At K = {step.k} cluster {step.removed} has the lowest IoU, {step.iou:.2f}. Its "
    "confidence map is most like that of cluster {step.kept} (ECoS {step.ecos:.3f}), which takes it in. "
    "The samples are those that show most of it.",
}


@dataclass(frozen=True)
class Drawn:
    """A picture that was written: the section of the report it belongs to, its file, and what it shows."""

    section: str
    path: Path
    caption: str


class RunPictures:
    """Draws what a look at a run gives rise to.

    Args:
        look: samples and labels.
        folder: for the PNGs.
        names: of the clusters of the final classifier; None = those of the run.
    """

    def __init__(self, look: Look, folder: Path, names: Names | None = None) -> None:
        self.look = look
        self.folder = folder
        self.low = float(look.run.config.warn_iou)
        self.names = names or run_names(look.run, look.seed)
        self.titles = algorithm_titles(look.run)
        self.main = self.titles[look.default]

    def draw(self) -> list[Drawn]:
        """Write all of them."""
        return [
            *self.clusters(),
            *self.maps(),
            *self.strip(),
            *self.grid(),
            *self.separability(),
            *self.tree(),
            *self.step(),
        ]

    def clusters(self) -> Iterator[Drawn]:
        """Each cluster of the final classifier, lit in the samples that show most of it."""
        look = self.look
        key = (look.default, look.final)
        if key not in look.labels:
            return
        path = draw_clusters(
            look.images,
            look.labels[key],
            self._cluster_texts(),
            self.folder / "clusters.png",
            f"{self.main}, K = {look.final}: each cluster in the samples that show most of it",
        )
        yield _drawn("clusters", "clusters", path, k=look.final, images=len(look.images))

    def maps(self) -> Iterator[Drawn]:
        """Samples beside their cluster maps, at every K; at the final one under the names that were given."""
        look = self.look
        for k in dict.fromkeys([look.final, *look.numbers]):
            if (look.default, k) not in look.labels:
                continue
            labels, colours, texts = self._parts(k)
            title = f"{self.main}, K = {k}"
            if len(texts) < k:
                title += f", merged to {len(texts)} by their names"
            path = draw_maps(look.samples, labels, colours, texts, self.folder / f"maps-{k}.png", title)
            yield _drawn("maps", "maps", path, k=k)

    def strip(self) -> Iterator[Drawn]:
        """A few samples while K falls."""
        look = self.look
        few = look.settings.strip
        if look.tree is None:
            return
        maps = {}
        for k in look.strip_numbers:
            maps[k] = paint(look.labels[look.default, k][:few], look.colours(look.default, k))
        title = f"{self.main}: merging from {look.tree.clusters_} clusters down to {min(maps)}"
        path = draw_strip(look.samples[:few], maps, self.folder / "strip.png", title)
        yield _drawn("maps", "strip", path)

    def grid(self) -> Iterator[Drawn]:
        """All algorithms at all numbers of clusters."""
        panel = self.panel()
        if len(set().union(*panel.maps.values())) < 2:
            return
        title = f"All algorithms at equal K, seed {self.look.seed}"
        path = draw_grid([panel], self.folder / "algorithms.png", title)
        yield _drawn("algorithms", "algorithms", path, main=self.main)

    def panel(self) -> Panel:
        """The maps of all algorithms at the numbers that are shown."""
        look = self.look
        few = look.settings.samples
        maps: dict[str, dict[str, Tensor]] = {}
        for k in look.numbers:
            block = maps[f"K = {k}"] = {}
            for name, title in self.titles.items():
                if (name, k) in look.labels:
                    block[title] = paint(look.labels[name, k][:few], look.colours(name, k))
        return Panel(str(look.run.config.get("title", look.run.folder.name)), look.samples, maps)

    def separability(self) -> Iterator[Drawn]:
        """IoU of each cluster at the final K, and the lowest one over all K."""
        look = self.look
        iou = look.iou(look.final)
        if look.tree is None or iou is None:
            return
        bad = int((iou < self.low).sum())
        path = draw_bars(
            iou,
            numbered_names(self.names),
            self.folder / "iou-bars.png",
            f"{self.main}, K = {look.final}: IoU of each cluster, {bad} below {self.low:g}",
            self.low,
        )
        yield _drawn("separability", "bars", path, k=look.final, bad=bad, low=self.low)
        path = draw_iou(
            look.tree,
            self.folder / "iou.png",
            f"{self.main}: separability over the number of clusters",
            self.low,
            look.final,
        )
        yield _drawn("separability", "iou", path)

    def tree(self) -> Iterator[Drawn]:
        """The merge tree, and its end alone where it is large."""
        model = self.look.tree
        final = self.look.final
        if model is None or not len(model.merges_):
            return
        first = model.clusters_
        last = first - len(model.merges_)
        for leaves in dict.fromkeys([min(max(_LEAVES, final), first), first]):
            if leaves <= last:
                continue
            name = "tree.png" if leaves == first else "tree-end.png"
            title = f"{self.main}: merges from {leaves} clusters to {last}"
            path = draw_tree(model, self.folder / name, title, leaves, final)
            yield _drawn("merging", "tree", path, k=leaves)

    def step(self) -> Iterator[Drawn]:
        """The confidence maps of one merge."""
        look = self.look
        step = look.step
        if step is None:
            return
        inside = (look.confidences[step.removed] > 0.5).long().numpy()
        chosen = best_samples(inside, 1, len(look.samples))
        painted = []
        for k in (step.k, step.k - 1):
            painted.append(paint(look.labels[look.default, k][chosen], look.colours(look.default, k)))
        sure = {cluster: maps[chosen] for cluster, maps in look.confidences.items()}
        path = draw_step(
            step,
            look.images[chosen],
            painted[0],
            painted[1],
            sure,
            look.colours(look.default, step.k),
            self.folder / "step.png",
            f"{self.main}: the merge from K = {step.k} to {step.k - 1}",
        )
        yield _drawn("merging", "step", path, step=step)

    def _parts(self, k: int) -> tuple[Labels, Colours, list[str]]:
        """Labels of the samples, colours and texts; at the final K, clusters of one name are one part."""
        look = self.look
        labels = look.labels[look.default, k][: len(look.samples)]
        shares = look.shares(look.default, k)
        names = self.names if k == look.final else Names(k)
        largest = []  # the cluster whose colour each part takes
        texts = []
        for place, title in enumerate(names.titles):
            members = names.members(place)
            largest.append(max(members, key=lambda cluster: shares[cluster]))
            texts.append(f"{title.removeprefix('cluster ')}: {100 * shares[members].sum():.1f} %")
        return names.apply(labels), look.colours(look.default, k)[largest], texts

    def _cluster_texts(self) -> list[str]:
        """Number and name, share, IoU of each cluster of the final classifier."""
        iou = self.look.iou(self.look.final)
        shares = self.look.shares(self.look.default, self.look.final)
        texts = []
        for cluster, title in enumerate(numbered_names(self.names)):
            text = f"{title}\n{100 * shares[cluster]:.1f} %"
            if iou is not None:
                low = " low" if iou[cluster] < self.low else ""
                text += f"\nIoU {iou[cluster]:.2f}{low}"
            texts.append(text)
        return texts


def numbered_names(names: Names) -> list[str]:
    """(K) '3 hair', or '3' where there is no name."""
    found = []
    for cluster, place in enumerate(names.places):
        title = names.titles[place]
        found.append(str(cluster) if title == f"cluster {cluster}" else f"{cluster} {title}")
    return found


def run_names(run: ClusterRun, seed: int) -> Names:
    """The names of a run's final classifier; none where none were given, or for another seed than the first.

    Raises:
        ValueError: for names of another number of clusters.
    """
    path = run.folder / "names.json"
    clusters = int(run.config.final)
    named = path.is_file() and seed == run.seeds[0]
    return Names.read(path, clusters) if named else Names(clusters)


def algorithm_titles(run: ClusterRun) -> dict[str, str]:
    """{clusterer: what to call it}, different for each."""
    titles = {name: _title(dict(run.config.clusterers[name])) for name in run.clusterers}
    counts = Counter(titles.values())
    return {name: title if counts[title] == 1 else f"{title} ({name})" for name, title in titles.items()}


def _title(component: dict[str, object]) -> str:
    if component["type"] == "AHC":
        return {"arccos": "AHC (arccos)"}.get(str(component.get("linkage")), "AHC (Ward)")
    return "K-means" if component["type"] == "LloydKMeans" else str(component["type"])


def _drawn(section: str, caption: str, path: Path, **values: Any) -> Drawn:
    return Drawn(section, path, _CAPTIONS[caption].format(**values))
