use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Accepted, Issuer, Origin, Rules};

const NOW: u64 = 1_800_000_000;
const RESOURCE: &str = "https://tools.example.com/mcp";

fn issuer() -> Issuer {
    Issuer::new("corp", "https://idp.example.com")
}

/// Good claims with these changes; `null` removes a claim.
fn claims(changes: &Value) -> Map<String, Value> {
    let good = json!({
        "iss": "https://idp.example.com", "aud": RESOURCE, "sub": "ada", "client_id": "cli", "jti": "t1",
        "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 300, "scope": "mcp:read mcp:write",
    });
    let Value::Object(mut claims) = good else { unreachable!() };
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.remove(name);
        } else {
            claims.insert(name.clone(), value.clone());
        }
    }
    claims
}

fn accept_of(issuer: &Issuer, changes: &Value) -> Result<Accepted, &'static str> {
    Rules::new(issuer, RESOURCE).accept(&claims(changes), Origin::Token, NOW)
}

fn problem(changes: &Value) -> &'static str {
    accept_of(&issuer(), changes).unwrap_err()
}

fn roles(issuer: &Issuer, changes: &Value) -> Vec<String> {
    accept_of(issuer, changes).unwrap().grant.principal.roles().map(str::to_owned).collect()
}

#[test]
fn good_claims_become_a_grant() {
    let accepted = accept_of(&issuer(), &json!({"acr": "mfa"})).unwrap();
    assert_eq!(accepted.grant.principal.name(), "oauth:corp:ada");
    assert_eq!(accepted.grant.scopes.as_deref().unwrap(), [Box::from("mcp:read"), Box::from("mcp:write")]);
    assert_eq!(accepted.grant.acr.as_deref(), Some("mfa"));
    assert_eq!((accepted.expires, accepted.jkt), (NOW + 300, None));
}

#[test]
fn a8_the_issuer_is_compared_exactly() {
    for other in [
        json!("https://idp.example.com/"),
        json!("https://IDP.example.com"),
        json!("https://evil.example"),
        json!(["https://idp.example.com"]),
        json!(null),
    ] {
        assert_eq!(problem(&json!({"iss": other})), "it is from another issuer", "{other}");
    }
}

#[test]
fn a8_tp2_a_token_without_audience_is_refused() {
    assert_eq!(problem(&json!({"aud": null})), "it has no audience");
    assert_eq!(problem(&json!({"aud": []})), "it is for another audience");
}

#[test]
fn tp1_a_token_for_somebody_else_is_refused() {
    for other in [
        json!("https://other.example/mcp"),
        json!("https://tools.example.com/mcp/"),
        json!("cli"),
        json!(["a", "b"]),
        json!({"a": RESOURCE}),
        json!([[RESOURCE]]),
    ] {
        assert_eq!(problem(&json!({"aud": other})), "it is for another audience", "{other}");
    }
}

#[test]
fn an_audience_may_be_one_of_several_or_a_configured_one() {
    assert_eq!(accept_of(&issuer(), &json!({"aud": ["other", RESOURCE]})).unwrap().expires, NOW + 300);
    let named = Issuer { audiences: vec!["api://tools".into()], ..issuer() };
    assert_eq!(accept_of(&named, &json!({"aud": "api://tools"})).unwrap().expires, NOW + 300);
    assert_eq!(accept_of(&named, &json!({})).unwrap_err(), "it is for another audience");
}

#[test]
fn a8_times_are_checked_with_a_minute_of_leeway() {
    assert_eq!(problem(&json!({"exp": null})), "it has no expiry");
    assert_eq!(problem(&json!({"exp": "soon"})), "one of its dates is no number");
    assert_eq!(problem(&json!({"exp": -1})), "one of its dates is no number");
    assert_eq!(problem(&json!({"exp": 1e300})), "one of its dates is no number");
    assert_eq!(problem(&json!({"exp": NOW - 60})), "it has expired");
    assert_eq!(accept_of(&issuer(), &json!({"exp": NOW - 59})).unwrap().expires, NOW - 59);
    assert_eq!(accept_of(&issuer(), &json!({"exp": NOW as f64 + 1.5})).unwrap().expires, NOW + 1);
    assert_eq!(problem(&json!({"nbf": NOW + 61})), "it is not valid yet");
    assert_eq!(accept_of(&issuer(), &json!({"nbf": NOW + 60})).unwrap().expires, NOW + 300);
    assert_eq!(problem(&json!({"iat": NOW + 61})), "it is from the future");
    let exact = Issuer { leeway: Duration::ZERO, ..issuer() };
    assert_eq!(accept_of(&exact, &json!({"exp": NOW})).unwrap_err(), "it has expired");
    assert_eq!(accept_of(&exact, &json!({"nbf": NOW + 1})).unwrap_err(), "it is not valid yet");
}

#[test]
fn a11_the_age_of_a_token_can_be_limited() {
    let young = Issuer { max_token_age: Some(Duration::from_secs(120)), leeway: Duration::ZERO, ..issuer() };
    assert_eq!(accept_of(&young, &json!({"iat": NOW - 119})).unwrap().expires, NOW + 1);
    assert_eq!(accept_of(&young, &json!({"iat": NOW - 120})).unwrap_err(), "it is too old");
    assert_eq!(accept_of(&young, &json!({"iat": null})).unwrap_err(), "it does not say when it was issued, and its age is limited");
}

#[test]
fn a11_tokens_and_subjects_can_be_denied() {
    let denying = Issuer { denied_tokens: vec!["t1".into()], denied_subjects: vec!["eve".into(), "bad-client".into()], ..issuer() };
    assert_eq!(accept_of(&denying, &json!({})).unwrap_err(), "it is denied by its `jti`");
    assert_eq!(accept_of(&denying, &json!({"jti": "t2"})).unwrap().grant.principal.name(), "oauth:corp:ada");
    assert_eq!(accept_of(&denying, &json!({"jti": "t2", "sub": "eve"})).unwrap_err(), "its subject is denied");
    assert_eq!(accept_of(&denying, &json!({"jti": "t2", "sub": null, "client_id": "bad-client"})).unwrap_err(), "its subject is denied");
}

#[test]
fn a8_a_subject_or_a_client_is_required() {
    assert_eq!(problem(&json!({"sub": null, "client_id": null})), "it names neither a subject nor a client");
    assert_eq!(accept_of(&issuer(), &json!({"sub": null})).unwrap().grant.principal.name(), "oauth:corp:client:cli");
    assert_eq!(problem(&json!({"sub": "client:cli"})), "its subject reads like a client");
    assert_eq!(problem(&json!({"sub": ""})), "its subject is no text");
    assert_eq!(problem(&json!({"sub": 7})), "its subject is no text");
    for odd in ["a\nb", "a\u{0}", "\u{85}", &"x".repeat(257)] {
        assert_eq!(problem(&json!({"sub": odd})), "its subject is too long or holds control characters", "{odd:?}");
    }
}

#[test]
fn the_same_subject_of_two_issuers_is_two_principals() {
    let other = Issuer::new("lab", "https://lab.example.com");
    let accepted = accept_of(&other, &json!({"iss": "https://lab.example.com"})).unwrap();
    assert_eq!(accepted.grant.principal.name(), "oauth:lab:ada");
}

#[test]
fn roles_come_from_nested_claims() {
    let claims = json!({
        "realm_access": {"roles": ["dev", "ops"]}, "groups": "staff", "https://corp.example/roles": ["boss"],
        "a.b": {"c": "dotted"}, "n": null, "texts": ["text"], "_claim_names": {"other": "src1"}, "hasgroups": false,
    });
    let taking = |paths: &[&str]| Issuer { role_claims: paths.iter().map(|&path| path.to_owned()).collect(), ..issuer() };
    assert_eq!(roles(&taking(&["realm_access.roles", "groups"]), &claims), ["dev", "ops", "staff"]);
    assert_eq!(roles(&taking(&["https://corp.example/roles", "a.b.c", "texts"]), &claims), ["boss", "dotted", "text"]);
    assert_eq!(roles(&taking(&["n", "missing", "n.roles", "realm_access.other"]), &claims), Vec::<String>::new());
    assert_eq!(roles(&issuer(), &claims), Vec::<String>::new());
}

#[test]
fn roles_that_can_not_be_read_refuse_the_token() {
    let taking = Issuer { role_claims: vec!["groups".into(), "realm_access.roles".into()], ..issuer() };
    let unreadable = "its roles can't be read: a role claim is neither a text nor a list of texts";
    for value in [json!(7), json!(true), json!({"a": "dev"}), json!(["dev", 7]), json!([["dev"]]), json!(["dev", null])] {
        assert_eq!(accept_of(&taking, &json!({ "groups": value })).unwrap_err(), unreadable, "{value}");
    }
    assert_eq!(accept_of(&taking, &json!({"realm_access": ["dev"]})).unwrap_err(), unreadable);
    assert_eq!(accept_of(&taking, &json!({"realm_access": {"roles": {"dev": true}}})).unwrap_err(), unreadable);
    let elsewhere = "its roles can't be read: they are too many to be in the token (`_claim_names`, `hasgroups`)";
    for claims in [
        json!({"_claim_names": {"groups": "src1"}}),
        json!({"_claim_names": {"realm_access": "src1"}, "groups": ["dev"]}),
        json!({"_claim_names": "groups"}),
        json!({"hasgroups": true}),
        json!({"hasgroups": "true"}),
    ] {
        assert_eq!(accept_of(&taking, &claims).unwrap_err(), elsewhere, "{claims}");
        assert_eq!(roles(&issuer(), &claims), Vec::<String>::new(), "nobody asks for roles");
    }
}

#[test]
fn roles_are_mapped_where_a_map_is_given() {
    let roles_of = [("ops".to_owned(), vec!["admin".to_owned(), "reader".to_owned()]), ("dev".to_owned(), vec!["reader".to_owned()])];
    let mapping = Issuer { role_claims: vec!["groups".into()], roles: roles_of.into(), ..issuer() };
    assert_eq!(roles(&mapping, &json!({"groups": ["dev", "ops", "other"]})), ["admin", "reader"]);
    assert_eq!(roles(&mapping, &json!({"groups": ["admin"]})), Vec::<String>::new(), "a value without an entry is no role");
}

#[test]
fn roles_that_can_not_be_kept_refuse_the_token() {
    let taking = Issuer { role_claims: vec!["groups".into()], ..issuer() };
    let many: Vec<String> = (0..513).map(|n| n.to_string()).collect();
    assert_eq!(accept_of(&taking, &json!({"groups": many})).unwrap_err(), "it has more than 512 roles");
    let odd = accept_of(&taking, &json!({"groups": ["a\nb"]})).unwrap_err();
    assert_eq!(odd, "one of its roles is empty, too long or holds control characters");
}

#[test]
fn scopes_are_read_in_every_usual_form() {
    let scopes = |changes: Value| accept_of(&issuer(), &changes).unwrap().grant.scopes.unwrap().join(",");
    assert_eq!(scopes(json!({"scope": " a  b "})), "a,b");
    assert_eq!(scopes(json!({"scope": null, "scp": ["a", "b c"]})), "a,b,c");
    assert_eq!(scopes(json!({"scope": null, "scp": "a b"})), "a,b");
    assert_eq!(scopes(json!({"scope": null})), "");
    assert_eq!(scopes(json!({"scope": 7})), "");
}

#[test]
fn a12_a_key_binding_is_kept_or_refused() {
    assert_eq!(accept_of(&issuer(), &json!({"cnf": {"jkt": "abc"}})).unwrap().jkt.as_deref(), Some("abc"));
    for other in [json!({"x5t#S256": "abc"}), json!({"jkt": "abc", "x5t#S256": "abc"}), json!({}), json!({"jkt": 1})] {
        assert_eq!(problem(&json!({"cnf": other})), "it is bound to a key in a way that can't be proved here", "{other}");
    }
    assert_eq!(problem(&json!({"cnf": "abc"})), "its key binding is malformed");
}

#[test]
fn a9_an_introspection_may_leave_out_issuer_and_expiry_but_not_the_audience() {
    let rules = Rules::new(&issuer(), RESOURCE);
    let accept = |changes: Value| rules.accept(&claims(&changes), Origin::Introspection, NOW).map(|accepted| accepted.expires);
    assert_eq!(accept(json!({"iss": null, "exp": null})), Ok(NOW + 60));
    assert_eq!(accept(json!({"iss": "https://evil.example"})), Err("it is from another issuer"));
    assert_eq!(accept(json!({"aud": null})), Err("it has no audience"));
    assert_eq!(accept(json!({"exp": NOW - 60})), Err("it has expired"));
}
