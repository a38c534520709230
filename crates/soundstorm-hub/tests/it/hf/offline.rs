//! Without a network, by wish or by accident.

use std::fs;

use soundstorm_hub::RemoteError;

use super::fake::{FIRST, Fake, SECOND, name, remote, sha256, weights};

#[test]
fn what_is_here_is_found_by_branch_and_commit() {
    let fake = Fake::start();
    let fetched = fake.fetch("").unwrap();
    for revision in ["", "main", FIRST] {
        assert_eq!(fake.offline(revision).unwrap(), fetched, "{revision}");
    }
    // The branch moves, which offline does not hear of.
    fake.state().refs.insert("main", SECOND);
    assert_eq!(fake.offline("main").unwrap().commit, FIRST);
    assert_eq!(fake.offline("").unwrap().sha256, sha256(&weights(1)));
}

#[test]
fn what_is_not_here_is_told() {
    let fake = Fake::start();
    for revision in ["", FIRST] {
        let error = fake.offline(revision).unwrap_err();
        assert!(matches!(error, RemoteError::Offline { .. }), "{error}");
        for word in ["HF_HUB_OFFLINE", "no such repository", "unset", "a folder"] {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
    }
    fake.fetch("").unwrap();
    for revision in ["v2", SECOND] {
        assert!(fake.offline(revision).is_err(), "{revision}");
    }

    let snapshot = fake.folder().join("snapshots").join(FIRST);
    fs::remove_file(snapshot.join("model.safetensors")).unwrap();
    let error = fake.offline("").unwrap_err().to_string();
    assert!(
        error.contains("no model.safetensors") && error.contains(FIRST),
        "{error}"
    );
    let index = snapshot.join("model.safetensors.index.json");
    fs::write(index, "{}").unwrap();
    let error = fake.offline("").unwrap_err();
    assert!(matches!(error, RemoteError::Sharded { .. }), "{error}");
}

#[test]
fn a_hub_that_is_not_there_is_told_with_what_helps() {
    // A port at which nobody listens.
    let gone = "http://127.0.0.1:1";
    let fake = Fake::start();
    let hub = fake.hub_at(gone, &[]);
    let error = remote(hub.fetch(&name(""), &mut |_| ()).unwrap_err());
    assert!(
        matches!(error, RemoteError::NoConnection { cached: None, .. }),
        "{error}"
    );
    for word in [gone, "a folder", "HF_ENDPOINT"] {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    assert!(!error.to_string().contains("HF_HUB_OFFLINE"), "{error}");

    // With a copy in the cache there is a way on.
    fake.fetch("").unwrap();
    let error = hub.fetch(&name(""), &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("HF_HUB_OFFLINE=1"), "{error}");
    // And what is pinned does not even notice.
    assert_eq!(hub.fetch(&name(FIRST), &mut |_| ()).unwrap().commit, FIRST);
}
