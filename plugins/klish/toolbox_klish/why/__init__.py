"""Why AHC by angle is ahead of KLiSH on some generators: settings and data changed one at a time."""
