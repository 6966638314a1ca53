"""Tables V and VI: segmenters of real images without masks, beside those that have seen some."""
