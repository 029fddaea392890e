//! `/hooks`.

use std::time::Duration;

use coracle_init::plan::HookPlan;
use coracle_spec::Spec;
use coracle_spec::types::Hook;

/// All hooks, by the time at which they run.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    /// `prestart` and `createRuntime`, in this order.
    pub(crate) create_runtime: Vec<HookPlan>,
    pub(crate) create_container: Vec<HookPlan>,
    pub(crate) start_container: Vec<HookPlan>,
    pub(crate) poststart: Vec<HookPlan>,
    pub(crate) poststop: Vec<HookPlan>,
}

pub(super) fn lower(spec: &Spec) -> Hooks {
    let hooks = &spec.hooks;
    let mut create_runtime = list("prestart", &hooks.prestart);
    create_runtime.extend(list("createRuntime", &hooks.create_runtime));
    let mut start_container = list("startContainer", &hooks.start_container);
    for hook in &mut start_container {
        // As in runc, those of the container have its environment.
        hook.env.get_or_insert_with(|| spec.process.env.clone());
    }
    Hooks {
        create_runtime,
        create_container: list("createContainer", &hooks.create_container),
        start_container,
        poststart: list("poststart", &hooks.poststart),
        poststop: list("poststop", &hooks.poststop),
    }
}

fn list(kind: &str, hooks: &[Hook]) -> Vec<HookPlan> {
    let plan = |(index, hook): (usize, &Hook)| HookPlan {
        name: format!("/hooks/{kind}/{index}"),
        path: hook.path.clone(),
        args: hook.args.clone(),
        env: (!hook.env.is_empty()).then(|| hook.env.clone()),
        timeout: hook.timeout.map(Duration::from_secs),
    };
    hooks.iter().enumerate().map(plan).collect()
}
