"""Photos, manifests, splits and the readers of data sets."""
