"""What clustering runs share (KLiSH, section 4.1): samples, clusterers, seeds; and their small version."""

command = 'klish fit'
features = dict(images=256, size=256, truncation=0.5, noise='random')
clusterers = dict(
    klish=dict(type='KLiSH', clusters=100),
    kmeans=dict(type='LloydKMeans'),
    kasp=dict(type='KASP', centres=100),
    ahc_ward=dict(type='AHC', linkage='ward'),
    ahc_arccos=dict(type='AHC', linkage='arccos'))
shown = [30, 20]
seeds = [1990, 1991, 1992, 1993, 1994]
pictures = dict(samples=8)
# With --quick the embedded generator stands in for the published one (each config says so): this shows how a
# run goes, not what that one holds.
quick = dict(
    features=dict(images=12, layers=None, size=64),
    clusterers=dict(klish=dict(clusters=20), kasp=dict(centres=20),
                    ahc_ward=dict(rows=1000, classifier_steps=100),
                    ahc_arccos=dict(rows=1000, classifier_steps=100)),
    shown=[10], final=6, seeds=[1990])
