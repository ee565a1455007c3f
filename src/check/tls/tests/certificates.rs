//! Certificates that are verified, and what becomes of those that are not good.

use super::*;

#[test]
fn certificates_are_verified_where_that_is_asked_for_and_kept_in_any_case() {
    let stranger = {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["web.internal".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        (vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    };
    let rubbish = (vec![CertificateDer::from(vec![0x30, 0x03, 1, 2, 3])], stranger.1.clone_key());
    let wrong_key = (identity("web.internal", |_| {}).0, stranger.1.clone_key());
    let named = |name| identity(name, |_| {});
    let dated = |from, to| {
        identity("web.internal", |params| {
            (params.not_before, params.not_after) =
                (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        })
    };
    let cases = [
        ("good", named("web.internal"), None),
        ("expired", dated(2000, 2001), Some(Cause::CertificateExpired)),
        ("early", dated(4000, 4001), Some(Cause::CertificateNotYetValid)),
        ("wrong name", named("other.internal"), Some(Cause::CertificateWrongName)),
        ("self-signed", stranger, Some(Cause::CertificateUnknownIssuer)),
        ("rubbish", rubbish, Some(Cause::CertificateBad)),
        ("another's key", wrong_key, Some(Cause::CertificateBadSignature)),
    ];
    for (what, identity, cause) in cases {
        for version in [&TLS12, &TLS13] {
            let (versions, identity) =
                (vec![version], (identity.0.clone(), identity.1.clone_key()));
            let peer = Peer { versions, identity, ..Peer::default() };
            let config = peer.config();
            for (check, passed) in both(&Settings::default()) {
                let found = probe(&check, &peer, &config, None, 1_000).0;
                assert_eq!(found, passed, "{what}, unverified, {version:?}");
            }
            for (check, passed) in both(&verifying()) {
                let (found, told, _) = probe(&check, &peer, &config, None, 1_000);
                assert_eq!(found, cause.map_or(passed, l6rsp), "{what}, verified, {version:?}");
                let version = if *version == TLS12 { "TLSv1.2" } else { "TLSv1.3" };
                assert_eq!(told.terms.unwrap().0, version, "{what}");
                assert_eq!(told.leaf.as_deref(), Some(&*peer.identity.0[0]), "{what}");
            }
        }
    }
}

#[test]
fn an_address_is_verified_where_there_is_no_name() {
    let check = tls(&verifying(), None, Inner::Handshake);
    for (name, expected) in [("10.1.2.3", L6OK), ("10.1.2.4", l6rsp(Cause::CertificateWrongName))] {
        let peer = Peer { identity: identity(name, |_| {}), ..Peer::default() };
        let (found, _, server) = probe(&check, &peer, &peer.config(), None, 1_000);
        assert_eq!((found, server.server_name()), (expected, None), "{name}");
    }
}

#[test]
fn name_and_protocols_are_told() {
    let alpn = vec!["h2".to_owned(), "http/1.1".to_owned()];
    let settings = Settings { alpn, ..Settings::default() };
    let peer = Peer::default();
    for (check, passed) in both(&settings) {
        let (found, told, server) = probe(&check, &peer, &peer.config(), None, 1_000);
        assert_eq!((found, told.alpn.as_deref()), (passed, Some("http/1.1")));
        assert_eq!(server.server_name(), Some("web.internal"));
    }
    let settings = Settings { alpn: vec!["h2".to_owned()], ..Settings::default() };
    let check = tls(&settings, None, Inner::Handshake);
    assert_eq!(outcome_of(&check, &peer, 1_000), l6rsp(Cause::AlertNoApplicationProtocol));
}

/// As `openssl req -x509` makes them: self-signed, and an authority's by its own word.
#[test]
fn an_authority_is_no_server_unless_it_is_trusted_itself() {
    let own = |name: &str, change: fn(&mut CertificateParams)| {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        ((vec![certificate.der().clone()], key), certificate.pem().into_bytes())
    };
    let refused = |cause| l6rsp(cause);
    let (good, other) = (own("web.internal", |_| {}), own("web.internal", |_| {}));
    let trusted = good.1.clone();
    let wrong = own("other.internal", |_| {});
    let expired = own("web.internal", |params| {
        (params.not_before, params.not_after) =
            (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
    });
    let early = own("web.internal", |params| {
        (params.not_before, params.not_after) =
            (date_time_ymd(4000, 1, 1), date_time_ymd(4001, 1, 1));
    });
    let bundle = [&other.1[..], &trusted].concat();
    let (pem_of_wrong, pem_of_expired) = (wrong.1.clone(), expired.1.clone());
    let pem_of_early = early.1.clone();
    for (what, (identity, _), trusted, expected) in [
        ("trusted", good, bundle, L6OK),
        ("another", other, trusted, refused(Cause::CertificateOfAuthority)),
        ("wrong name", wrong, pem_of_wrong, refused(Cause::CertificateWrongName)),
        ("expired", expired, pem_of_expired, refused(Cause::CertificateExpired)),
        ("early", early, pem_of_early, refused(Cause::CertificateNotYetValid)),
    ] {
        let pems = Pems { roots: Some(Roots::Pem(trusted)), own: None };
        let client = Client::new(&verifying(), Some("web.internal"), &pems).unwrap();
        let check = Check { client, inner: Inner::Handshake };
        for version in [&TLS12, &TLS13] {
            let identity = (identity.0.clone(), identity.1.clone_key());
            let peer = Peer { versions: vec![version], identity, ..Peer::default() };
            assert_eq!(outcome_of(&check, &peer, 1_000), expected, "{what} by {version:?}");
        }
    }
}
