//! What a target costs in the registry, counted, so that the layout cannot rot.

use super::{IdAllocator, Lifecycle, NOW, Registry, TargetConfig, config, group, targets};

#[test]
fn a_target_takes_18_bytes_and_more_only_for_what_is_said_of_it() {
    const COUNT: usize = 100_000;
    let plain = || targets(u32::try_from(COUNT).unwrap());
    let with = |set: &dyn Fn(usize, &mut TargetConfig)| {
        let mut list = plain();
        list.iter_mut().enumerate().for_each(|(index, target)| set(index, target));
        vec![group("web", list)]
    };
    let mut reversed = plain();
    reversed.reverse();
    let list = plain();
    let many = list.chunks(10).enumerate();
    let many = many.map(|(n, chunk)| group(&format!("g{n}"), chunk.to_vec())).collect();
    let cases = [
        ("plain", vec![group("web", plain())], 18.1),
        ("in another order", vec![group("web", reversed)], 22.1),
        ("in groups of ten", many, 26.2),
        ("weights", with(&|_, target| target.weight = Some(7)), 20.1),
        ("zones", with(&|n, target| target.zone = Some(format!("z{}", n % 3).into())), 22.1),
        ("lifecycles", with(&|_, target| target.lifecycle = Lifecycle::Stopped), 19.1),
        ("ids", with(&|n, target| target.id = Some(format!("i-{n:017x}").into())), 41.1),
    ];
    for (what, groups, most) in cases {
        let (registry, _) =
            Registry::build(&config(groups), None, &mut IdAllocator::default(), NOW);
        let members: usize = registry.groups.iter().map(|group| group.members.bytes()).sum();
        let bytes = (members + registry.homes.bytes()) as f64 / COUNT as f64;
        assert!(bytes <= most, "{what}: {bytes}");
        // More than this would be a bound that is never reached.
        assert!(bytes > most - 1.5, "{what}: {bytes}");
    }
}
