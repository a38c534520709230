//! What the hub does not have, or does not give.

use soundstorm_hub::{Hub, HubName, RemoteError};

use super::{
    fake::{FIRST, Fake, REPOSITORY, name, remote},
    server::{Reply, Server},
};

fn says(error: &RemoteError, words: &[&str]) {
    let error = error.to_string();
    for word in words {
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[test]
fn a_repository_that_does_not_exist() {
    let fake = Fake::start();
    for terse in [false, true] {
        fake.state().terse = terse;
        let other: HubName = "hf:owner/other".parse().unwrap();
        let error = remote(fake.hub(&[]).fetch(&other, &mut |_| ()).unwrap_err());
        assert!(
            matches!(error, RemoteError::NotFound { token: false, .. }),
            "{error}"
        );
        says(&error, &["hf:owner/other", "private", "HF_TOKEN"]);
    }
}

#[test]
fn a_revision_that_does_not_exist() {
    let fake = Fake::start();
    let error = fake.fails("v9");
    assert!(matches!(error, RemoteError::NoRevision { .. }), "{error}");
    says(&error, &["`v9`", "branch"]);
    let unknown = FIRST.replace('1', "7");
    assert!(matches!(
        fake.fails(&unknown),
        RemoteError::NoRevision { .. }
    ));
    assert!(!fake.folder().exists());
}

#[test]
fn a_repository_with_conditions() {
    let fake = Fake::start();
    fake.state().token = Some("right");
    let page = format!("{}/{REPOSITORY}", fake.server.url());
    let error = fake.fails("");
    assert!(
        matches!(error, RemoteError::Denied { status: 401, .. }),
        "{error}"
    );
    says(&error, &["401", &page, "conditions", "HF_TOKEN"]);

    let hub = fake.hub(&[("HF_TOKEN", "wr0ng")]);
    let error = remote(hub.fetch(&name(""), &mut |_| ()).unwrap_err());
    assert!(
        matches!(error, RemoteError::Denied { status: 403, .. }),
        "{error}"
    );
    says(&error, &["403", &page, "a token that may read it"]);
    assert!(!format!("{error} {error:?}").contains("wr0ng"));
}

#[test]
fn a_repository_without_the_files() {
    let fake = Fake::start();
    type Files = std::collections::BTreeMap<&'static str, Vec<u8>>;
    let files = |change: &dyn Fn(&mut Files)| {
        change(fake.state().commits.get_mut(FIRST).unwrap());
    };
    for terse in [false, true] {
        fake.state().terse = terse;
        files(&|files| drop(files.remove("model.safetensors")));
        let error = fake.fails("");
        says(&error, &["no model.safetensors", "soundstorm import"]);
        assert!(matches!(error, RemoteError::MissingFile { .. }), "{error}");

        files(&|files| drop(files.insert("model.safetensors.index.json", b"{}".to_vec())));
        let error = fake.fails("");
        assert!(matches!(error, RemoteError::Sharded { .. }), "{error}");
        says(&error, &["several files"]);
        files(&|files| drop(files.remove("model.safetensors.index.json")));
    }
    // All of it was questions: no file came, and no pickle was so much as asked after.
    let requests = fake.requests();
    assert!(
        requests.iter().all(|line| line.starts_with("HEAD")),
        "{requests:?}"
    );
    assert!(
        !requests.iter().any(|line| line.contains("pytorch")),
        "{requests:?}"
    );
    assert!(!fake.folder().exists());

    fake.state().terse = false;
    files(&|files| files.clear());
    says(&fake.fails(""), &["no config.json"]);
}

#[test]
fn storage_that_refuses_is_not_the_hub() {
    let fake = Fake::start();
    let storage = Server::start(|_| Reply {
        status: 403,
        ..Reply::default()
    });
    fake.state().storage = Some(storage.url());
    let error = fake.fails("");
    assert!(
        matches!(error, RemoteError::Server { status: 403, .. }),
        "{error}"
    );
    assert!(!error.to_string().contains("signature"), "{error}");
}

#[test]
fn what_is_no_hub_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let fetch = |server: &Server| {
        let hub = Hub::from_variables(|name| match name {
            "HF_ENDPOINT" => Some(server.url().into()),
            "HF_HOME" => Some(dir.path().into()),
            _ => None,
        });
        remote(hub.unwrap().fetch(&name(""), &mut |_| ()).unwrap_err())
    };
    let page = Server::start(|_| Reply {
        status: 200,
        body: b"welcome".to_vec(),
        ..Reply::default()
    });
    says(
        &fetch(&page),
        &["does not answer as a hub", "X-Repo-Commit"],
    );
    let to = |location: &'static str| {
        Server::start(move |_| Reply {
            status: 302,
            headers: vec![("Location", location.to_owned())],
            ..Reply::default()
        })
    };
    says(&fetch(&to("/around")), &["too many redirections"]);
    says(&fetch(&to("around")), &["leads nowhere"]);
    assert_eq!(crate::names(dir.path()), [""; 0]);
}
