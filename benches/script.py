"""A simple exporter of export jobs with requests and prometheus_client, for comparison.

Usage: script.py BASE PROJECT PORT INTERVAL CLUSTER...
"""

import calendar
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests
from prometheus_client import Counter, Gauge, start_http_server

STATES = ("Queued", "InProgress", "Successful", "Failed", "Cancelled")
PAGE_SIZE = 500
THREADS = 8

JOBS = Gauge("atlas_export_jobs", "Number of export jobs.", ["cluster", "state"])
PROGRESS = Gauge("atlas_export_progress_ratio", "Progress of the newest job.", ["cluster"])
FINISHED = Gauge("atlas_export_last_finished_timestamp_seconds", "Last end of a job.", ["cluster", "state"])
UP = Gauge("atlas_export_up", "Whether the last poll succeeded.", ["cluster"])
POLLS = Counter("atlas_export_polls", "Number of completed polls.")


class Script:
    def __init__(self, base, project):
        self.base = f"{base}/api/atlas/v2/groups/{project}/clusters"
        self.token_url = f"{base}/api/oauth/token"
        self.local = threading.local()

    def session(self):
        if not hasattr(self.local, "session"):
            self.local.session = requests.Session()
        return self.local.session

    def token(self):
        data = {"grant_type": "client_credentials"}
        response = self.session().post(self.token_url, data=data, auth=("bench", "bench"))
        response.raise_for_status()
        return response.json()["access_token"]

    def jobs(self, cluster, token):
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.atlas.2023-01-01+json"}
        found, page = [], 1
        while True:
            response = self.session().get(
                f"{self.base}/{cluster}/backup/exports",
                params={"itemsPerPage": PAGE_SIZE, "pageNum": page},
                headers=headers,
            )
            response.raise_for_status()
            results = response.json()["results"]
            found += results
            if len(results) < PAGE_SIZE:
                return found
            page += 1

    def poll(self, cluster, token):
        try:
            record(cluster, self.jobs(cluster, token))
            UP.labels(cluster).set(1)
            POLLS.inc()
        except Exception as error:
            print(f"{cluster}: {error}", file=sys.stderr)
            UP.labels(cluster).set(0)


def timestamp(text):
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))


def record(cluster, jobs):
    counts, finished = dict.fromkeys(STATES, 0), {}
    for job in jobs:
        state = job["state"]
        counts[state] = counts.get(state, 0) + 1
        if job.get("finishedAt"):
            finished[state] = max(finished.get(state, 0), timestamp(job["finishedAt"]))
    for state, count in counts.items():
        JOBS.labels(cluster, state).set(count)
    for state, time_of_end in finished.items():
        FINISHED.labels(cluster, state).set(time_of_end)
    newest = max(jobs, key=lambda job: job["createdAt"], default={})
    status = newest.get("exportStatus") or {}
    if status.get("totalCollections"):
        PROGRESS.labels(cluster).set(status["exportedCollections"] / status["totalCollections"])


def main():
    base, project, port, interval, *clusters = sys.argv[1:]
    script = Script(base, project)
    start_http_server(int(port), addr="127.0.0.1")
    pool = ThreadPoolExecutor(THREADS)
    while True:
        started = time.monotonic()
        token = script.token()
        list(pool.map(lambda cluster: script.poll(cluster, token), clusters))
        time.sleep(max(0, float(interval) - (time.monotonic() - started)))


if __name__ == "__main__":
    main()
