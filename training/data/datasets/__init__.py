"""One module a data set; `training.data.datasets.registry.load_manifest` finds the right one."""
