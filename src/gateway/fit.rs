//! What a request needs of its group's deployments, and which of them it can't use.

use super::snapshot::Group;
use crate::provider::Call;
use crate::request::needs;
use crate::router::fit::{Needs, Prompt};
use crate::router::{Deployment, Why};
use crate::usage::prompt::Length;
use crate::usage::tokenizer;

/// The deployments of `group` that can't serve `call`, each with its reason. The body is looked at only if the group has
/// pre-call checks. A region that was asked for is kept to in any case: to pass it over would send the prompt where it
/// must not go.
pub(super) fn unfit(
    group: &Group,
    call: &Call,
    tags: &[String],
    region: Option<&str>,
) -> Vec<(usize, Why)> {
    let asked = Needs {
        tags,
        region,
        ..Needs::default()
    };
    let filter = group.settings.tags;
    if !group.settings.pre_call_checks {
        return group.router.unfit(&asked, filter);
    }
    let Call {
        operation,
        head,
        body,
        ..
    } = call;
    let mut length = Length::estimated();
    let wants = needs::read(*operation, head, body, &mut |piece| length.add(piece));
    let exact = |deployment: &Deployment| {
        tokenizer::count(&deployment.target.price_model, *operation, head, body)
    };
    let needs = Needs {
        prompt: Some(Prompt {
            estimate: length.tokens(),
            exact: &exact,
        }),
        tools: wants.tools,
        images: wants.images,
        json_schema: wants.json_schema,
        ..asked
    };
    group.router.unfit(&needs, filter)
}
