"""Ages the photos of a store, such as s3://bucket/photos, in many processes or on many computers.

    Place          a folder of any file system that fsspec knows
    Manifest       what became of each photo, as Parquet; by it a run that was stopped goes on
    ClusterRun     ages the photos; yields what became of each
    RayPool        the workers of a run, on a Ray that it starts or joins

Nothing here prints. It needs the packages of the extra `ray`.
"""

from reage.cluster.manifest import Manifest
from reage.cluster.places import Place
from reage.cluster.ray_pool import RayPool
from reage.cluster.run import ClusterRun
from reage.cluster.worker import WorkerConfig

__all__ = ["ClusterRun", "Manifest", "Place", "RayPool", "WorkerConfig"]
