"""The life of a target as users of Alibaba's SDK see it; its rules allow an interval of 1 s."""

from alibabacloud_tea_openapi.exceptions import ClientException

from alibaba import abnormal, add, done, listener_of, models, nlb, remove
from clients import equal, until
from targets import Target

HTTP = {
    "503": ("Unhealthy", "HTTP_CODE_NOT_MATCH"),
    "garbage": ("Unhealthy", "HTTP_INVALID_HEADER"),
    "refuse": ("Unhealthy", "CONNECT_FAILED"),
    "silent": ("Unhealthy", "CONNECT_TIMEOUT"),
}
TCP = {"refuse": ("Unhealthy", "CONNECT_FAILED"), "silent": ("Unhealthy", "CONNECT_TIMEOUT")}
CheckOf = models.CreateServerGroupRequestHealthCheckConfig
NewCheck = models.UpdateServerGroupAttributeRequestHealthCheckConfig
Names = models.UpdateServerGroupServersAttributeRequestServers


def create(name, check=None):
    request = models.CreateServerGroupRequest(
        server_group_name=name,
        server_group_type="Ip",
        vpc_id="vpc-1",
        protocol="TCP",
        connection_drain_enabled=True,
        connection_drain_timeout=2,
        health_check_config=check,
    )
    created = nlb.create_server_group(request).body
    done(created.job_id)
    return created.server_group_id


def change(group, **settings):
    request = models.UpdateServerGroupAttributeRequest(
        server_group_id=group, health_check_config=NewCheck(**settings)
    )
    done(nlb.update_server_group_attribute(request).body.job_id)


def becomes(listener, expected):
    seen = []
    try:
        until("so", lambda: seen.append(abnormal(listener)) or seen[-1] == expected)
    except AssertionError:
        raise AssertionError(f"is {seen[-1]}, should be {expected}") from None


def members(group):
    request = models.ListServerGroupServersRequest(server_group_id=group)
    return {s.server_ip: s.status for s in nlb.list_server_group_servers(request).body.servers}


# Defaults.
tcp = create("life-tcp")
http = create("life-http", CheckOf(health_check_type="HTTP"))
listed = nlb.list_server_groups(models.ListServerGroupsRequest(server_group_ids=[tcp, http])).body
checks = {group.server_group_id: group.health_check for group in listed.server_groups}
for check in checks.values():
    equal((check.health_check_enabled, check.health_check_connect_port), (True, 0))
    equal((check.health_check_interval, check.health_check_connect_timeout), (5, 5))
    equal((check.healthy_threshold, check.unhealthy_threshold), (2, 2))
equal([checks[group].health_check_type for group in [tcp, http]], ["TCP", "HTTP"])
equal(checks[http].health_check_http_code, ["http_2xx"])
equal((checks[http].health_check_http_version, checks[http].http_check_method), ("HTTP1.0", "GET"))
for group in [tcp, http]:
    change(group, health_check_interval=1, health_check_connect_timeout=1)

# Initial: nothing is said of who is normal.
ups = {tcp: [Target() for _ in TCP], http: [Target() for _ in HTTP]}
for group, targets in ups.items():
    add(group, targets)
unused = Target()
add(tcp, [unused], weight=0)
balancer, listeners = listener_of([tcp, http])
becomes(listeners[0], {unused.ip: ("Unused", None)})
becomes(listeners[1], {})
print("all are normal")

slow = Target("silent")
change(tcp, health_check_interval=50, health_check_connect_timeout=20)
add(tcp, [slow])
equal(abnormal(listeners[0])[slow.ip], ("Initial", None))
remove(tcp, [slow])
change(tcp, health_check_interval=1, health_check_connect_timeout=1)

for failures, targets in [(TCP, ups[tcp]), (HTTP, ups[http])]:
    for target, does in zip(targets, failures):
        target.do(does)
reasons = dict(zip([target.ip for target in ups[tcp]], TCP.values()))
becomes(listeners[0], reasons | {unused.ip: ("Unused", None)})
becomes(listeners[1], dict(zip([target.ip for target in ups[http]], HTTP.values())))
print("each is unhealthy for its own reason")

for target in ups[tcp] + ups[http]:
    target.do("200")
weight = Names(server_id=unused.ip, server_ip=unused.ip, server_type="Ip", port=unused.port, weight=5)
nlb.update_server_group_servers_attribute(
    models.UpdateServerGroupServersAttributeRequest(server_group_id=tcp, servers=[weight])
)
becomes(listeners[0], {})
becomes(listeners[1], {})
print("all are normal again")

change(http, health_check_enabled=False)
off = abnormal(listeners[1])
equal(off, {target.ip: ("Unavailable", None) for target in ups[http]})

# Removed: it drains, and is gone.
gone = ups[tcp][0]
remove(tcp, [gone])
equal(members(tcp)[gone.ip], "Removing")
until("gone", lambda: gone.ip not in members(tcp))
equal(set(members(tcp).values()), {"Available"})

# A page of errors.
Health = models.GetListenerHealthStatusRequest
errors = [
    (404, "ResourceNotFound.listener", lambda: nlb.get_listener_health_status(Health(listener_id="lsn-x"))),
    (404, "ResourceNotFound.serverGroup", lambda: remove("sgp-x", [unused])),
    (404, "ResourceNotFound.BackendServer", lambda: remove(tcp, [Target()])),
    (404, "ResourceNotFound.job", lambda: done("no-job")),
    (400, "IllegalParam", lambda: change(tcp, health_check_interval=51)),
    (400, "IllegalParam", lambda: change(tcp, healthy_threshold=11)),
    (400, "IllegalParam", lambda: change(tcp, health_check_http_code=["http_2xx"])),
    (400, "IllegalParam", lambda: create("https", CheckOf(health_check_type="HTTPS"))),
    (400, None, lambda: nlb.delete_server_group(models.DeleteServerGroupRequest(server_group_id=tcp))),
]
for number, (status, code, call) in enumerate(errors):
    try:
        answer = call()
    except ClientException as refused:
        print(refused.status_code, refused.code, "|", refused.message)
        equal((number, refused.status_code), (number, status))
        assert refused.code.startswith(code or ""), (number, refused.code)
        assert refused.request_id, refused
    else:
        raise AssertionError(f"error {number}, {code}, did not come: {answer}")

for listener in listeners:
    done(nlb.delete_listener(models.DeleteListenerRequest(listener_id=listener)).body.job_id)
nlb.delete_load_balancer(models.DeleteLoadBalancerRequest(load_balancer_id=balancer))
for group in [tcp, http]:
    request = models.DeleteServerGroupRequest(server_group_id=group)
    done(nlb.delete_server_group(request).body.job_id)
equal(nlb.list_server_groups(models.ListServerGroupsRequest()).body.total_count, 0)
print("done")
