//! What calls do: creates that repeat, changes of objects from elsewhere, pages, and the store's
//! trouble.

use super::client::{arn_of, call, encode, fails, group, listener, load_balancer, ok};
use crate::world::World;
use ringcheck::edit::EditError;

#[tokio::test]
async fn a_group_made_again_is_the_same_one_unless_a_setting_differs() {
    let world = World::start();
    let form = "Action=CreateTargetGroup&Name=web2&Protocol=TCP&Port=80&VpcId=vpc-1\
        &HealthCheckIntervalSeconds=10";
    let first = ok(&world, form).await.one("TargetGroupArn");
    let revision = world.table.view().registry.revision;
    let again = ok(&world, &format!("{form}&HealthyThresholdCount=3&TargetType=instance")).await;
    assert_eq!(again.one("TargetGroupArn"), first, "a default that is given is no difference");
    assert_eq!(world.table.view().registry.revision, revision, "nothing has changed");
    for other in [
        form.replace("Port=80", "Port=81"),
        form.replace("TCP", "UDP"),
        form.replace("vpc-1", "vpc-2"),
        form.replace("Seconds=10", "Seconds=30"),
        format!("{form}&TargetType=ip"),
        form.replace("web2", "big"),
    ] {
        let (status, code, text) = fails(&world, &other).await;
        assert_eq!((status, code.as_str()), (400, "DuplicateTargetGroupName"), "{other}");
        assert!(text.contains("exists, but with different settings"), "{text}");
    }
    // Deleted and made anew it is another one.
    let delete = format!("Action=DeleteTargetGroup&TargetGroupArn={}", encode(&first));
    ok(&world, &delete).await;
    let second = ok(&world, form).await.one("TargetGroupArn");
    assert_ne!(second, first);
    let old = format!("Action=DescribeTargetHealth&TargetGroupArn={}", encode(&first));
    assert_eq!(fails(&world, &old).await.1, "TargetGroupNotFound");
    ok(&world, &delete).await;
    assert!(world.table.view().registry.group("web2").is_some(), "the new one stays");
}

#[tokio::test]
async fn objects_of_the_file_are_shown_and_not_changed() {
    let world = World::start();
    let big = arn_of(&world, "big").await;
    let edge = "Action=DescribeLoadBalancers&Names.member.1=edge";
    let edge = encode(&ok(&world, edge).await.one("LoadBalancerArn"));
    let listeners = format!("Action=DescribeListeners&LoadBalancerArn={edge}");
    let listeners = ok(&world, &listeners).await;
    assert_eq!(listeners.all("TargetGroupArn").len(), 5);
    let listener = encode(&listeners.one("ListenerArn"));
    let (configuration, other) = ("InvalidConfigurationRequest", "OperationNotPermitted");
    for (form, code) in [
        (format!("ModifyTargetGroup&TargetGroupArn={big}"), configuration),
        (
            format!(
                "ModifyTargetGroupAttributes&TargetGroupArn={big}\
                 &Attributes.member.1.Key=stickiness.enabled&Attributes.member.1.Value=true"
            ),
            configuration,
        ),
        (format!("AddTags&ResourceArns.member.1={big}&Tags.member.1.Key=a"), configuration),
        (format!("RegisterTargets&TargetGroupArn={big}&Targets.member.1.Id=127.8.8.8"), other),
        (format!("DeregisterTargets&TargetGroupArn={big}&Targets.member.1.Id=127.1.0.1"), other),
        (format!("DeleteTargetGroup&TargetGroupArn={big}"), other),
        (format!("DeleteLoadBalancer&LoadBalancerArn={edge}"), other),
        (format!("DeleteListener&ListenerArn={listener}"), other),
    ] {
        let (status, got, text) = fails(&world, &format!("Action={form}")).await;
        assert_eq!((status, got.as_str()), (400, code), "{form}");
        assert!(text.contains("/etc/ringcheck.toml"), "{text}");
    }
}

#[tokio::test]
async fn an_instance_has_the_address_of_its_id_elsewhere_or_is_refused() {
    let world = World::start();
    let tg = group(&world, "g", "").await;
    let register = format!("Action=RegisterTargets&TargetGroupArn={tg}");
    ok(&world, &format!("{register}&Targets.member.1.Id=i-b&Targets.member.1.Port=90")).await;
    let view = world.table.view();
    let member = view.registry.group("g").unwrap().members.get(0);
    assert_eq!((&*member.id, member.endpoint.to_string()), ("i-b", "127.4.0.4:90".to_owned()));

    let both = "&Targets.member.1.Id=127.0.0.1&Targets.member.2.Id=i-nobody";
    let (status, code, text) = fails(&world, &format!("{register}{both}")).await;
    assert_eq!((status, code.as_str()), (400, "InvalidTarget"));
    let words = "The following targets are not in a running state and cannot be registered: \
        'i-nobody'";
    assert!(text.starts_with(words), "{text}");
    assert_eq!(world.table.view().registry.group("g").unwrap().members.len(), 1, "all or nothing");

    // The same one twice is one; the last counts.
    let twice = "&Targets.member.1.Id=127.0.0.9&Targets.member.2.Id=%3A%3Affff%3A127.0.0.9\
        &Targets.member.2.AvailabilityZone=zone-b";
    ok(&world, &format!("{register}{twice}")).await;
    let view = world.table.view();
    let members = &view.registry.group("g").unwrap().members;
    assert_eq!((members.len(), members.zone(1)), (2, Some("zone-b")));
}

#[tokio::test]
async fn a_port_that_was_given_is_named_to_deregister() {
    let world = World::start();
    let tg = group(&world, "g", "").await;
    let of = |action: &str, more: &str| {
        format!("Action={action}&TargetGroupArn={tg}&Targets.member.1.Id=127.0.0.9{more}")
    };
    ok(&world, &of("RegisterTargets", "&Targets.member.1.Port=90")).await;
    ok(&world, &of("DeregisterTargets", "")).await;
    let draining = |world: &World| {
        let view = world.table.view();
        view.registry.group("g").unwrap().members.drains_until(0).is_some()
    };
    assert!(!draining(&world), "port 80 of it was never registered");
    ok(&world, &of("DeregisterTargets", "&Targets.member.1.Port=90")).await;
    assert!(draining(&world));
}

#[tokio::test]
async fn load_balancers_and_listeners_repeat_or_are_refused() {
    let world = World::start();
    let lb = load_balancer(&world, "lb").await;
    assert_eq!(load_balancer(&world, "lb").await, lb);
    let (tg, other) = (group(&world, "g", "").await, group(&world, "h", "").await);
    let first = listener(&world, &lb, 80, &tg).await;
    assert_eq!(listener(&world, &lb, 80, &tg).await, first);
    let create = |more: &str| format!("Action=CreateListener&LoadBalancerArn={lb}{more}");
    let action = |group: &str| {
        format!(
            "&DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={group}"
        )
    };
    let nobody = tg.replace("%2Fg%2F", "%2Fnobody%2F");
    let http = "&DefaultActions.member.1.Type=redirect";
    let unknown = "&DefaultActions.member.1.Type=teleport";
    for (more, code) in [
        (format!("&Protocol=TCP&Port=80{}", action(&other)), "DuplicateListener"),
        (format!("&Protocol=HTTP&Port=81{}", action(&tg)), "UnsupportedProtocol"),
        (format!("&Protocol=UDP&Port=81{}", action(&tg)), "IncompatibleProtocols"),
        (format!("&Protocol=TLS&Port=81{}", action(&tg)), "ValidationError"),
        (format!("&Protocol=TCP&Port=0{}", action(&tg)), "ValidationError"),
        (format!("&Protocol=TCP{}", action(&tg)), "ValidationError"),
        (format!("&Port=81{}", action(&tg)), "ValidationError"),
        ("&Protocol=TCP&Port=81".to_owned(), "ValidationError"),
        (format!("&Protocol=TCP&Port=81{}", action("x")), "ValidationError"),
        (format!("&Protocol=TCP&Port=81{}", action(&nobody)), "TargetGroupNotFound"),
        (format!("&Protocol=TCP&Port=81{http}"), "InvalidLoadBalancerAction"),
        (format!("&Protocol=TCP&Port=81{unknown}"), "ValidationError"),
        ("&Protocol=TCP&Port=81&DefaultActions.member.1.Type=forward".into(), "ValidationError"),
        (
            format!("&Protocol=TCP&Port=81{}&DefaultActions.member.2.Type=forward", action(&tg)),
            "TooManyActions",
        ),
    ] {
        let (status, got, _) = fails(&world, &create(&more)).await;
        assert_eq!((status, got.as_str()), (400, code), "{more}");
    }
    let elsewhere = create("&Protocol=TCP&Port=1").replace("%2Flb%2F", "%2Fno%2F");
    let elsewhere = format!("{elsewhere}{}", action(&tg));
    assert_eq!(fails(&world, &elsewhere).await.1, "LoadBalancerNotFound");

    let in_use = fails(&world, &format!("Action=DeleteTargetGroup&TargetGroupArn={tg}")).await;
    assert_eq!(in_use.1, "ResourceInUse");
    assert!(in_use.2.ends_with("is currently in use by a listener or a rule"), "{}", in_use.2);
    ok(&world, &format!("Action=DeleteLoadBalancer&LoadBalancerArn={lb}")).await;
    let gone = format!("Action=DescribeListeners&ListenerArns.member.1={first}");
    assert_eq!(fails(&world, &gone).await.1, "ListenerNotFound", "it goes with it");
    ok(&world, &format!("Action=DeleteTargetGroup&TargetGroupArn={tg}")).await;
}

#[tokio::test]
async fn what_a_load_balancer_cannot_be() {
    let world = World::start();
    let same_zone = "A load balancer cannot be attached to multiple subnets in the same \
        Availability Zone";
    let zone = "&Subnets.member.1=zone-a";
    for (members, code, text) in [
        (format!("&Name=internal-x{zone}"), "ValidationError", "cannot begin with 'internal-'"),
        (format!("&Name=a_b{zone}"), "ValidationError", "alphanumeric"),
        ("&Name=x".to_owned(), "ValidationError", "At least one subnet must be specified"),
        (
            format!("&Name=x{zone}&Type=application"),
            "InvalidConfigurationRequest",
            "type 'application'",
        ),
        (format!("&Name=x{zone}&Scheme=secret"), "ValidationError", "enum value set"),
        (
            format!("&Name=x{zone}&Subnets.member.2=subnet-zone-a"),
            "InvalidConfigurationRequest",
            same_zone,
        ),
        ("&Name=x&Subnets.member.1=subnet-".to_owned(), "InvalidSubnet", "is not valid"),
        (
            format!("&Name=x{zone}&SubnetMappings.member.1.SubnetId=zone-b"),
            "ValidationError",
            "but not both",
        ),
        (
            format!("&Name=x{zone}&Tags.member.1.Key=a&Tags.member.2.Key=a"),
            "DuplicateTagKeys",
            "given twice",
        ),
        (format!("&Name=edge{zone}"), "DuplicateLoadBalancerName", "different settings"),
    ] {
        let form = format!("Action=CreateLoadBalancer{members}");
        let (status, got, message) = fails(&world, &form).await;
        assert_eq!((status, got.as_str()), (400, code), "{members}");
        assert!(message.contains(text), "{message}");
    }
    let form = "Action=CreateLoadBalancer&Name=x&SubnetMappings.member.1.SubnetId=subnet-zone-b";
    assert_eq!(ok(&world, form).await.one("ZoneName"), "zone-b");
}

#[tokio::test]
async fn attributes_are_checked_kept_and_repeated() {
    let world = World::start();
    let tg = group(&world, "g", "").await;
    let modify = |key: &str, value: &str| {
        format!(
            "Action=ModifyTargetGroupAttributes&TargetGroupArn={tg}\
             &Attributes.member.1.Key={key}&Attributes.member.1.Value={value}"
        )
    };
    let delay = "deregistration_delay.timeout_seconds";
    for (key, value, text) in [
        (delay, "3601", "between '0' and '3600' inclusive"),
        (delay, "-1", "between '0' and '3600' inclusive"),
        (delay, "", "between '0' and '3600' inclusive"),
        ("stickiness.enabled", "True", "'true' or 'false'"),
        ("stickiness.type", "lb_cookie", "one of '[source_ip]'"),
        ("no.such.key", "1", "Target group attribute key 'no.such.key' is not recognized"),
        ("slow_start.duration_seconds", "30", "not supported for target groups with the TCP"),
    ] {
        let (status, code, message) = fails(&world, &modify(key, value)).await;
        let expected = match key {
            "slow_start.duration_seconds" => "InvalidConfigurationRequest",
            _ => "ValidationError",
        };
        assert_eq!((status, code.as_str()), (400, expected), "{key}");
        assert!(message.contains(text), "{message}");
    }
    for (key, value) in [
        (delay, "0"),
        (delay, "3600"),
        ("proxy_protocol_v2.enabled", "true"),
        ("target_group_health.dns_failover.minimum_healthy_targets.percentage", "50"),
        ("load_balancing.cross_zone.enabled", "false"),
    ] {
        ok(&world, &modify(key, value)).await;
        let read = format!("Action=DescribeTargetGroupAttributes&TargetGroupArn={tg}");
        let read = ok(&world, &read).await;
        let at = read.all("Key").iter().position(|known| known == key).unwrap();
        assert_eq!(read.all("Value")[at], value, "{key}");
    }
    let view = world.table.view();
    let config = &view.registry.group("g").unwrap().config;
    assert_eq!(config.deregistration_delay.as_secs(), 3_600);
}

#[tokio::test]
async fn pages_miss_and_repeat_nobody_whatever_comes_and_goes() {
    let world = World::start();
    for n in 0..30 {
        group(&world, &format!("page-{n:02}"), "").await;
    }
    let delete = |arn: String| format!("Action=DeleteTargetGroup&TargetGroupArn={arn}");
    let (mut seen, mut marker, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let form = format!("Action=DescribeTargetGroups&PageSize=7{marker}");
        let page = ok(&world, &form).await;
        seen.extend(page.all("TargetGroupName"));
        pages += 1;
        if pages == 2 {
            // The last one shown, one that was shown, one to come; and new ones on both sides.
            let last = seen.last().unwrap().clone();
            for name in [last.as_str(), "page-00", "page-20"] {
                ok(&world, &delete(arn_of(&world, name).await)).await;
            }
            group(&world, "aaa", "").await;
            group(&world, "page-21-new", "").await;
        }
        match page.all("NextMarker").first() {
            None => break,
            Some(next) => marker = format!("&Marker={next}"),
        }
    }
    let mut expected: Vec<String> = (0..30).map(|n| format!("page-{n:02}")).collect();
    expected.extend(["web", "big", "idle", "off", "empty", "sick", "page-21-new"].map(Into::into));
    expected.retain(|name| name != "page-20");
    expected.sort_unstable();
    assert_eq!(seen, expected);
    let all = ok(&world, "Action=DescribeTargetGroups&Marker=").await;
    assert_eq!(all.all("TargetGroupName").len(), 35);
    for wrong in ["PageSize=0", "PageSize=401", "PageSize=x", "Marker=zz", "Marker=ff"] {
        let form = format!("Action=DescribeTargetGroups&{wrong}");
        assert_eq!(fails(&world, &form).await.1, "ValidationError", "{wrong}");
    }
}

#[tokio::test]
async fn trouble_of_the_store_is_service_unavailable_and_never_a_500() {
    let world = World::start();
    let tg = group(&world, "g", "").await;
    let unavailable = |error: EditError| *world.refusal.lock().unwrap() = Some(error);
    for error in [
        EditError::Store("the store cannot be written; free some space".to_owned()),
        EditError::Unavailable("the daemon stops".to_owned()),
        EditError::Stale,
    ] {
        unavailable(error);
        for form in [
            "Action=CreateTargetGroup&Name=x&Protocol=TCP&Port=1".to_owned(),
            format!("Action=ModifyTargetGroup&TargetGroupArn={tg}"),
            format!("Action=RegisterTargets&TargetGroupArn={tg}&Targets.member.1.Id=127.0.0.1"),
            format!("Action=DeleteTargetGroup&TargetGroupArn={tg}"),
        ] {
            let reply = call(&world, &form).await;
            let (status, code, _) = reply.error();
            assert_eq!((status, code.as_str()), (503, "ServiceUnavailable"), "{form}");
        }
    }
    let limit = 7;
    unavailable(EditError::TooMany { what: "targets", limit });
    let form = format!("Action=RegisterTargets&TargetGroupArn={tg}&Targets.member.1.Id=127.0.0.1");
    assert_eq!(fails(&world, &form).await.1, "TooManyTargets");
    *world.refusal.lock().unwrap() = None;
    ok(&world, &form).await;
}

/// Controllers register their targets again and again, and know nothing of what the operator did.
#[tokio::test]
async fn registering_again_keeps_what_these_calls_cannot_say() {
    let world = World::start();
    let tg = group(&world, "web2", "").await;
    let register =
        format!("Action=RegisterTargets&TargetGroupArn={tg}&Targets.member.1.Id=127.0.0.1");
    ok(&world, &register).await;
    let mark = "{\"lifecycle\":\"stopped\",\"weight\":0}";
    let marked = world.send("PATCH", "/v1/groups/web2/targets/127.0.0.1", mark).await;
    assert_eq!(marked.status, 200, "{}", marked.text());
    let zone = "&Targets.member.1.AvailabilityZone=zone-a";
    ok(&world, &format!("{register}{zone}")).await;
    let health = format!("Action=DescribeTargetHealth&TargetGroupArn={tg}");
    let shown = ok(&world, &health).await;
    assert_eq!(shown.one("Description"), "Target is in the stopped state");
    assert_eq!(shown.one("AvailabilityZone"), "zone-a");
    let target = world.get("/v1/groups/web2/targets/127.0.0.1").await.json();
    assert_eq!(target["weight"], 0);
    // What was gone comes back as new.
    ok(&world, &register.replace("RegisterTargets", "DeregisterTargets")).await;
    ok(&world, &register).await;
    assert_eq!(ok(&world, &health).await.one("Reason"), "Target.NotInUse");
    let target = world.get("/v1/groups/web2/targets/127.0.0.1").await.json();
    assert_eq!(target["weight"], 100);
}
