use super::*;

const S: Duration = Duration::from_secs(1);

fn rule(allowed_fails: Option<u32>) -> Rule {
    Rule {
        cooldown_time: 10 * S,
        allowed_fails,
        allowed_fails_policy: Policy::default(),
    }
}

fn start() -> (Cooldown, Instant) {
    (Cooldown::default(), Instant::now())
}

/// A 500 that asks for no pause.
fn server_error(c: &mut Cooldown, at: Instant, rule: &Rule) -> Option<Instant> {
    c.failed(Fault::Server, ErrorClass::InternalServer, None, at, rule)
}

#[test]
fn some_faults_cool_at_once() {
    for fault in [
        Fault::RateLimit,
        Fault::Quota,
        Fault::Credential,
        Fault::NotFound,
    ] {
        let (mut c, t) = start();
        assert_eq!(
            c.failed(fault, ErrorClass::NotFound, None, t, &rule(Some(9))),
            Some(t + 10 * S),
            "{fault:?}"
        );
        assert_eq!(
            c.readiness(t + 9 * S),
            Readiness::Cooling {
                until: t + 10 * S,
                cause: fault
            }
        );
    }
    let (mut c, t) = start();
    assert!(
        c.failed(
            Fault::Connect,
            ErrorClass::InternalServer,
            None,
            t,
            &rule(None)
        )
        .is_some()
    );
}

#[test]
fn allowed_fails_is_exceeded_not_reached() {
    let (mut c, t) = start();
    assert_eq!(server_error(&mut c, t, &rule(Some(2))), None);
    assert_eq!(
        c.failed(
            Fault::Connect,
            ErrorClass::InternalServer,
            None,
            t + S,
            &rule(Some(2))
        ),
        None
    );
    assert_eq!(
        server_error(&mut c, t + 2 * S, &rule(Some(2))),
        Some(t + 12 * S)
    );
}

#[test]
fn failures_older_than_the_window_are_forgotten() {
    let (mut c, t) = start();
    assert_eq!(server_error(&mut c, t, &rule(Some(1))), None);
    assert_eq!(server_error(&mut c, t + 10 * S, &rule(Some(1))), None);
    assert!(server_error(&mut c, t + 11 * S, &rule(Some(1))).is_some());
}

#[test]
fn the_window_slides_and_successes_do_not_move_it() {
    let (mut c, t) = start();
    c.succeeded(t);
    assert_eq!(server_error(&mut c, t + 8 * S, &rule(Some(1))), None);
    assert!(
        server_error(&mut c, t + 12 * S, &rule(Some(1))).is_some(),
        "two within ten seconds"
    );

    let (mut c, t) = start();
    let long = Rule {
        cooldown_time: 300 * S,
        ..rule(Some(1))
    };
    assert_eq!(server_error(&mut c, t, &long), None);
    c.succeeded(t + 61 * S);
    assert!(
        server_error(&mut c, t + 100 * S, &long).is_some(),
        "two within five minutes"
    );
}

#[test]
fn without_allowed_fails_three_in_a_row_or_the_share_cools() {
    let (mut c, t) = start();
    assert_eq!(server_error(&mut c, t, &rule(None)), None);
    assert_eq!(server_error(&mut c, t, &rule(None)), None);
    c.succeeded(t);
    assert_eq!(
        server_error(&mut c, t, &rule(None)),
        None,
        "a success breaks the row"
    );
    assert!(
        server_error(&mut c, t, &rule(None)).is_some(),
        "4 of 5 failed"
    );
}

#[test]
fn zero_cooldown_time_never_cools() {
    let (mut c, t) = start();
    let never = Rule {
        cooldown_time: Duration::ZERO,
        ..rule(Some(0))
    };
    assert_eq!(
        c.failed(
            Fault::RateLimit,
            ErrorClass::RateLimit,
            Some(30 * S),
            t,
            &never
        ),
        None
    );
    assert_eq!(c.readiness(t), Readiness::Ready);
}

#[test]
fn retry_after_is_clamped() {
    for (given, lasts) in [(Duration::ZERO, S), (7 * S, 7 * S), (9999 * S, 300 * S)] {
        let (mut c, t) = start();
        assert_eq!(
            c.failed(
                Fault::RateLimit,
                ErrorClass::RateLimit,
                Some(given),
                t,
                &rule(None)
            ),
            Some(t + lasts)
        );
    }
}

#[test]
fn the_later_deadline_wins() {
    let (mut c, t) = start();
    c.failed(
        Fault::RateLimit,
        ErrorClass::RateLimit,
        Some(60 * S),
        t,
        &rule(None),
    );
    assert_eq!(
        c.failed(
            Fault::RateLimit,
            ErrorClass::RateLimit,
            Some(S),
            t + S,
            &rule(None)
        ),
        None
    );
    assert_eq!(
        c.readiness(t + 59 * S),
        Readiness::Cooling {
            until: t + 60 * S,
            cause: Fault::RateLimit
        }
    );
    assert_eq!(
        c.failed(
            Fault::Server,
            ErrorClass::InternalServer,
            Some(120 * S),
            t + S,
            &rule(Some(0))
        ),
        Some(t + 121 * S)
    );
}

#[test]
fn afterwards_one_goes_first() {
    let (mut c, t) = start();
    c.failed(
        Fault::RateLimit,
        ErrorClass::RateLimit,
        None,
        t,
        &rule(Some(5)),
    );
    c.succeeded(t + S);
    assert!(
        matches!(c.readiness(t + S), Readiness::Cooling { .. }),
        "an old success changes nothing"
    );
    let t = t + 10 * S;
    assert_eq!(c.readiness(t), Readiness::Probe);
    c.begin_probe();
    assert_eq!(c.readiness(t), Readiness::Probing);
    assert!(
        server_error(&mut c, t, &rule(Some(5))).is_some(),
        "a failed probe cools, whatever is allowed"
    );
    let t = t + 10 * S;
    c.begin_probe();
    c.end_probe();
    assert_eq!(
        c.readiness(t),
        Readiness::Probe,
        "a cancelled probe leaves the place free"
    );
    c.begin_probe();
    c.succeeded(t);
    assert_eq!(c.readiness(t), Readiness::Ready);
}

/// Five failures of any kind are allowed, and of one class `n`.
fn policy(class: ErrorClass, n: u32) -> Rule {
    let mut rule = rule(Some(5));
    rule.allowed_fails_policy.set(class, n);
    rule
}

#[test]
fn a_policy_replaces_the_general_rule_for_its_class() {
    use ErrorClass as C;
    // Of those that else cool at once, and of those that else count, the third.
    for (fault, class) in [
        (Fault::RateLimit, C::RateLimit),
        (Fault::Credential, C::Authentication),
        (Fault::NotFound, C::NotFound),
        (Fault::Timeout, C::Timeout),
        (Fault::Connect, C::InternalServer),
        (Fault::Server, C::BadGateway),
    ] {
        let (mut c, t) = start();
        let rule = policy(class, 2);
        assert_eq!(c.failed(fault, class, None, t, &rule), None, "{class:?}");
        assert_eq!(c.failed(fault, class, Some(30 * S), t + S, &rule), None);
        c.succeeded(t + S);
        let until = c.failed(fault, class, None, t + 2 * S, &rule);
        assert_eq!(until, Some(t + 12 * S), "{class:?}");
    }
    let (mut c, t) = start();
    let rule = policy(C::RateLimit, 0);
    let until = c.failed(Fault::RateLimit, C::RateLimit, Some(3 * S), t, &rule);
    assert_eq!(until, Some(t + 3 * S), "the provider's wish is kept");
}

#[test]
fn classes_count_alone() {
    use ErrorClass as C;
    let (mut c, t) = start();
    let rule = Rule {
        allowed_fails: Some(1),
        ..policy(C::Timeout, 1)
    };
    let mut fails = |fault, class| c.failed(fault, class, None, t, &rule).is_some();
    assert!(!fails(Fault::Timeout, C::Timeout));
    assert!(!fails(Fault::Server, C::InternalServer));
    assert!(
        fails(Fault::Server, C::ServiceUnavailable),
        "two of no class"
    );
    let (mut c, _) = start();
    let rule = Rule {
        allowed_fails: None,
        ..policy(C::Timeout, 9)
    };
    for _ in 0..9 {
        assert_eq!(c.failed(Fault::Timeout, C::Timeout, None, t, &rule), None);
    }
    assert_eq!(
        server_error(&mut c, t, &rule),
        None,
        "nine timeouts are no part of a row or a share"
    );
}

#[test]
fn a_class_is_counted_within_cooldown_time() {
    use ErrorClass as C;
    let (mut c, t) = start();
    let rule = policy(C::RateLimit, 1);
    for at in [0, 10, 20] {
        let until = c.failed(Fault::RateLimit, C::RateLimit, None, t + at * S, &rule);
        assert_eq!(until, None, "the one before is ten seconds old");
    }
    let until = c.failed(Fault::RateLimit, C::RateLimit, None, t + 29 * S, &rule);
    assert_eq!(until, Some(t + 39 * S));
    let t = t + 39 * S;
    assert_eq!(c.readiness(t), Readiness::Probe);
    let until = c.failed(Fault::RateLimit, C::RateLimit, None, t, &rule);
    assert_eq!(until, Some(t + 10 * S), "a failed probe cools");
    c.succeeded(t + 10 * S);
    let until = c.failed(Fault::RateLimit, C::RateLimit, None, t + 11 * S, &rule);
    assert_eq!(until, None, "its success begins anew");
}

#[test]
fn refused_requests_count_only_where_a_policy_says_so() {
    use ErrorClass as C;
    let (mut c, t) = start();
    for _ in 0..100 {
        assert_eq!(c.refused(C::BadRequest, t, &rule(Some(0))), None);
        let other = policy(C::ContentPolicy, 0);
        assert_eq!(c.refused(C::BadRequest, t, &other), None);
    }
    let rule = policy(C::ContentPolicy, 1);
    assert_eq!(c.refused(C::ContentPolicy, t, &rule), None);
    let until = t + 10 * S;
    assert_eq!(c.refused(C::ContentPolicy, t, &rule), Some(until));
    let cause = Fault::Refused;
    assert_eq!(c.readiness(t), Readiness::Cooling { until, cause });
    c.succeeded(until);
    assert_eq!(c.refused(C::ContentPolicy, until, &rule), None);
    assert_eq!(c.readiness(until), Readiness::Ready, "one is allowed again");
    let never = Rule {
        cooldown_time: Duration::ZERO,
        ..policy(C::ContentPolicy, 0)
    };
    assert_eq!(c.refused(C::ContentPolicy, until, &never), None);
}

#[test]
fn a_deployments_own_policy_stands_over_the_routers_class_by_class() {
    let (mut own, mut routers) = (Policy::default(), Policy::default());
    own.set(ErrorClass::Timeout, 1);
    routers.set(ErrorClass::Timeout, 7);
    routers.set(ErrorClass::RateLimit, 8);
    let merged = own.over(&routers);
    let of = [
        ErrorClass::Timeout,
        ErrorClass::RateLimit,
        ErrorClass::NotFound,
    ]
    .map(|c| merged.of(c));
    assert_eq!(of, [Some(1), Some(8), None]);
}

#[test]
fn what_others_have_found_only_lasts_longer() {
    let (mut c, t) = start();
    let cause = Fault::RateLimit;
    assert!(c.extend(t + 10 * S, cause));
    assert!(!c.extend(t + 10 * S, Fault::Server) && !c.extend(t + 9 * S, Fault::Server));
    let until = t + 10 * S;
    assert_eq!(c.readiness(t), Readiness::Cooling { until, cause });
    assert_eq!(c.readiness(until), Readiness::Probe, "by itself");
    c.begin_probe();
    assert!(c.extend(until + 5 * S, cause));
    // The probe that was under way meanwhile ends nothing, and leaves no trace.
    assert!(!c.succeeded(until + S));
    assert_eq!(c.readiness(until + 5 * S), Readiness::Probe);
    assert!(c.succeeded(until + 6 * S));
    assert_eq!(c.readiness(until + 6 * S), Readiness::Ready);
}
