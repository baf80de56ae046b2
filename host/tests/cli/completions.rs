//! `lambox completions`.

use crate::harness::lambox;

#[test]
fn each_shell_has_completions_of_every_subcommand() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = lambox(&["completions", shell]);
        assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
        for word in ["invoke", "serve", "check", "event", "completions", "memory-size", "sqs"] {
            assert!(ended.stdout.contains(word), "{shell} does not know `{word}`");
        }
    }
}
