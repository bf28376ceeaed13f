"""Ages folders of photos: what is in them, what is done already, several processes at once, and what became of each.

    list_folder    the photos of a folder, each with the place of its result, and the files that are skipped
    FolderRun      ages them, in one process or several; yields what became of each

Nothing here prints.
"""

from reage.folders.listing import FolderPhoto, Listing, list_folder, list_photos
from reage.folders.resume import ResumeFile
from reage.folders.run import FolderRun, find_num_jobs
from reage.folders.worker import RunConfig

__all__ = [
    "FolderPhoto",
    "FolderRun",
    "Listing",
    "ResumeFile",
    "RunConfig",
    "find_num_jobs",
    "list_folder",
    "list_photos",
]
