use proptest::prelude::*;

use super::*;
use crate::consent::Answered;
use ConsentStatus::{Denied, Granted, Unknown};
use ConsentType::{AdPersonalization, AdStorage, AdUserData, AnalyticsStorage};

fn says(source: ConsentSource, pairs: &[(ConsentType, ConsentStatus)]) -> Signal {
    let mut said = Statement::default();
    pairs.iter().for_each(|(kind, status)| said.set(*kind, *status));
    Signal { source, said: Said::Types(said), variable: None, turn: 0 }
}

fn evidence(signals: impl IntoIterator<Item = Signal>) -> Evidence {
    Evidence { signals: signals.into_iter().collect(), ..Evidence::default() }
}

fn with_default(mut evidence: Evidence, kind: ConsentType, status: ConsentStatus) -> Evidence {
    evidence.defaults[kind as usize] = Answer { status, source: ConsentSource::ContainerDefault };
    evidence
}

fn answer(evidence: &Evidence, kind: ConsentType) -> (ConsentStatus, ConsentSource) {
    let answer = evidence.state(&Recipients::Unregistered).answer(kind);
    (answer.status, answer.source)
}

/// Every signal that can grant but the hit's own.
const GRANTING: [ConsentSource; 10] = [
    ConsentSource::GcdUpdate,
    ConsentSource::GcdDefault,
    ConsentSource::GcdImplicit,
    ConsentSource::Gcs,
    ConsentSource::Cookiebot,
    ConsentSource::OneTrust,
    ConsentSource::CookieYes,
    ConsentSource::Complianz,
    ConsentSource::Axeptio,
    ConsentSource::Variable,
];

#[test]
fn what_the_hit_says_decides_whatever_else_is_said() {
    for source in GRANTING {
        for (said, other) in [(Granted, Denied), (Denied, Granted)] {
            let evidence =
                evidence([says(ConsentSource::Hit, &[(AdStorage, said)]), says(source, &[(AdStorage, other)])]);
            assert_eq!(answer(&evidence, AdStorage), (said, ConsentSource::Hit), "{source:?}");
        }
    }
}

#[test]
fn of_other_signals_the_strictest_decides_in_either_order() {
    for first in GRANTING {
        for second in GRANTING.into_iter().filter(|second| second.signal() != first.signal()) {
            let evidence = evidence([says(first, &[(AdStorage, Granted)]), says(second, &[(AdStorage, Denied)])]);
            assert_eq!(answer(&evidence, AdStorage), (Denied, second), "{first:?} grants, {second:?} denies");
        }
    }
}

#[test]
fn a_signal_that_is_silent_leaves_a_type_to_the_others() {
    let evidence = evidence([
        says(ConsentSource::Gcs, &[(AnalyticsStorage, Denied)]),
        says(ConsentSource::Cookiebot, &[(AdStorage, Granted)]),
    ]);
    assert_eq!(answer(&evidence, AdStorage), (Granted, ConsentSource::Cookiebot));
    assert_eq!(answer(&evidence, AnalyticsStorage), (Denied, ConsentSource::Gcs));
    assert_eq!(answer(&evidence, AdUserData), (Unknown, ConsentSource::NoSignal));
}

#[test]
fn within_gcd_an_update_goes_before_a_default() {
    for (update, default) in [(Granted, Denied), (Denied, Granted)] {
        let evidence = evidence([
            says(ConsentSource::GcdUpdate, &[(AdStorage, update)]),
            says(ConsentSource::GcdDefault, &[(AdStorage, default), (AdUserData, default)]),
        ]);
        assert_eq!(answer(&evidence, AdStorage), (update, ConsentSource::GcdUpdate));
        assert_eq!(answer(&evidence, AdUserData), (default, ConsentSource::GcdDefault));
        assert_eq!(evidence.against(AdStorage, evidence.state(&Recipients::Unregistered).answer(AdStorage)).count(), 0);
    }
}

#[test]
fn a_default_holds_where_no_signal_speaks() {
    let silent = with_default(evidence([]), AdStorage, Granted);
    assert_eq!(answer(&silent, AdStorage), (Granted, ConsentSource::ContainerDefault));
    let denied = with_default(evidence([says(ConsentSource::Gcs, &[(AdStorage, Denied)])]), AdStorage, Granted);
    assert_eq!(answer(&denied, AdStorage), (Denied, ConsentSource::Gcs));
    let granted = with_default(evidence([says(ConsentSource::Gcs, &[(AdStorage, Granted)])]), AdStorage, Denied);
    assert_eq!(answer(&granted, AdStorage), (Granted, ConsentSource::Gcs));
}

#[test]
fn an_opt_out_lowers_everything_and_lifts_nothing() {
    for opt_out in [ConsentSource::SecGpc, ConsentSource::UsPrivacy, ConsentSource::Npa] {
        for granting in GRANTING.into_iter().chain([ConsentSource::Hit]) {
            let denies = says(opt_out, &[(AdPersonalization, Denied)]);
            let evidence = evidence([says(granting, &[(AdPersonalization, Granted)]), denies]);
            assert_eq!(answer(&evidence, AdPersonalization), (Denied, opt_out), "{granting:?}");
        }
        let granted = evidence([says(opt_out, &[(AdStorage, Granted)])]);
        assert_eq!(answer(&granted, AdStorage), (Unknown, ConsentSource::NoSignal), "{opt_out:?} cannot grant");
    }
}

#[test]
fn a_refusal_is_a_denial_by_who_answered_or_opted_out() {
    let refused = |source, choice| {
        let evidence = Evidence { choice, ..evidence([says(source, &[(AdStorage, Denied)])]) };
        evidence.state(&Recipients::Unregistered).is_refused(AdStorage)
    };
    let answered = Choice::new(Answered::Yes, ConsentSource::Hit);
    for source in GRANTING.into_iter().chain([ConsentSource::Hit]) {
        let by_default = matches!(source, ConsentSource::GcdDefault | ConsentSource::GcdImplicit);
        assert_eq!(refused(source, answered), !by_default, "{source:?}");
        assert!(!refused(source, Choice::NotMade(ConsentSource::Hit)), "{source:?}");
        assert!(!refused(source, Choice::NotSaid), "{source:?}");
    }
    assert!(refused(ConsentSource::SecGpc, Choice::NotSaid));
    assert!(refused(ConsentSource::UsPrivacy, Choice::NotMade(ConsentSource::Hit)));
    let by_default = with_default(Evidence { choice: answered, ..evidence([]) }, AdStorage, Denied);
    assert!(!by_default.state(&Recipients::Unregistered).is_refused(AdStorage));
}

#[test]
fn a_refusal_keeps_its_own_reason_under_an_opt_out() {
    let signals =
        || [says(ConsentSource::Hit, &[(AdStorage, Denied)]), says(ConsentSource::SecGpc, &[(AdStorage, Denied)])];
    let refused = Evidence { choice: Choice::Made(ConsentSource::Hit), ..evidence(signals()) };
    assert_eq!(answer(&refused, AdStorage), (Denied, ConsentSource::Hit));
    assert_eq!(answer(&evidence(signals()), AdStorage), (Denied, ConsentSource::SecGpc), "no answer would lift it");
}

fn tcf(denied: &[ConsentType], open: &[ConsentType], vendors: &[(u16, ConsentStatus)]) -> Evidence {
    let said = Said::Tcf { denied: Statement::of(denied, Denied), open: ConsentTypes::of(open) };
    let vendors = vendors.iter().map(|(id, status)| (VendorId(*id), Statement::of(open, *status)));
    let signal = Signal { source: ConsentSource::Tcf, said, variable: None, turn: 0 };
    Evidence { vendors: vendors.collect(), ..evidence([signal]) }
}

#[test]
fn tcf_grants_vendors_and_nobody_else() {
    let evidence = tcf(&[AdPersonalization], &[AdStorage, AdUserData], &[(7, Granted), (8, Denied)]);
    let status = |ids: &[u16], kind| {
        let ids: Box<[_]> = ids.iter().copied().map(VendorId).collect();
        let recipients = if ids.is_empty() { Recipients::Unregistered } else { Recipients::Vendors(ids) };
        let answer = evidence.state(&recipients).answer(kind);
        (answer.status, answer.source)
    };
    assert_eq!(status(&[7], AdStorage), (Granted, ConsentSource::Tcf));
    assert_eq!(status(&[8], AdStorage), (Denied, ConsentSource::Tcf));
    assert_eq!(status(&[7, 8], AdStorage), (Denied, ConsentSource::Tcf), "all of them receive it");
    assert_eq!(status(&[], AdStorage), (Unknown, ConsentSource::Tcf));
    for ids in [&[][..], &[7], &[8]] {
        assert_eq!(status(ids, AdPersonalization), (Denied, ConsentSource::Tcf), "whoever receives it");
        assert_eq!(status(ids, AnalyticsStorage), (Unknown, ConsentSource::NoSignal), "TCF does not speak of it");
    }
}

#[test]
fn without_a_vendor_tcf_leaves_a_type_to_other_signals() {
    let mut evidence = tcf(&[], &[AdStorage], &[]);
    evidence.signals.push(says(ConsentSource::Gcs, &[(AdStorage, Granted)]));
    assert_eq!(answer(&evidence, AdStorage), (Granted, ConsentSource::Gcs));
}

#[test]
fn what_was_then_is_what_the_page_said_then_over_the_defaults() {
    let signals = [says(ConsentSource::Hit, &[(AdStorage, Granted), (AdUserData, Granted)])];
    let now = with_default(evidence(signals), AnalyticsStorage, Granted);
    let then = now.state_then(&Statement::of(&[AdStorage], Denied));
    assert_eq!(then.status(AdStorage), Denied);
    assert_eq!(then.status(AdUserData), Unknown, "what is said now was not said then");
    assert_eq!(then.status(AnalyticsStorage), Granted);
}

#[test]
fn what_did_not_come_is_told_from_what_denied() {
    let mut evidence = evidence([says(ConsentSource::GcdDefault, &[(AdStorage, Denied)])]);
    evidence.read = [ConsentSource::Gcd, ConsentSource::Gcs, ConsentSource::SecGpc].into_iter().collect();
    assert_eq!(evidence.not_received().collect::<Vec<_>>(), [ConsentSource::Gcs, ConsentSource::SecGpc]);
}

#[test]
fn conflicts_are_told_with_who_said_otherwise() {
    let evidence = evidence([
        says(ConsentSource::Gcs, &[(AdStorage, Granted)]),
        says(ConsentSource::Cookiebot, &[(AdStorage, Denied)]),
        says(ConsentSource::OneTrust, &[(AdStorage, Granted)]),
    ]);
    let decided = evidence.state(&Recipients::Unregistered).answer(AdStorage);
    let against: Vec<_> = evidence.against(AdStorage, decided).map(|signal| signal.source).collect();
    assert_eq!(against, [ConsentSource::Gcs, ConsentSource::OneTrust]);
}

fn any_signal() -> impl Strategy<Value = Signal> {
    let sources: Vec<_> = GRANTING.into_iter().filter(|source| source.signal() != ConsentSource::Gcd).collect();
    let statuses = prop::collection::vec(prop::sample::select(vec![Granted, Denied, Unknown]), 7);
    (prop::sample::select(sources), statuses)
        .prop_map(|(source, statuses)| says(source, &ConsentType::ALL.into_iter().zip(statuses).collect::<Vec<_>>()))
}

proptest! {
    #[test]
    fn the_order_of_signals_decides_nothing(signals in prop::collection::vec(any_signal(), 0..6)) {
        let forwards = evidence(signals.clone()).state(&Recipients::Unregistered);
        let backwards = evidence(signals.into_iter().rev()).state(&Recipients::Unregistered);
        for kind in ConsentType::ALL {
            prop_assert_eq!(forwards.status(kind), backwards.status(kind));
        }
    }

    #[test]
    fn what_is_granted_somebody_granted_and_nobody_denied(signals in prop::collection::vec(any_signal(), 0..6)) {
        let evidence = evidence(signals);
        let state = evidence.state(&Recipients::Unregistered);
        for kind in ConsentType::ALL {
            let said = |status| evidence.signals.iter().any(|signal| signal.said.in_general(kind) == status);
            prop_assert_eq!(state.is_granted(kind), said(Granted) && !said(Denied));
        }
    }

    #[test]
    fn a_further_denial_or_opt_out_grants_nothing(
        signals in prop::collection::vec(any_signal(), 0..5),
        more in any_signal(),
        source in prop::sample::select(vec![ConsentSource::Gcs, ConsentSource::SecGpc, ConsentSource::UsPrivacy]),
    ) {
        let before = evidence(signals.clone()).state(&Recipients::Unregistered).granted();
        let denied = ConsentType::ALL.into_iter().filter(|kind| more.said.in_general(*kind) == Denied);
        let denial = says(source, &denied.map(|kind| (kind, Denied)).collect::<Vec<_>>());
        let after = evidence(signals.into_iter().chain([denial])).state(&Recipients::Unregistered).granted();
        prop_assert!(after.without(before).is_empty());
    }
}
