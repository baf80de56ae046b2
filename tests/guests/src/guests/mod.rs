//! The guests, one file each. A file's first lines say what its guest takes.

use crate::client::Refused;

macro_rules! guests {
    ($($name:literal => $module:ident),* $(,)?) => {
        $(mod $module;)*

        /// The guest of a name.
        pub(crate) fn named(name: &str) -> Option<fn() -> Result<(), Refused>> {
            match name {
                $($name => Some($module::main),)*
                _ => None,
            }
        }
    };
}

guests! {
    "answer-stale" => answer_stale,
    "answer-twice" => answer_twice,
    "at-once" => at_once,
    "attempt" => attempt,
    "big-answer" => big_answer,
    "block-in-host-call" => block_in_host_call,
    "clock-probe" => clock_probe,
    "echo" => echo,
    "env" => env,
    "exit-status" => exit_status,
    "ext-crash" => ext_crash,
    "ext-env" => ext_env,
    "ext-exit-error" => ext_exit_error,
    "ext-grow-memory" => ext_grow_memory,
    "ext-init-error" => ext_init_error,
    "ext-never-next" => ext_never_next,
    "ext-slow" => ext_slow,
    "ext-tmp" => ext_tmp,
    "flood-stdout" => flood_stdout,
    "fs-probe" => fs_probe,
    "grow-memory" => grow_memory,
    "http-fetch" => http_fetch,
    "init-error" => init_error,
    "net-probe" => net_probe,
    "never-next" => never_next,
    "recurse" => recurse,
    "restore" => restore,
    "sleep-past-deadline" => sleep_past_deadline,
    "spin" => spin,
    "spin-init" => spin_init,
    "stream" => stream,
    "tick-in-next" => tick_in_next,
    "trap" => trap,
}
