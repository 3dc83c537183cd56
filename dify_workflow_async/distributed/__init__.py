"""A batch over the workers of a Dask cluster, with a client in each."""
