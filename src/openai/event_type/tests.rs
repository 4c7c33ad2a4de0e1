use super::*;

#[test]
fn ga4_names_and_standard_names_are_inherited() {
    for (ga4, expected) in [
        ("page_view", "page_viewed"),
        ("view_item", "contents_viewed"),
        ("add_to_cart", "items_added"),
        ("begin_checkout", "checkout_started"),
        ("purchase", "order_created"),
        ("generate_lead", "lead_created"),
        ("sign_up", "registration_completed"),
    ] {
        let inherited = EventType::inherit(ga4, Unmapped::Skip, &mut Notes::new()).unwrap();
        assert_eq!((inherited.type_name(), inherited.name()), (expected, expected));
    }
    for event in StandardEvent::ALL {
        let expected = Ok(EventType::Standard(event));
        assert_eq!(EventType::inherit(event.name(), Unmapped::Skip, &mut Notes::new()), expected);
        assert_eq!(EventType::standard(event.name()), expected);
    }
}

#[test]
fn an_unknown_name_is_skipped_unless_the_tag_wants_custom_events() {
    let skipped = Err(Invalid::new("event_name", Reason::UnknownEvent));
    for name in ["view_cart", "Purchase", "purchase ", "", "gtm.js"] {
        assert_eq!(EventType::inherit(name, Unmapped::Skip, &mut Notes::new()), skipped, "{name}");
    }
    let custom = EventType::inherit("view_cart", Unmapped::Custom, &mut Notes::new()).unwrap();
    assert_eq!((custom.type_name(), custom.name(), custom.shape()), ("custom", "view_cart", Shape::Custom));
    let refused = Err(Invalid::new("custom_event_name", Reason::NotACustomName));
    assert_eq!(EventType::inherit("gtm.js", Unmapped::Custom, &mut Notes::new()), refused);
    assert_eq!(EventType::standard("order_creatd"), Err(Invalid::new("type", Reason::UnknownEvent)));
}

#[test]
fn custom_names() {
    let long = "a".repeat(64);
    for name in ["a", "7", "view_cart", "step-2", "a__b", &long] {
        let mut notes = Notes::new();
        assert_eq!(EventType::custom(name, &mut notes).unwrap().name(), name);
        assert_eq!(notes, []);
    }
    for name in ["", " ", "_a", "a-", "-", "gtm.js", "a b", "é", "a\n_", &"a".repeat(65)] {
        let refused = Err(Invalid::new("custom_event_name", Reason::NotACustomName));
        assert_eq!(EventType::custom(name, &mut Notes::new()), refused, "{name:?}");
    }
    for name in ["order_created", "ORDER_CREATED", "Page_Viewed", "custom", "Custom"] {
        let refused = Err(Invalid::new("custom_event_name", Reason::StandardName));
        assert_eq!(EventType::custom(name, &mut Notes::new()), refused, "{name}");
    }
}

#[test]
fn an_upper_case_name_is_kept_and_remarked_upon() {
    let mut notes = Notes::new();
    assert_eq!(EventType::custom(" ViewCart ", &mut notes).unwrap().name(), "ViewCart");
    assert_eq!(notes, [Note::new("custom_event_name", Reason::UpperCaseName)]);
}

#[test]
fn the_shape_follows_from_the_type() {
    use StandardEvent::*;
    for (events, shape) in [
        (vec![PageViewed, ContentsViewed, ItemsAdded, CheckoutStarted, OrderCreated], Shape::Contents),
        (
            vec![LeadCreated, RegistrationCompleted, AppointmentScheduled, AppInstalled, AppOpened],
            Shape::CustomerAction,
        ),
        (vec![SubscriptionCreated, TrialStarted], Shape::PlanEnrollment),
    ] {
        for event in events {
            assert_eq!(EventType::Standard(event).shape(), shape, "{event:?}");
        }
    }
}

#[test]
fn app_events_happen_in_apps_only() {
    for event in StandardEvent::ALL {
        let event_type = EventType::Standard(event);
        let is_app_event = event.name().starts_with("app_");
        for source in ActionSource::ALL {
            assert_eq!(event_type.allows(source), !is_app_event || source.name() == "mobile_app", "{event:?} {source}");
        }
    }
}

#[test]
fn action_sources_are_read_by_name() {
    for source in ActionSource::ALL {
        assert_eq!(ActionSource::from_name(source.name()), Some(source));
    }
    assert_eq!(ActionSource::from_name("Web"), None);
}
