"""Pages of groups, and a page of errors: each with AWS's code and text, as boto3 raises it."""

from botocore.exceptions import ClientError

from clients import elbv2, equal

aws = elbv2()


def create(name, **settings):
    settings = {"Protocol": "TCP", "Port": 80, "VpcId": "vpc-1", "TargetType": "ip"} | settings
    return aws.create_target_group(Name=name, **settings)["TargetGroups"][0]


# Pages: 25 groups by 10, by hand and by the paginator, while one comes and one goes.
names = [f"page-{number:02}" for number in range(25)]
arns = {name: create(name)["TargetGroupArn"] for name in names}
first = aws.describe_target_groups(PageSize=10)
equal([group["TargetGroupName"] for group in first["TargetGroups"]], names[:10])
create("page-00-late")
aws.delete_target_group(TargetGroupArn=arns["page-09"])
second = aws.describe_target_groups(PageSize=10, Marker=first["NextMarker"])
equal([group["TargetGroupName"] for group in second["TargetGroups"]], names[10:20])
third = aws.describe_target_groups(PageSize=10, Marker=second["NextMarker"])
equal([group["TargetGroupName"] for group in third["TargetGroups"]], names[20:])
assert "NextMarker" not in third, third
pages = aws.get_paginator("describe_target_groups").paginate(PaginationConfig={"PageSize": 7})
paged = [group["TargetGroupName"] for page in pages for group in page["TargetGroups"]]
equal(paged, sorted(set(names) - {"page-09"} | {"page-00-late"}))
equal(len(aws.describe_target_groups(Names=["page-01", "page-02"])["TargetGroups"]), 2)

# The same settings again: the group that is there.
arn = arns["page-00"]
equal(create("page-00")["TargetGroupArn"], arn)
http = create("http", HealthCheckProtocol="HTTP")["TargetGroupArn"]
nobody = arn.replace("page-00", "nobody")
balancer = aws.create_load_balancer(Name="edge", Type="network", Subnets=["subnet-a"])
balancer = balancer["LoadBalancers"][0]["LoadBalancerArn"]
forward = [{"Type": "forward", "TargetGroupArn": http}]
listener = {"LoadBalancerArn": balancer, "Protocol": "TCP", "Port": 80}
aws.create_listener(DefaultActions=forward, **listener)

TCP = "for target groups with the TCP protocol"
INTERVALS = "Must be one of the following values '[10, 30]'."
target = [{"Id": "127.0.0.1"}]
instance = [{"Id": "i-0123456789abcdef0"}]
errors = [
    ("InvalidConfigurationRequest", f"Custom health check timeouts are not supported for health checks {TCP}",
     lambda: create("a", HealthCheckTimeoutSeconds=5)),
    ("InvalidConfigurationRequest", f"Custom health check matchers are not supported for health checks {TCP}",
     lambda: create("a", HealthCheckProtocol="HTTP", Matcher={"HttpCode": "200"})),
    ("InvalidConfigurationRequest", f"Health check healthy threshold and unhealthy threshold must be the same {TCP}",
     lambda: create("a", HealthyThresholdCount=2, UnhealthyThresholdCount=5)),
    ("InvalidConfigurationRequest", "Health check matchers are not supported for TCP health checks",
     lambda: create("a", Matcher={"HttpCode": "200-399"})),
    ("InvalidConfigurationRequest", "Health check paths are not supported for TCP health checks",
     lambda: create("a", HealthCheckPath="/")),
    (None, f"Health check interval '60' not supported {TCP}. {INTERVALS}",
     lambda: create("a", HealthCheckIntervalSeconds=60)),
    (None, f"Health check interval '20' not supported {TCP}. {INTERVALS}",
     lambda: aws.modify_target_group(TargetGroupArn=arn, HealthCheckIntervalSeconds=20)),
    ("DuplicateTargetGroupName", "A target group with the same name 'page-00' exists, but with different settings",
     lambda: create("page-00", Port=81)),
    ("ValidationError", None, lambda: create("-a")),
    ("ValidationError", None, lambda: create("a" * 33)),
    ("ValidationError", None, lambda: create("a", HealthyThresholdCount=11, UnhealthyThresholdCount=11)),
    ("ValidationError", None, lambda: create("a", Port=65536)),
    ("ValidationError", None, lambda: create("a", HealthCheckPort="http")),
    ("ValidationError", "'web' is not a valid target group ARN",
     lambda: aws.describe_target_health(TargetGroupArn="web")),
    ("TargetGroupNotFound", "One or more target groups not found",
     lambda: aws.describe_target_health(TargetGroupArn=nobody)),
    ("TargetGroupNotFound", "One or more target groups not found",
     lambda: aws.register_targets(TargetGroupArn=nobody, Targets=target)),
    ("TargetGroupNotFound", "One or more target groups not found",
     lambda: aws.describe_target_groups(Names=["nobody"])),
    ("TargetGroupNotFound", "One or more target groups not found",
     lambda: aws.create_listener(LoadBalancerArn=balancer, Protocol="TCP", Port=81,
                                 DefaultActions=[{"Type": "forward", "TargetGroupArn": nobody}])),
    ("InvalidTarget", None, lambda: aws.register_targets(TargetGroupArn=arn, Targets=instance)),
    ("LoadBalancerNotFound", "Load balancers '[nobody]' not found",
     lambda: aws.describe_load_balancers(Names=["nobody"])),
    ("ListenerNotFound", "One or more listeners not found",
     lambda: aws.describe_listeners(ListenerArns=[
         balancer.replace(":loadbalancer/", ":listener/") + "/0123456789abcdef"])),
    ("DuplicateListener", None,
     lambda: aws.create_listener(DefaultActions=[{"Type": "forward", "TargetGroupArn": arn}], **listener)),
    ("ResourceInUse", f"Target group '{http}' is currently in use by a listener or a rule",
     lambda: aws.delete_target_group(TargetGroupArn=http)),
    ("ValidationError", None, lambda: aws.describe_target_groups(PageSize=401)),
    ("ValidationError", None, lambda: aws.describe_target_groups(Marker="nonsense")),
    ("InvalidAction", None, lambda: aws.describe_account_limits()),
]
for number, (code, text, call) in enumerate(errors):
    try:
        answer = call()
    except ClientError as refused:
        error = refused.response["Error"]
        status = refused.response["ResponseMetadata"]["HTTPStatusCode"]
        equal((number, status, error["Type"]), (number, 400, "Sender"))
        equal((number, error["Code"]), (number, code or error["Code"]))
        equal((number, error["Message"]), (number, text or error["Message"]))
        print(error["Code"], "|", error["Message"])
    else:
        raise AssertionError(f"error {number}, {code}, did not come: {answer}")

# What is deregistered or deleted already is no error.
aws.deregister_targets(TargetGroupArn=arn, Targets=target)
aws.delete_target_group(TargetGroupArn=nobody)
print("done")
