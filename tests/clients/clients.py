"""What the scripts share: boto3's client of the daemon under test, and waiting."""

import os
import time

import boto3

PATIENCE_S = 60


def elbv2():
    """boto3's client, as a user makes it: endpoint and credentials come from the environment."""
    endpoint = "http://" + os.environ["RINGCHECK_ENDPOINT"]
    return boto3.client("elbv2", endpoint_url=endpoint, region_name="us-east-1")


def until(what, is_so):
    """Asks again until it is so; what it answered then."""
    give_up = time.monotonic() + PATIENCE_S
    while not (answer := is_so()):
        assert time.monotonic() < give_up, f"never {what}"
        time.sleep(0.2)
    return answer


def equal(is_, should_be):
    """An assertion that says what differs."""
    assert is_ == should_be, f"is {is_!r}, should be {should_be!r}"
