"""K-means of 1,000,000 embeddings by the libraries that have it: time, memory and inertia.

    pip install faiss-cpu scikit-learn
    python benchmarks/kmeans.py [--points=1000000] [--clusters=1000] [--iterations=20]

Points are unit vectors of 384 numbers around 5,000 directions, as embeddings of captions are; every
candidate runs in a process of its own, with all cores, on the same points. Inertia is the mean
squared distance of all points to the nearest centre, counted alike for all. Memory is the most that
the process held until it had the centres, the points included.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

WIDTH, DIRECTIONS, SPREAD = 384, 5_000, 0.7
CANDIDATES = ("faiss", "faiss, 256 points a cluster", "scikit-learn", "scikit-learn, mini batches")


def points(count: int) -> np.ndarray:
    """Return unit vectors, float32."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(DIRECTIONS, WIDTH)).astype(np.float32)
    found = directions[rng.integers(DIRECTIONS, size=count)]
    found += SPREAD * rng.standard_normal((count, WIDTH), dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def centres(candidate: str, x: np.ndarray, clusters: int, iterations: int) -> np.ndarray:
    """Cluster the points."""
    if candidate.startswith("faiss"):
        import faiss

        most = 256 if "256" in candidate else len(x) // clusters + 1
        kmeans = faiss.Kmeans(
            WIDTH, clusters, niter=iterations, seed=1, max_points_per_centroid=most
        )
        kmeans.train(x)
        return kmeans.centroids
    from sklearn.cluster import KMeans, MiniBatchKMeans

    options = {"n_clusters": clusters, "init": "random", "n_init": 1, "random_state": 1}
    if "mini" in candidate:
        return MiniBatchKMeans(batch_size=16_384, max_iter=1, **options).fit(x).cluster_centers_
    return KMeans(max_iter=iterations, tol=0, copy_x=False, **options).fit(x).cluster_centers_


def inertia(x: np.ndarray, found: np.ndarray) -> float:
    """Return the mean squared distance to the nearest centre."""
    squares = np.square(found).sum(axis=1)
    parts = [
        np.square(part).sum(axis=1) + (squares - 2 * part @ found.T).min(axis=1)
        for part in np.array_split(x, max(1, len(x) // 10_000))
    ]
    return float(np.concatenate(parts).mean())


def measure(candidate: str, file: Path, clusters: int, iterations: int) -> dict[str, float]:
    """Run one candidate here, on the points of a file."""
    x = np.load(file)
    start = time.perf_counter()
    found = centres(candidate, x, clusters, iterations)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "mebibytes": peak, "inertia": inertia(x, found)}


def main() -> None:
    """Run all candidates, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--clusters", type=int, default=1_000)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--candidate", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.file and not arguments.candidate:
        np.save(arguments.file, points(arguments.points))
        return
    if arguments.candidate:
        sizes = arguments.file, arguments.clusters, arguments.iterations
        print(json.dumps(measure(arguments.candidate, *sizes)))
        return
    with TemporaryDirectory() as folder:
        file = Path(folder) / "points.npy"
        # Not in this process: those that it starts would inherit its peak of memory as theirs.
        command = [sys.executable, __file__, *sys.argv[1:], f"--file={file}"]
        subprocess.run(command, check=True)
        for candidate in CANDIDATES:
            each = [*command, f"--candidate={candidate}"]
            found = json.loads(subprocess.run(each, check=True, capture_output=True).stdout)
            told = "  ".join(f"{key} {value:,.4g}" for key, value in found.items())
            print(f"{candidate:28}", told, flush=True)


if __name__ == "__main__":
    main()
