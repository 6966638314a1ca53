"""All pictures of a clustering run, as PNGs with captions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    "is greyed. With "
    "share of the samples' pixels, and IoU (eq. 4).",
    "maps": "Every pixel in the colour of its cluster, K = {k}; shares of the pixels shown.",
    "strip": "The same samples while clusters are merged. A cluster keeps its colour until it is merged into "
    "a larger one. "
    "The last merges, where every IoU is high, mean little.",
    "algorithms": "After Figs. 5 and 7. Colours of the other algorithms are matched to those of {main} by "
    "the pixels that they "
    "share; a cluster without a partner has a colour of its own.",
    "bars": "How well a plane tells each cluster from all others: of {k}, {bad} below {low:g}.",
    "iou": "IoU rises as clusters are merged, though not at every step. The first K at which the lowest is "
    "high enough "
    "is a place to stop.",
    "tree": "Merges from K = {k} on. Leaves: colour as in the maps, number, share of the fitted rows. "
    "Joints: red = the "
    "removed cluster was badly separable, blue = well; merges at blue joints mean little.",
    "step": "After Fig. 6. At K = {step.k} cluster {step.removed} has the lowest IoU, {step.iou:.2f}. Its "
    "confidence map "
    "is most like that of cluster {step.kept} (ECoS {step.ecos:.3f}), which takes it in. "
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
        look: samples and labels. folder: for the PNGs. names: of the clusters of the final classifier; None =
            those of the run.
    """

    def __init__(self, look: Look, folder: Path, names: Names | None = None) -> None:
        self.look, self.folder, self.low = look, folder, float(look.run.config.warn_iou)
        self.names = names or run_names(look.run, look.seed)
        self.titles = algorithm_titles(look.run)
        self.main = self.titles[look.default]

    def draw(self) -> list[Drawn]:
        """Write all of them."""
        drawers: list[Callable[[], Iterator[Drawn]]] = [
            self.clusters,
            self.maps,
            self.strip,
            self.grid,
            self.separability,
            self.tree,
            self.step,
        ]
        return [drawn for draw in drawers for drawn in draw()]

    def clusters(self) -> Iterator[Drawn]:
        """Each cluster of the final classifier, lit in the samples that show most of it."""
        look, key = self.look, (self.look.default, self.look.final)
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
            path = draw_maps(
                look.samples,
                labels,
                colours,
                texts,
                self.folder / f"maps-{k}.png",
                f"{self.main}, K = {k}"
                + (f", merged to {len(texts)} by their names" if len(texts) < k else ""),
            )
            yield _drawn("maps", "maps", path, k=k)

    def strip(self) -> Iterator[Drawn]:
        """A few samples while K falls."""
        look, few = self.look, self.look.settings.strip
        if look.tree is None:
            return
        maps = {
            k: paint(look.labels[look.default, k][:few], look.colours(look.default, k))
            for k in look.strip_numbers
        }
        path = draw_strip(
            look.samples[:few],
            maps,
            self.folder / "strip.png",
            f"{self.main}: merging from {look.tree.clusters_} clusters down to {min(maps)}",
        )
        yield _drawn("maps", "strip", path)

    def grid(self) -> Iterator[Drawn]:
        """All algorithms at all numbers of clusters."""
        panel = self.panel()
        if len({name for rows in panel.maps.values() for name in rows}) < 2:
            return
        path = draw_grid(
            [panel], self.folder / "algorithms.png", f"All algorithms at equal K, seed {self.look.seed}"
        )
        yield _drawn("algorithms", "algorithms", path, main=self.main)

    def panel(self) -> Panel:
        """The maps of all algorithms at the numbers that are shown."""
        look, few = self.look, self.look.settings.samples
        maps = {
            f"K = {k}": {
                title: paint(look.labels[name, k][:few], look.colours(name, k))
                for name, title in self.titles.items()
                if (name, k) in look.labels
            }
            for k in look.numbers
        }
        return Panel(str(look.run.config.get("title", look.run.folder.name)), look.samples, maps)

    def separability(self) -> Iterator[Drawn]:
        """IoU of each cluster at the final K, and the lowest one over all K."""
        look, iou = self.look, self.look.iou(self.look.final)
        if look.tree is None or iou is None:
            return
        bad = int((iou < self.low).sum())
        path = draw_bars(
            iou,
            self._numbered_names(),
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
        model, final = self.look.tree, self.look.final
        if model is None or not len(model.merges_):
            return
        last = model.clusters_ - len(model.merges_)
        for leaves in dict.fromkeys([min(max(_LEAVES, final), model.clusters_), model.clusters_]):
            if leaves <= last:
                continue
            name = "tree.png" if leaves == model.clusters_ else "tree-end.png"
            path = draw_tree(
                model,
                self.folder / name,
                f"{self.main}: merges from {leaves} clusters to {last}",
                leaves,
                final,
            )
            yield _drawn("merging", "tree", path, k=leaves)

    def step(self) -> Iterator[Drawn]:
        """The confidence maps of one merge."""
        look, step = self.look, self.look.step
        if step is None:
            return
        inside = (look.confidences[step.removed] > 0.5).long().numpy()
        chosen = best_samples(inside, 1, len(look.samples))
        before, after = (
            paint(look.labels[look.default, k][chosen], look.colours(look.default, k))
            for k in (step.k, step.k - 1)
        )
        sure = {cluster: maps[chosen] for cluster, maps in look.confidences.items()}
        path = draw_step(
            step,
            look.images[chosen],
            before,
            after,
            sure,
            look.colours(look.default, step.k),
            self.folder / "step.png",
            f"{self.main}: the merge from K = {step.k} to {step.k - 1}",
        )
        yield _drawn("merging", "step", path, step=step)

    def _parts(self, k: int) -> tuple[Labels, Colours, list[str]]:
        """Labels of the samples, colours and texts; at the final K, clusters of one name are one part."""
        look = self.look
        labels, colours = look.labels[look.default, k][: len(look.samples)], look.colours(look.default, k)
        shares = look.shares(look.default, k)
        names = self.names if k == look.final else Names(k)
        largest = [
            max(names.members(place), key=lambda cluster: shares[cluster])
            for place in range(len(names.titles))
        ]
        texts = [
            f"{title.removeprefix('cluster ')}: {100 * shares[names.members(place)].sum():.1f} %"
            for place, title in enumerate(names.titles)
        ]
        return names.apply(labels), colours[largest], texts

    def _cluster_texts(self) -> list[str]:
        """Number and name, share, IoU of each cluster of the final classifier."""
        look, iou = self.look, self.look.iou(self.look.final)
        shares = look.shares(look.default, look.final)
        return [
            f"{title}\n{100 * shares[cluster]:.1f} %"
            + ("" if iou is None else f"\nIoU {iou[cluster]:.2f}")
            + (" low" if iou is not None and iou[cluster] < self.low else "")
            for cluster, title in enumerate(self._numbered_names())
        ]

    def _numbered_names(self) -> list[str]:
        return numbered_names(self.names)


def numbered_names(names: Names) -> list[str]:
    """(K) '3 hair', or '3' where there is no name."""
    titles = [names.titles[place] for place in names.places]
    return [
        str(cluster) if title == f"cluster {cluster}" else f"{cluster} {title}"
        for cluster, title in enumerate(titles)
    ]


def run_names(run: ClusterRun, seed: int) -> Names:
    """The names of a run's final classifier; none where none were given, and for other fits than that of the
    first seed.

    Raises:
        ValueError: for names of another number of clusters.
    """
    path = run.folder / "names.json"
    clusters, named = int(run.config.final), path.is_file() and seed == run.seeds[0]
    return Names.read(path, clusters) if named else Names(clusters)


def algorithm_titles(run: ClusterRun) -> dict[str, str]:
    """{clusterer: what to call it}, different for each."""
    titles = {name: _title(dict(run.config.clusterers[name])) for name in run.clusterers}
    shared = [title for title in titles.values() if list(titles.values()).count(title) > 1]
    return {name: f"{title} ({name})" if title in shared else title for name, title in titles.items()}


def _title(component: dict[str, object]) -> str:
    if component["type"] == "AHC":
        return {"arccos": "AHC (arccos)"}.get(str(component.get("linkage")), "AHC (Ward)")
    return "K-means" if component["type"] == "LloydKMeans" else str(component["type"])


def _drawn(section: str, caption: str, path: Path, **values: Any) -> Drawn:
    return Drawn(section, path, _CAPTIONS[caption].format(**values))
