//! What is fetched, how often, and where it lies.

use std::{fs, path::Path};

use burn_flex::Flex;
use soundstorm_hub::{config_path, init_model, inspect, open_model, weights_path};

use super::fake::{
    FIRST, Fake, REPOSITORY, SECOND, WEIGHTS, config, lines, name, read, sha256, weights,
};

#[test]
fn a_repository_is_fetched_once() {
    let fake = Fake::start();
    let fetched = fake.fetch("").unwrap();
    assert_eq!(fetched.repo, REPOSITORY);
    assert_eq!(fetched.commit, FIRST);
    assert_eq!(fetched.sha256, sha256(&weights(1)));
    assert_eq!(fetched.folder, fake.folder().join("snapshots").join(FIRST));
    assert_eq!(
        crate::names(&fetched.folder),
        ["config.json", "model.safetensors"]
    );
    assert_eq!(read(&fetched.folder, "config.json"), config(1));
    assert_eq!(read(&fetched.folder, "model.safetensors"), weights(1));
    let file = |revision: &str, file: &str| format!("/{REPOSITORY}/resolve/{revision}/{file}");
    let storage = format!("GET /storage/{}?signature=x", fetched.sha256);
    assert_eq!(
        fake.requests(),
        [
            format!("HEAD {}", file("main", "config.json")),
            // From here on it is the commit that is asked for, and no longer the branch.
            format!("HEAD {}", file(FIRST, "model.safetensors")),
            format!("GET {}", file(FIRST, "config.json")),
            format!("GET {}", file(FIRST, "model.safetensors")),
            storage,
        ]
    );

    assert_eq!(fake.fetch("").unwrap(), fetched);
    let again = [format!("HEAD {}", file("main", "config.json"))];
    assert_eq!(fake.requests(), again);
}

#[test]
fn the_cache_is_laid_out_as_python_has_it() {
    let fake = Fake::start();
    fake.fetch("").unwrap();
    let small = sha256(&config(1))[..40].to_owned();
    let large = sha256(&weights(1));
    let mut blobs = [small.clone(), large.clone()];
    blobs.sort();
    assert_eq!(fake.blobs(), blobs);
    assert_eq!(crate::names(&fake.folder()), ["blobs", "refs", "snapshots"]);
    assert_eq!(read(&fake.folder(), "refs/main"), FIRST.as_bytes());
    #[cfg(unix)]
    for (file, blob) in [("config.json", small), ("model.safetensors", large)] {
        let link = fake.folder().join("snapshots").join(FIRST).join(file);
        let target = Path::new("../../blobs").join(blob);
        assert_eq!(fs::read_link(link).unwrap(), target);
    }
}

#[test]
fn a_branch_is_looked_up_and_a_commit_stays() {
    let fake = Fake::start();
    assert_eq!(fake.fetch("main").unwrap().commit, FIRST);
    fake.state().refs.insert("main", SECOND);
    let moved = fake.fetch("main").unwrap();
    assert_eq!(moved.commit, SECOND);
    assert_eq!(moved.sha256, sha256(&weights(2)));
    assert_eq!(read(&fake.folder(), "refs/main"), SECOND.as_bytes());

    fake.requests();
    let pinned = fake.fetch(FIRST).unwrap();
    assert_eq!(pinned.commit, FIRST);
    assert_eq!(pinned.sha256, sha256(&weights(1)));
    assert_eq!(read(&pinned.folder, "model.safetensors"), weights(1));
    assert!(
        fake.requests().is_empty(),
        "a commit that is here needs no network"
    );
}

#[test]
fn a_commit_is_fetched_if_it_is_not_here() {
    let fake = Fake::start();
    let pinned = fake.fetch(SECOND).unwrap();
    assert_eq!(read(&pinned.folder, "config.json"), config(2));
    assert!(!fake.folder().join("refs").exists());
    let request = fake.requests().remove(0);
    assert!(request.contains(SECOND), "{request}");
}

#[test]
fn revisions_may_have_slashes() {
    let fake = Fake::start();
    assert_eq!(fake.fetch("refs/pr/3").unwrap().commit, SECOND);
    let request = fake.requests().remove(0);
    assert!(request.contains("/resolve/refs%2Fpr%2F3/"), "{request}");
    assert_eq!(read(&fake.folder(), "refs/refs/pr/3"), SECOND.as_bytes());
}

#[test]
fn a_token_goes_to_the_hub_alone() {
    let fake = Fake::start();
    let storage = fake.move_storage();
    fake.state().token = Some("secret");
    let hub = fake.hub(&[("HF_TOKEN", "secret")]);
    let fetched = hub.fetch(&name(""), &mut |_| ()).unwrap();
    assert_eq!(read(&fetched.folder, "model.safetensors"), weights(1));
    for request in fake.server.requests() {
        assert_eq!(request.header("authorization"), Some("Bearer secret"));
    }
    let stored = storage.requests();
    assert_eq!(lines(&stored).len(), 1, "{stored:?}");
    assert_eq!(stored[0].header("authorization"), None);
    assert!(!format!("{hub:?}").contains("secret"), "{hub:?}");
}

#[test]
fn progress_counts_bytes() {
    let fake = Fake::start();
    let mut seen: Vec<(String, u64, Option<u64>)> = Vec::new();
    fake.hub(&[])
        .fetch(&name(""), &mut |transfer| {
            seen.push((transfer.file.to_owned(), transfer.done, transfer.total));
        })
        .unwrap();
    let small = config(1).len() as u64;
    assert_eq!(seen[0], ("config.json".into(), small, Some(small)));
    let large = &seen[1..];
    assert!(
        large.len() > 1 && large.is_sorted_by(|a, b| a.1 < b.1),
        "{seen:?}"
    );
    let all = WEIGHTS as u64;
    assert!(
        large
            .iter()
            .all(|(file, _, total)| file == "model.safetensors" && *total == Some(all))
    );
    assert_eq!(large.last().unwrap().1, all);
}

#[test]
fn several_at_once_fetch_once() {
    let fake = Fake::start();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| fake.fetch("").unwrap());
        }
    });
    let fetched = fake.requests();
    let fetched = fetched
        .iter()
        .filter(|line| line.starts_with("GET /storage"));
    assert_eq!(fetched.count(), 1);
}

#[test]
fn what_python_fetched_is_found() {
    let fake = Fake::start();
    let folder = fake.folder();
    let snapshot = folder.join("snapshots").join(FIRST);
    for part in ["blobs", "refs", "snapshots"] {
        fs::create_dir_all(folder.join(part)).unwrap();
    }
    fs::create_dir(&snapshot).unwrap();
    fs::write(folder.join("refs/main"), FIRST).unwrap();
    // Without symbolic links Python writes plain files, whose names hold no hash.
    fs::write(snapshot.join("config.json"), config(1)).unwrap();
    fs::write(snapshot.join("model.safetensors"), weights(1)).unwrap();
    for fetched in [fake.fetch("").unwrap(), fake.offline("").unwrap()] {
        assert_eq!(fetched.folder, snapshot);
        assert_eq!(fetched.sha256, sha256(&weights(1)));
    }
}

#[test]
fn what_was_fetched_opens() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("m");
    let model = crate::folder::tiny();
    {
        let _alone = crate::random_stream();
        init_model::<Flex>(&model, &folder, 7, false, &Default::default()).unwrap();
    }
    let fake = Fake::start();
    let files = [
        ("config.json", fs::read(config_path(&folder)).unwrap()),
        (
            "model.safetensors",
            fs::read(weights_path(&folder)).unwrap(),
        ),
    ];
    fake.state().commits.insert(FIRST, files.into());
    let fetched = fake.fetch("").unwrap();
    let opened = open_model::<Flex>(&fetched.folder, &Default::default()).unwrap();
    assert_eq!(opened.config, model);
    assert_eq!(inspect(&fetched.folder).unwrap().sha256, fetched.sha256);
}
