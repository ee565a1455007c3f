"""GetListenerHealthStatus pages through 250 abnormal servers by 20 while others come, go, fail and
recover: none is missed, none is given twice."""

import random
import socket
import types

from alibaba import add, health_page, listener_of, models, nlb, remove
from clients import equal, until
from targets import Target

ABNORMAL = 250
OTHERS = 60

# Bound and not listening: refuses on every address of 127.0.0.0/8.
closed = socket.socket()
closed.bind(("0.0.0.0", 0))
port = closed.getsockname()[1]


def refusing(net, number):
    return types.SimpleNamespace(ip=f"127.{net}.{number // 250}.{number % 250 + 1}", port=port)


steady = [refusing(10, number) for number in range(ABNORMAL)]
others = [Target("200" if number % 2 else "refuse") for number in range(OTHERS)]
check = models.CreateServerGroupRequestHealthCheckConfig(
    health_check_interval=1, health_check_connect_timeout=1
)
groups = []
for name in ["one", "two"]:
    request = models.CreateServerGroupRequest(
        server_group_name=name, server_group_type="Ip", vpc_id="vpc-1", health_check_config=check
    )
    groups.append(nlb.create_server_group(request).body.server_group_id)
# The listener's group; the other one changes beside it. Others stand between the steady ones.
group = groups[0]
for number in range(OTHERS):
    share = ABNORMAL // OTHERS + 1
    add(group, steady[number * share : (number + 1) * share] + [others[number]])
_, (listener, _) = listener_of(groups)
until("all failed", lambda: health_page(listener).total_count == ABNORMAL + OTHERS // 2)

dice = random.Random(7)
fresh = iter(range(10_000))
for walk in range(3):
    seen, token, pages = [], "", 0
    while True:
        page = health_page(listener, token)
        infos = page.listener_health_status[0].server_group_infos
        servers = [server for info in infos for server in info.non_normal_servers]
        assert len(servers) <= 20, len(servers)
        equal(page.max_results, 20)
        seen += [(server.server_ip, server.port) for server in servers]
        pages += 1
        token = page.next_token
        if not token:
            break
        # Meanwhile: the last one shown goes, if it is none of the steady ones; some recover, some
        # fail, one is new.
        last = next((t for t in others if (t.ip, t.port) == seen[-1]), None)
        if last:
            remove(group, [last])
            others.remove(last)
        for target in dice.sample(others, 6):
            target.do(dice.choice(["200", "refuse"]))
        if dice.random() < 0.5:
            remove(group, [others.pop(dice.randrange(len(others)))])
        add(group, [refusing(11, next(fresh))])
    for target in steady:
        equal((walk, target.ip, seen.count((target.ip, target.port))), (walk, target.ip, 1))
    equal(len(seen), len(set(seen)))
    assert pages > ABNORMAL // 20, pages
    print(f"{len(seen)} servers on {pages} pages")
print("done")
