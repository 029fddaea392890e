//! The commands.

use super::{Command, flags};
use crate::cmd;

/// Every command, in the order of the help.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "run",
        usage: "NEW-ID",
        positional: 1..=1,
        about: "create and start a container, wait for its end and delete it",
        flags: flags::RUN,
        run: cmd::run,
    },
    Command {
        name: "create",
        usage: "NEW-ID",
        positional: 1..=1,
        about: "create a container that waits for its start",
        flags: flags::CREATE,
        run: cmd::create,
    },
    Command {
        name: "start",
        usage: "ID",
        positional: 1..=1,
        about: "execute the command of a created container",
        flags: flags::START,
        run: cmd::start,
    },
    Command {
        name: "exec",
        usage: "ID PROGRAM [ARG..]",
        positional: 1..=usize::MAX,
        about: "run another process in a container",
        flags: flags::EXEC,
        run: cmd::exec,
    },
    Command {
        name: "state",
        usage: "ID",
        positional: 1..=1,
        about: "print the state of a container as JSON",
        flags: flags::STATE,
        run: cmd::state,
    },
    Command {
        name: "kill",
        usage: "ID [SIGNAL]",
        positional: 1..=2,
        about: "send a signal, SIGTERM if none is given, to a container's first process",
        flags: flags::KILL,
        run: cmd::kill,
    },
    Command {
        name: "pause",
        usage: "ID",
        positional: 1..=1,
        about: "stop all processes of a container until it is resumed",
        flags: flags::PAUSE,
        run: cmd::pause,
    },
    Command {
        name: "resume",
        usage: "ID",
        positional: 1..=1,
        about: "let the processes of a paused container run again",
        flags: flags::RESUME,
        run: cmd::resume,
    },
    Command {
        name: "delete",
        usage: "ID",
        positional: 1..=1,
        about: "delete a container that has ended",
        flags: flags::DELETE,
        run: cmd::delete,
    },
    Command {
        name: "list",
        usage: "",
        positional: 0..=0,
        about: "list the containers",
        flags: flags::LIST,
        run: cmd::list,
    },
    Command {
        name: "ps",
        usage: "ID [PS-ARGS...]",
        positional: 1..=usize::MAX,
        about: "show the processes of a container, as ps does with these arguments or -ef",
        flags: flags::PS,
        run: cmd::ps,
    },
    Command {
        name: "spec",
        usage: "",
        positional: 0..=0,
        about: "write a config.json to start from",
        flags: flags::SPEC,
        run: cmd::spec,
    },
];
