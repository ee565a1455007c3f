"""The whole life of a target as boto3's users see it, with the intervals of the classic rules."""

from clients import elbv2, equal, until
from targets import Target

DRAINING_S = "3"
FAST = {"Delay": 1, "MaxAttempts": 60}

FAILED = ("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
TIMEOUT = ("unhealthy", "Target.Timeout", "Request timed out")
STATUS = ("unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [503]")
NOT_IN_USE = (
    "unused",
    "Target.NotInUse",
    "Target group is not configured to receive traffic from the load balancer",
)
INITIAL = ("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
HEALTHY = ("healthy", None, None)
DRAINING = (
    "draining",
    "Target.DeregistrationInProgress",
    "Target deregistration is in progress",
)
NOT_REGISTERED = (
    "unused",
    "Target.NotRegistered",
    "Target is not registered to the target group",
)

aws = elbv2()


class Group:
    """A target group with its targets, by what they will do when they fail."""

    def __init__(self, name, protocol, failures, defaults):
        created = aws.create_target_group(
            Name=name,
            Protocol="TCP",
            Port=80,
            VpcId="vpc-1",
            TargetType="ip",
            HealthCheckProtocol=protocol,
        )
        group = created["TargetGroups"][0]
        equal({key: group.get(key) for key in defaults}, defaults)
        self.arn = group["TargetGroupArn"]
        self.failures = failures
        self.targets = [Target() for _ in failures]

    def named(self, targets=None):
        return [{"Id": t.ip, "Port": t.port} for t in targets or self.targets]

    def health(self, targets=None):
        asked = self.named(targets)
        answer = aws.describe_target_health(TargetGroupArn=self.arn, Targets=asked)
        described = answer["TargetHealthDescriptions"]
        equal([(d["Target"]["Id"], d["Target"]["Port"]) for d in described],
              [(target["Id"], target["Port"]) for target in asked])
        equal([d["HealthCheckPort"] for d in described], [str(t["Port"]) for t in asked])
        health = [d["TargetHealth"] for d in described]
        return [(h["State"], h.get("Reason"), h.get("Description")) for h in health]

    def becomes(self, expected, targets=None):
        health = []
        try:
            until("so", lambda: health.append(self.health(targets)) or health[-1] == expected)
        except AssertionError:
            raise AssertionError(f"is {health[-1]}, should be {expected}") from None

    def wait(self, waiter):
        waiter = aws.get_waiter(waiter)
        waiter.wait(TargetGroupArn=self.arn, Targets=self.named(), WaiterConfig=FAST)


# The guide's defaults.
common = {
    "Protocol": "TCP",
    "Port": 80,
    "TargetType": "ip",
    "HealthCheckEnabled": True,
    "HealthCheckPort": "traffic-port",
    "HealthCheckIntervalSeconds": 30,
    "HealthyThresholdCount": 3,
    "UnhealthyThresholdCount": 3,
}
tcp = common | {
    "HealthCheckProtocol": "TCP",
    "HealthCheckTimeoutSeconds": 10,
    "HealthCheckPath": None,
    "Matcher": None,
}
http = common | {
    "HealthCheckProtocol": "HTTP",
    "HealthCheckTimeoutSeconds": 6,
    "HealthCheckPath": "/",
    "Matcher": {"HttpCode": "200-399"},
}
groups = [
    Group("life-tcp", "TCP", {"refuse": FAILED, "silent": TIMEOUT}, tcp),
    Group(
        "life-http",
        "HTTP",
        {"refuse": FAILED, "silent": TIMEOUT, "503": STATUS, "garbage": FAILED, "200": HEALTHY},
        http,
    ),
]

# As fast as the classic rules allow.
for group in groups:
    changed = aws.modify_target_group(
        TargetGroupArn=group.arn,
        HealthCheckIntervalSeconds=10,
        HealthyThresholdCount=2,
        UnhealthyThresholdCount=2,
    )["TargetGroups"][0]
    equal(changed["HealthCheckIntervalSeconds"], 10)
    equal((changed["HealthyThresholdCount"], changed["UnhealthyThresholdCount"]), (2, 2))
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": DRAINING_S}
    attributes = aws.modify_target_group_attributes(TargetGroupArn=group.arn, Attributes=[delay])
    assert delay in attributes["Attributes"], attributes

# Registered, but no listener forwards to them.
silent = Target("silent")
for group in groups:
    aws.register_targets(TargetGroupArn=group.arn, Targets=group.named())
    equal(group.health(), [NOT_IN_USE] * len(group.targets))
aws.register_targets(TargetGroupArn=groups[0].arn, Targets=groups[0].named([silent]))

subnets = ["subnet-us-east-1a", "subnet-us-east-1b"]
created = aws.create_load_balancer(Name="life", Type="network", Subnets=subnets)
balancer = created["LoadBalancers"][0]["LoadBalancerArn"]
aws.get_waiter("load_balancer_available").wait(LoadBalancerArns=[balancer], WaiterConfig=FAST)
listeners = []
for port, group in zip([80, 81], groups):
    forward = {"Type": "forward", "TargetGroupArn": group.arn}
    listener = aws.create_listener(
        LoadBalancerArn=balancer, Protocol="TCP", Port=port, DefaultActions=[forward]
    )
    listeners.append(listener["Listeners"][0]["ListenerArn"])
shown = aws.describe_target_groups(LoadBalancerArn=balancer)["TargetGroups"]
equal([g["LoadBalancerArns"] for g in shown], [[balancer], [balancer]])

# Who says nothing is not decided before its second timeout.
groups[0].becomes([INITIAL], [silent])
for group in groups:
    group.wait("target_in_service")
    equal(group.health(), [HEALTHY] * len(group.targets))
print("all are healthy")

for group in groups:
    for target, failure in zip(group.targets, group.failures):
        target.do(failure)
for group in groups:
    group.becomes(list(group.failures.values()))
groups[0].becomes([TIMEOUT], [silent])
print("each is unhealthy for its own reason")

for group in groups:
    for target in group.targets:
        target.do("200")
silent.do("200")
for group in groups:
    group.wait("target_in_service")
print("all are healthy again")

for group in groups:
    aws.deregister_targets(TargetGroupArn=group.arn, Targets=group.named())
    equal(group.health(), [DRAINING] * len(group.targets))
for group in groups:
    group.wait("target_deregistered")
    equal(group.health(), [NOT_REGISTERED] * len(group.targets))
groups[0].becomes([HEALTHY], [silent])

# Settings can be changed at any time, the protocol too.
changed = aws.modify_target_group(TargetGroupArn=groups[0].arn, HealthCheckProtocol="HTTP")
equal(changed["TargetGroups"][0]["HealthCheckTimeoutSeconds"], 6)

aws.delete_listener(ListenerArn=listeners[0])
equal(groups[0].health([silent]), [NOT_IN_USE])
aws.delete_load_balancer(LoadBalancerArn=balancer)
for group in groups:
    aws.delete_target_group(TargetGroupArn=group.arn)
equal(aws.describe_target_groups()["TargetGroups"], [])
print("done")
