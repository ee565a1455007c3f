"""What the Alibaba scripts share: the SDK's client, short words for its models, pages."""

import os

from alibabacloud_nlb20220430 import models
from alibabacloud_nlb20220430.client import Client
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.runtime import ExtendsParameters, RuntimeOptions

REGION = "cn-hangzhou"

nlb = Client(
    Config(
        endpoint=os.environ["RINGCHECK_ENDPOINT"],
        protocol="http",
        region_id=REGION,
        access_key_id=os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"],
        access_key_secret=os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"],
    )
)


def server(target, weight=100):
    """A target as a server to add."""
    return models.AddServersToServerGroupRequestServers(
        server_type="Ip", server_id=target.ip, server_ip=target.ip, port=target.port, weight=weight
    )


def add(group, targets, weight=100):
    """Adds targets to a server group, and waits for the job as Terraform does."""
    servers = [server(target, weight) for target in targets]
    request = models.AddServersToServerGroupRequest(server_group_id=group, servers=servers)
    done(nlb.add_servers_to_server_group(request).body.job_id)


def remove(group, targets):
    """Removes targets from a server group."""
    of = models.RemoveServersFromServerGroupRequestServers
    servers = [of(server_type="Ip", server_id=t.ip, server_ip=t.ip, port=t.port) for t in targets]
    request = models.RemoveServersFromServerGroupRequest(server_group_id=group, servers=servers)
    done(nlb.remove_servers_from_server_group(request).body.job_id)


def done(job):
    """A job is done at once."""
    status = nlb.get_job_status(models.GetJobStatusRequest(job_id=job)).body.status
    assert status == "Succeeded", status


def listener_of(groups):
    """A load balancer with a listener a group: its id, and theirs."""
    zone = models.CreateLoadBalancerRequestZoneMappings(zone_id="cn-hangzhou-a", v_switch_id="vsw-1")
    created = nlb.create_load_balancer(
        models.CreateLoadBalancerRequest(
            load_balancer_name="edge",
            address_type="Internet",
            vpc_id="vpc-1",
            zone_mappings=[zone],
        )
    )
    balancer = created.body.loadbalancer_id
    listeners = []
    for port, group in enumerate(groups, 80):
        request = models.CreateListenerRequest(
            load_balancer_id=balancer,
            listener_port=port,
            listener_protocol="TCP",
            server_group_id=group,
        )
        created = nlb.create_listener(request).body
        done(created.job_id)
        listeners.append(created.listener_id)
    return balancer, listeners


def health_page(listener, token="", max_results=20):
    """One page of GetListenerHealthStatus. The models of 4.x have no paging: it goes beside them."""
    queries = {"MaxResults": str(max_results)} | ({"NextToken": token} if token else {})
    runtime = RuntimeOptions(extends_parameters=ExtendsParameters(queries=queries))
    request = models.GetListenerHealthStatusRequest(listener_id=listener, region_id=REGION)
    return nlb.get_listener_health_status_with_options(request, runtime).body


def abnormal(listener):
    """Address: (status, reason code) of the servers that are not normal, from all pages."""
    servers, token = {}, ""
    while True:
        page = health_page(listener, token)
        for info in page.listener_health_status[0].server_group_infos:
            for each in info.non_normal_servers:
                servers[each.server_id] = (each.status, each.reason and each.reason.reason_code)
        token = page.next_token
        if not token:
            return servers
