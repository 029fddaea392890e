//! `/hooks`: <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md#posix-platform-hooks>.

use super::schema::{Kind, Object, field, free_list, free_object, required};
use super::text::{absolute, any, variable};

pub(super) const HOOKS: Kind = Kind::Object(&Object {
    fields: &[
        field("prestart", LIST),
        field("createRuntime", LIST),
        field("createContainer", LIST),
        field("startContainer", LIST),
        field("poststart", LIST),
        field("poststop", LIST),
    ],
    rule: free_object,
});

const LIST: Kind = Kind::List(&HOOK, free_list);

static HOOK: Kind = Kind::Object(&Object {
    fields: &[
        required("path", Kind::Text(absolute), "name the program to run"),
        field("args", Kind::List(&Kind::Text(any), free_list)),
        field("env", Kind::List(&Kind::Text(variable), free_list)),
        field("timeout", Kind::Int(1, i64::MAX as i128)),
    ],
    rule: free_object,
});
