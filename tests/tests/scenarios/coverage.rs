//! A guest without a scenario is a guest that nobody needs.

use build_guests::{COMPONENTS, GUESTS};

const SCENARIOS: &str = concat!(
    include_str!("answers.rs"),
    include_str!("callers.rs"),
    include_str!("examples.rs"),
    include_str!("extensions.rs"),
    include_str!("failures.rs"),
    include_str!("files.rs"),
    include_str!("front_door.rs"),
    include_str!("frozen.rs"),
    include_str!("isolation.rs"),
    include_str!("logs.rs"),
    include_str!("managed.rs"),
    include_str!("memory.rs"),
    include_str!("native.rs"),
    include_str!("parity.rs"),
    include_str!("restore.rs"),
    include_str!("streaming.rs"),
    include_str!("telemetry.rs"),
    include_str!("timeouts.rs"),
);

#[test]
fn every_guest_is_named_by_a_scenario() {
    let without: Vec<_> = GUESTS
        .iter()
        .map(|guest| guest.name)
        .filter(|name| !SCENARIOS.contains(&format!("\"{name}\"")))
        .collect();
    assert_eq!(without, [""; 0], "these guests are in no scenario");
}

#[test]
fn every_component_has_a_guest() {
    for component in COMPONENTS {
        assert!(
            GUESTS.iter().any(|guest| guest.component == component.name),
            "{component:?}"
        );
    }
}
