//! What an attempt that was not committed comes to: whose fault it was, and how its trial settles by that.

use std::sync::Arc;

use super::classify::{Rejection, Verdict, class, classify, retry_after};
use super::committed::Uncommitted;
use super::error::{Cause, Failure};
use super::exchange::{Exchange, Trouble};
use super::trial::Trial;
use crate::provider::{AdaptError, ErrorFacts};
use crate::router::Outcome;
use crate::types::Fault;

impl Exchange<'_> {
    /// The verdict, where the request has named the model: that it does not exist is then the caller's mistake, and must
    /// not take the deployment from all others.
    const fn of_name(&self, verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Retry(Fault::NotFound) if self.link.filled => {
                Verdict::Reject(Rejection::Invalid)
            }
            verdict => verdict,
        }
    }

    /// Settles the trial by what went wrong.
    pub(super) fn settle(&self, trouble: Trouble, mut trial: Trial) -> Uncommitted {
        trial.forget_assumed();
        let deployment = Arc::clone(&self.deployment.target.id);
        let (fault, cause, wait) = match trouble {
            Trouble::Adapt(AdaptError::Unsupported { param, message }) => {
                trial.withdraw();
                return Uncommitted::Unsupported { param, message };
            }
            Trouble::Adapt(error @ AdaptError::Malformed(_)) => {
                (Fault::Broken, Cause::Transport(error.to_string()), None)
            }
            Trouble::Fault(fault, cause) => (fault, cause, None),
            Trouble::Answer(answer) => {
                let wait = retry_after(&answer.headers, self.clock.unix());
                let unknown = ErrorFacts::default();
                let verdict = classify(answer.status, answer.facts.as_ref().unwrap_or(&unknown));
                let verdict = self.of_name(verdict);
                match verdict {
                    Verdict::Reject(rejection) => {
                        let refused = Outcome::Refused(class(verdict, Some(answer.status)));
                        let _receipt = trial.settle(refused); // nothing of it is given away
                        return Uncommitted::Rejected { rejection, answer };
                    }
                    Verdict::NotReady => {
                        let _receipt = trial.leave(Fault::Server);
                        let cause = Cause::Answer(answer);
                        return Uncommitted::Failed(Failure {
                            deployment,
                            fault: Fault::Server,
                            cause,
                            retry_after: wait,
                        });
                    }
                    Verdict::Retry(fault) => (fault, Cause::Answer(answer), wait),
                }
            }
        };
        if self.is_of_the_request(&cause) {
            let _receipt = trial.leave(fault);
        } else {
            let _receipt = trial.settle(Outcome::Failed {
                fault,
                class: class(Verdict::Retry(fault), cause.status()),
                retry_after: wait,
            });
        }
        Uncommitted::Failed(Failure {
            deployment,
            fault,
            cause,
            retry_after: wait,
        })
    }

    /// Whether the request's own deadline ran out, or a limit of its own that is shorter than the deployment's: neither says
    /// anything about the deployment.
    fn is_of_the_request(&self, cause: &Cause) -> bool {
        let own = &self.deployment.clocks;
        match cause {
            Cause::Clock { name, limit } => match *name {
                "request" => true,
                "first_content" => *limit < own.first_content,
                "total" => *limit < own.total,
                _ => false,
            },
            Cause::Answer(_) | Cause::Transport(_) => false,
        }
    }
}
